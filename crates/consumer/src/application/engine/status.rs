//! What the engine knows of those it sends to, for people and metrics.

use std::time::Duration;

use common::{CredentialId, DestinationId, Now};

use super::{BreakerState, Engine};

/// Lanes in trouble that are told of, at most.
const LANES: usize = 1_000;

/// The engine's view of hosts, credentials and lanes at one moment. What is not
/// named is well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Every host with a lane, well or not.
    pub hosts: Vec<HostView>,
    /// Credentials that are refused or slowed.
    pub credentials: Vec<CredentialView>,
    /// Lanes that failed last or wait because of it; a thousand at most.
    pub lanes: Vec<LaneView>,
}

/// A host: what destinations share that have the same channel kind and URL host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostView {
    /// `slack https://example.org`; only the kind where the channel is configured
    /// with the URL.
    pub name: String,
    /// Its breaker.
    pub breaker: BreakerState,
    /// What made the breaker open, said last; empty where it never was.
    pub error: String,
    /// Requests under way.
    pub in_flight: usize,
    /// Lanes that could send if it were not for the host.
    pub in_line: usize,
}

/// A credential in trouble.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialView {
    /// Which version.
    pub id: CredentialId,
    /// Its breaker.
    pub breaker: BreakerState,
    /// What made the breaker open, said last.
    pub error: String,
    /// Messages a second that it is slowed to, since the service limits it.
    pub slowed_to: Option<f64>,
}

/// A lane in trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneView {
    /// Where to.
    pub destination: DestinationId,
    /// Deliveries in memory.
    pub held: usize,
    /// Failures in a row that were not a delivery's own.
    pub failures: u32,
    /// What was said last.
    pub error: String,
    /// How long until it is tried again; zero where it waits for its turn.
    pub waits: Duration,
}

impl Engine {
    /// How hosts, credentials and lanes are. Looks at every lane, so it is for
    /// now and then.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let hosts = self.schedule.hosts.iter().map(|(_, host)| HostView {
            name: host.name().to_owned(),
            breaker: host
                .breaker()
                .map_or(BreakerState::Closed, |breaker| breaker.state()),
            error: host
                .breaker()
                .map_or(String::new(), |breaker| breaker.error().to_owned()),
            in_flight: host.in_flight(),
            in_line: host.in_line,
        });
        let mut slowed = self.credentials.slowed();
        let mut credentials: Vec<_> = self
            .credentials
            .breakers()
            .map(|(id, breaker)| CredentialView {
                id,
                breaker: breaker.state(),
                error: breaker.error().to_owned(),
                slowed_to: slowed.remove(&id),
            })
            .collect();
        credentials.extend(slowed.into_iter().map(|(id, rate)| CredentialView {
            id,
            breaker: BreakerState::Closed,
            error: String::new(),
            slowed_to: Some(rate),
        }));
        credentials.sort_by_key(|view| view.id);
        let lanes = self.lanes.iter().filter_map(|(id, lane)| {
            let trouble = lane.trouble.as_ref()?;
            Some(LaneView {
                destination: id,
                held: lane.held(),
                failures: trouble.failures,
                error: trouble.error.to_string(),
                waits: trouble.until().saturating_sub(now.mono),
            })
        });
        Snapshot {
            hosts: hosts.collect(),
            credentials,
            lanes: lanes.take(LANES).collect(),
        }
    }
}
