//! What became of a lease: the only thing the consumer ever writes.

use std::{sync::Arc, time::Duration};

use common::UtcMillis;

use super::{Digest, LeaseKey, Wait};

/// The outcome of a lease, with the attempt that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which lease.
    pub lease: LeaseKey,
    /// The attempt that ended, where one did.
    pub attempt: Option<Attempt>,
    /// Parts of the text that the service has taken so far.
    pub parts_sent: u16,
    /// What follows.
    pub outcome: Outcome,
}

/// One attempt, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1 for each delivery.
    pub number: u32,
    /// When the request began.
    pub started_at: UtcMillis,
    /// How long until its end.
    pub took: Duration,
    /// How it ended.
    pub result: AttemptResult,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The service's error code or a short description, without secrets.
    pub error: Option<String>,
    /// The service's own id of the message, where it gave one.
    pub provider_id: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// The service took the message.
    Accepted,
    /// The service did not take it.
    Refused,
    /// It may have.
    MaybeAccepted,
}

/// What follows for the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service has all of it. Final.
    Delivered,
    /// The service has a part of it; the next part follows at once.
    PartSent,
    /// Another attempt follows, not before that time.
    Waiting(Wait),
    /// Given up, with the reason: a dead letter. Final until replayed.
    Dead {
        /// Why, for the person who reads the dead letters.
        reason: String,
    },
    /// Somebody cancelled it while its request was under way, and the service has
    /// not taken all of it. Final until replayed.
    Cancelled,
    /// Set aside on disk, to be fetched when its lane has room. Not an attempt.
    Parked,
    /// Folded into a digest with others; the lease settled is the lead. Durable
    /// before the digest is sent. From here on, settling the lead settles the
    /// digest, and a member's fate is its digest's. Not an attempt.
    Folded {
        /// What is sent instead.
        digest: Arc<Digest>,
        /// All that it carries, the lead among them; none is in another digest.
        /// Where one has ended meanwhile nothing is folded: see [`Unfolded`].
        members: Box<[LeaseKey]>,
    },
    /// The digest was refused for its content: what it carried is parked, to be
    /// sent one by one.
    TakenApart,
}

/// A fold that was not made, since somebody had cancelled one of its members before
/// it was durable. The others are parked, each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// The lease that was settled as [`Outcome::Folded`].
    pub lead: LeaseKey,
    /// How many were parked, by [`Severity::code`](common::Severity::code).
    pub parked: [u32; 3],
}

impl Outcome {
    /// Whether the delivery has ended by it.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Outcome::Delivered | Outcome::Dead { .. } | Outcome::Cancelled
        )
    }

    /// The word for records, metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::PartSent => "part_sent",
            Outcome::Waiting(_) => "waiting",
            Outcome::Dead { .. } => "dead",
            Outcome::Cancelled => "cancelled",
            Outcome::Parked => "parked",
            Outcome::Folded { .. } => "folded",
            Outcome::TakenApart => "taken_apart",
        }
    }
}
