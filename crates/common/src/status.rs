//! How destinations stand, and the breakers that many of them share: what the side
//! that delivers tells of itself, and the side that is asked shows.

use std::{fmt, sync::Arc};

use crate::{ChannelKind, CredentialId, Destination, DestinationId, UtcMillis};

/// A destination that is not at rest, or not well.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationStatus {
    /// Its id.
    pub id: DestinationId,
    /// Which place it is; `None` where nobody knows more than the id.
    pub destination: Option<Arc<Destination>>,
    /// The host that it shares with others, by the name that [`BreakerOf::Host`] has.
    pub host: Option<Box<str>>,
    /// What its next delivery waits for.
    pub state: DestinationState,
    /// Until when at least; `None` where nobody can say.
    pub until: Option<UtcMillis>,
    /// Deliveries in memory that wait, by severity code.
    pub waiting: [u64; 3],
    /// Deliveries set aside on disk, by severity code.
    pub parked: [u64; 3],
    /// Deliveries that the request under way carries; 0 where none is.
    pub in_flight: u32,
    /// Whether what waits is being folded into digests.
    pub folding: bool,
    /// How fast it is sent to; `None` for no limit, or where nobody knows.
    pub pace: Option<PaceStatus>,
    /// How it has been failing, if it has.
    pub trouble: Option<TroubleStatus>,
}

/// How fast a destination is sent to, in messages a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaceStatus {
    /// Now; below the usual after it was limited.
    pub per_second: f64,
    /// While it does not limit us.
    pub usual: f64,
}

/// How a destination has been failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TroubleStatus {
    /// Failures in a row that were not a delivery's own.
    pub failures: u32,
    /// When the first of them was, in this process.
    pub since: Option<UtcMillis>,
    /// What was said last; empty where that was in an earlier run.
    pub error: Box<str>,
}

/// What the next delivery of a destination waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationState {
    /// Nothing: its request is under way.
    Sending,
    /// Its turn.
    Queued,
    /// A digest that is being put together and recorded.
    Folding,
    /// The pace of the destination.
    Pace,
    /// The time after a failure.
    Backoff,
    /// The time that the service asked for.
    RetryAfter,
    /// The breaker of the host.
    HostBreaker,
    /// The breaker of its credential.
    CredentialBreaker,
    /// The rate that the messages of its credential share, since the service limits it.
    CredentialPace,
    /// The time after a refusal for its own content.
    Aside,
    /// Room in memory: all is on disk.
    Parked,
    /// Nothing waits, but it failed last, or was limited lately.
    Resting,
}

impl DestinationState {
    /// All states.
    pub const ALL: [DestinationState; 12] = [
        DestinationState::Sending,
        DestinationState::Queued,
        DestinationState::Folding,
        DestinationState::Pace,
        DestinationState::Backoff,
        DestinationState::RetryAfter,
        DestinationState::HostBreaker,
        DestinationState::CredentialBreaker,
        DestinationState::CredentialPace,
        DestinationState::Aside,
        DestinationState::Parked,
        DestinationState::Resting,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DestinationState::Sending => "sending",
            DestinationState::Queued => "queued",
            DestinationState::Folding => "folding",
            DestinationState::Pace => "pace",
            DestinationState::Backoff => "backoff",
            DestinationState::RetryAfter => "retry_after",
            DestinationState::HostBreaker => "host_breaker",
            DestinationState::CredentialBreaker => "credential_breaker",
            DestinationState::CredentialPace => "credential_pace",
            DestinationState::Aside => "aside",
            DestinationState::Parked => "parked",
            DestinationState::Resting => "resting",
        }
    }
}

/// What destinations share that has a breaker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BreakerOf {
    /// A host: the channel kind and, where destinations have one, the URL's host, as in
    /// `webhook https://example.org`.
    Host(Box<str>),
    /// A version of a credential.
    Credential(CredentialId),
}

impl BreakerOf {
    /// `host` or `credential`.
    pub const fn kind(&self) -> &'static str {
        match self {
            BreakerOf::Host(_) => "host",
            BreakerOf::Credential(_) => "credential",
        }
    }

    /// The host's name, the credential's number.
    pub fn name(&self) -> String {
        match self {
            BreakerOf::Host(name) => name.to_string(),
            BreakerOf::Credential(id) => id.0.to_string(),
        }
    }
}

impl fmt::Display for BreakerOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BreakerOf::Host(name) => write!(f, "host {name}"),
            BreakerOf::Credential(id) => write!(f, "credential {}", id.0),
        }
    }
}

/// A breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One request tries whether it works again.
    HalfOpen,
}

impl BreakerState {
    /// The word for records, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// A breaker that is not closed, or a credential that is slowed.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerStatus {
    /// Whose.
    pub of: BreakerOf,
    /// Its state.
    pub state: BreakerState,
    /// Since when it has not been closed; `None` where it is.
    pub since: Option<UtcMillis>,
    /// When it lets a probe through; `None` unless it is open.
    pub probe_at: Option<UtcMillis>,
    /// Failures in a row since it was last closed.
    pub failures: u32,
    /// What made it open, said last; empty where it is closed.
    pub error: Box<str>,
    /// Destinations in memory that wait for it.
    pub waiting: usize,
    /// Messages a second that a credential is slowed to, since the service limits it.
    pub slowed_to: Option<f64>,
}

/// Which destinations to tell of: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusFilter {
    /// Whose next delivery waits for that.
    pub state: Option<DestinationState>,
    /// Of that kind.
    pub channel: Option<ChannelKind>,
}

impl StatusFilter {
    /// Whether a destination in that state is wanted; one of a kind that is not known
    /// may be.
    pub fn takes(&self, state: DestinationState, kind: Option<&str>) -> bool {
        let kind_fits = |wanted: &ChannelKind| kind.is_none_or(|kind| kind == wanted.as_str());
        self.state.is_none_or(|wanted| wanted == state)
            && self.channel.as_ref().is_none_or(kind_fits)
    }
}

/// A part of what is known of destinations, and all breakers. What is not named is at
/// rest and well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusPage {
    /// In the order of their ids.
    pub destinations: Vec<DestinationStatus>,
    /// The destination after which to go on; `None` at the end of the list.
    pub next: Option<DestinationId>,
    /// Those that are not closed, and the credentials that are slowed.
    pub breakers: Vec<BreakerStatus>,
    /// Whether there are more breakers than are told of.
    pub more_breakers: bool,
}

impl StatusPage {
    /// One page of what several tell who have different destinations, each asked for
    /// `limit` after the same one. A host or a credential that several have a breaker for
    /// is told of once for each.
    pub fn merged(pages: Vec<StatusPage>, limit: usize) -> Self {
        // Beyond where one of them stopped it may have more.
        let mut next = pages.iter().filter_map(|page| page.next).min();
        let mut merged = StatusPage::default();
        for page in pages {
            merged.destinations.extend(page.destinations);
            merged.breakers.extend(page.breakers);
            merged.more_breakers |= page.more_breakers;
        }
        merged
            .destinations
            .retain(|status| next.is_none_or(|last| status.id <= last));
        merged.destinations.sort_unstable_by_key(|status| status.id);
        if merged.destinations.len() > limit {
            merged.destinations.truncate(limit);
            next = merged.destinations.last().map(|status| status.id);
        }
        merged.next = next;
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(ids: &[u64], next: Option<u64>) -> StatusPage {
        let status = |id: &u64| DestinationStatus {
            id: DestinationId(*id),
            destination: None,
            host: None,
            state: DestinationState::Queued,
            until: None,
            waiting: [0; 3],
            parked: [0; 3],
            in_flight: 0,
            folding: false,
            pace: None,
            trouble: None,
        };
        StatusPage {
            destinations: ids.iter().map(status).collect(),
            next: next.map(DestinationId),
            ..StatusPage::default()
        }
    }

    fn merged(pages: Vec<StatusPage>, limit: usize) -> (Vec<u64>, Option<u64>) {
        let merged = StatusPage::merged(pages, limit);
        let ids = merged.destinations.iter().map(|status| status.id.0);
        (ids.collect(), merged.next.map(|id| id.0))
    }

    #[test]
    fn pages_of_several_are_one_in_the_order_of_ids() {
        let pages = vec![page(&[1, 5], None), page(&[2, 3], None)];
        assert_eq!(merged(pages, 9), (vec![1, 2, 3, 5], None));
        assert_eq!(merged(Vec::new(), 9), (vec![], None));
    }

    #[test]
    fn a_merged_page_ends_where_one_of_them_may_have_more() {
        let pages = vec![page(&[1, 5], None), page(&[2, 3], Some(4))];
        assert_eq!(merged(pages, 9), (vec![1, 2, 3], Some(4)));
    }

    #[test]
    fn a_merged_page_is_no_longer_than_asked_for() {
        let pages = vec![page(&[1, 5], None), page(&[2, 3], None)];
        assert_eq!(merged(pages, 2), (vec![1, 2], Some(2)));
    }

    #[test]
    fn a_filter_takes_what_meets_all_that_is_given_and_what_may() {
        let filter = StatusFilter {
            state: Some(DestinationState::Pace),
            channel: Some(ChannelKind::SLACK),
        };
        assert!(filter.takes(DestinationState::Pace, Some("slack")));
        assert!(filter.takes(DestinationState::Pace, None));
        assert!(!filter.takes(DestinationState::Pace, Some("webhook")));
        assert!(!filter.takes(DestinationState::Queued, Some("slack")));
        assert!(StatusFilter::default().takes(DestinationState::Queued, None));
    }

    #[test]
    fn every_state_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            DestinationState::ALL.map(DestinationState::as_str).into();
        assert_eq!(words.len(), DestinationState::ALL.len());
    }
}
