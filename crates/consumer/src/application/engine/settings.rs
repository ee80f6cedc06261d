//! What the engine is told once.

use std::time::Duration;

use common::ChannelKind;

use crate::ports::Pace;

/// The engine's settings. `..EngineSettings::default()` fills in the usual values.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Requests under way at once, over all lanes; at least 1.
    pub max_in_flight: usize,
    /// Deliveries held in memory before all but the first of each lane and
    /// severity are parked on disk.
    pub memory_leases: usize,
    /// Deliveries that one lane holds in memory; at least 1.
    pub lane_leases: usize,
    /// The channels there are, with their pace. A delivery of another kind dies.
    pub paces: Vec<(ChannelKind, Pace)>,
    /// How long a delivery waits in this process before it may go ahead of more
    /// urgent ones.
    pub starvation_limit: Duration,
    /// The first backoff is drawn from zero to this.
    pub backoff_base: Duration,
    /// No backoff is longer than this.
    pub backoff_cap: Duration,
    /// An arriving high delivery cuts a backoff to this at most.
    pub high_cut: Duration,
    /// The longest `Retry-After` that is obeyed, and the longest wait that is
    /// taken over from an earlier run.
    pub longest_wait: Duration,
    /// Refusals because of its own content after which a delivery is dead.
    pub payload_attempts: u16,
    /// Age since acceptance after which a failed delivery is not tried again.
    pub max_age: Duration,
    /// Outcomes of attempts that are decided and not yet recorded, at which no
    /// further request begins: with `max_in_flight` it bounds what a crash may
    /// send twice.
    pub max_unrecorded_attempts: usize,
    /// Deliveries parked and not yet recorded, at which none is received.
    pub max_unrecorded_parks: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 512,
            memory_leases: 120_000,
            lane_leases: 64,
            paces: Vec::new(),
            starvation_limit: Duration::from_secs(60),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(600),
            high_cut: Duration::from_secs(5),
            longest_wait: Duration::from_secs(3600),
            payload_attempts: 5,
            max_age: Duration::from_secs(24 * 3600),
            max_unrecorded_attempts: 1024,
            max_unrecorded_parks: 4096,
        }
    }
}
