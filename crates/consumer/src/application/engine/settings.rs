//! What the engine is told once.

use std::time::Duration;

use common::ChannelKind;
use jiff::tz::TimeZone;

use crate::ports::{Pace, TextLimit};

/// What the engine knows of a channel.
#[derive(Clone, Debug)]
pub struct ChannelTraits {
    /// Which one.
    pub kind: ChannelKind,
    /// How fast one destination may be sent to.
    pub pace: Pace,
    /// How long one message may be.
    pub limit: TextLimit,
    /// What waits is folded into digests where its pace takes longer than this to
    /// carry it; `None` for never.
    pub digest_after: Option<Duration>,
}

/// The engine's settings. `..EngineSettings::default()` fills in the usual values.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Requests under way at once, over all lanes; at least 1.
    pub max_in_flight: usize,
    /// Of these, to one host (channel kind and URL's host); at least 1.
    pub max_in_flight_per_host: usize,
    /// Deliveries held in memory before all but the first of each lane and
    /// severity are parked on disk.
    pub memory_leases: usize,
    /// Deliveries that one lane holds in memory; at least 1.
    pub lane_leases: usize,
    /// The channels there are. A delivery of another kind dies.
    pub channels: Vec<ChannelTraits>,
    /// What channels' `digest_after` is, for whoever makes their traits.
    pub digest_after: Option<Duration>,
    /// The kinds of channels that are never sent digests.
    pub without_digests: Vec<ChannelKind>,
    /// In which the times in digests are shown.
    pub timezone: TimeZone,
    /// How long a delivery waits in this process before it may go ahead of more
    /// urgent ones.
    pub starvation_limit: Duration,
    /// The first backoff is drawn from zero to this.
    pub backoff_base: Duration,
    /// No backoff is longer than this.
    pub backoff_cap: Duration,
    /// The longest that an open breaker of a host waits before its next probe.
    pub host_probe_cap: Duration,
    /// An arriving high delivery cuts a backoff to this at most.
    pub high_cut: Duration,
    /// The longest `Retry-After` that is obeyed, and the longest wait that is
    /// taken over from an earlier run.
    pub longest_wait: Duration,
    /// Refusals because of its own content after which a delivery is dead.
    pub payload_attempts: u16,
    /// How long a delivery is tried that is refused for a reason that nobody knows.
    pub unclear_for: Duration,
    /// How long a delivery is tried. What counts is the time of this process in
    /// which neither its host's nor its credential's breaker was open.
    pub max_age: Duration,
    /// The same, with all time counted.
    pub max_age_in_all: Duration,
    /// Nothing is given up for its age before its destination, its host or its
    /// credential has been failing for so long in this process.
    pub last_chance: Duration,
    /// Outcomes of attempts that are decided and not yet recorded, at which no
    /// further request begins: with `max_in_flight` it bounds what a crash may
    /// send twice.
    pub max_unrecorded_attempts: usize,
    /// How long none of them may be recorded before no further request begins: what a
    /// process sends that cannot record, and that others take for dead, is sent twice.
    pub max_unrecorded_for: Duration,
    /// Deliveries parked and not yet recorded, at which none is received.
    pub max_unrecorded_parks: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_in_flight: 512,
            max_in_flight_per_host: 384,
            memory_leases: 12_288,
            lane_leases: 64,
            channels: Vec::new(),
            digest_after: Some(Duration::from_secs(10)),
            without_digests: Vec::new(),
            timezone: TimeZone::UTC,
            starvation_limit: Duration::from_secs(60),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(600),
            host_probe_cap: Duration::from_secs(60),
            high_cut: Duration::from_secs(5),
            longest_wait: Duration::from_secs(3600),
            payload_attempts: 5,
            unclear_for: Duration::from_secs(3600),
            max_age: Duration::from_secs(24 * 3600),
            max_age_in_all: Duration::from_secs(72 * 3600),
            last_chance: Duration::from_secs(600),
            max_unrecorded_attempts: 1024,
            max_unrecorded_for: Duration::from_secs(1),
            max_unrecorded_parks: 2048,
        }
    }
}
