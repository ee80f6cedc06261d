//! What the engine is told, and what it answers.

use std::{sync::Arc, time::Duration};

use common::{
    DestinationId, Severity, UtcMillis,
    status::{BreakerOf, BreakerState},
};

use crate::{
    domain::{Answer, Lease, LeaseKey, Position, Settlement, Unfolded},
    ports::ParkedLane,
};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// What earlier runs have parked. Told once, before anything is received.
    ParkedLanes(Vec<ParkedLane>),
    /// Deliveries have come, in the order that the queue handed them over.
    Received(Vec<Lease>),
    /// Somebody cancelled these, and that is recorded.
    Cancelled(Vec<LeaseKey>),
    /// Everything accepted before this process began has been received.
    CaughtUp,
    /// The answer to [`Action::Unpark`]; empty where there are no more.
    Unparked {
        /// As in the action.
        destination: DestinationId,
        /// As in the action.
        severity: Severity,
        /// In order of acceptance, all after the action's `after`.
        leases: Vec<Lease>,
    },
    /// A request has ended.
    Answered(Answered),
    /// The oldest settlements that were not recorded yet now are, durably.
    Recorded {
        /// How many.
        settlements: usize,
        /// How many of them hold an attempt.
        attempts: usize,
    },
    /// These folds were not made, though they count among those recorded: told
    /// before the [`Event::Recorded`] that counts them.
    Unfolded(Vec<Unfolded>),
    /// The process is ending: nothing new begins.
    Draining,
}

/// The end of a request.
#[derive(Debug)]
pub struct Answered {
    /// From the [`SendOrder`].
    pub ticket: Ticket,
    /// What the service said.
    pub answer: Answer,
    /// How many parts the delivery's text has; at least 1.
    pub parts: u16,
    /// When the request began.
    pub started_at: UtcMillis,
    /// How long until its end.
    pub took: Duration,
}

/// Something to do now.
#[derive(Debug)]
pub enum Action {
    /// Begin a request; its end is told by [`Event::Answered`].
    Send(SendOrder),
    /// Record an outcome. Settlements are recorded in the order in which they
    /// are given, and [`Event::Recorded`] says so.
    Settle {
        /// The outcome.
        settlement: Settlement,
        /// What it is about, for the log.
        lease: Arc<Lease>,
    },
    /// Fetch parked deliveries; [`Event::Unparked`] brings them.
    Unpark {
        /// The lane.
        destination: DestinationId,
        /// Their severity.
        severity: Severity,
        /// Only those after this one.
        after: Option<Position>,
        /// At most so many.
        room: usize,
    },
    /// Tell those who watch that a breaker has changed.
    Report(BreakerChange),
}

/// A breaker has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// Whose.
    pub of: BreakerOf,
    /// What it was.
    pub from: BreakerState,
    /// What it is now.
    pub to: BreakerState,
    /// What was said last; empty where nothing is known any more.
    pub error: Box<str>,
    /// The destination whose answer changed it; `None` where time did, or where it is
    /// known from an earlier run.
    pub because_of: Option<DestinationId>,
}

/// A request to begin.
#[derive(Clone, Debug)]
pub struct SendOrder {
    /// Names the request in the answer.
    pub ticket: Ticket,
    /// What to send. Its `progress` is what it was when it was received.
    pub lease: Arc<Lease>,
    /// Which part of the text, from 0.
    pub part: u16,
    /// Which attempt of the delivery this is, from 1.
    pub attempt: u32,
}

/// Names a request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) destination: DestinationId,
    pub(super) serial: u32,
}

/// How many of what the engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries in memory, in flight included.
    pub held: usize,
    /// Requests under way.
    pub in_flight: usize,
    /// Deliveries parked on disk and not in memory.
    pub parked: u64,
    /// Lanes, of which some only wait until their pace has recovered.
    pub lanes: usize,
}

impl Counts {
    /// Deliveries in memory that are not in flight.
    pub fn waiting(&self) -> usize {
        self.held - self.in_flight
    }
}
