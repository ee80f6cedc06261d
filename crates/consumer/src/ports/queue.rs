//! The queue, seen from its receiving end.

use async_trait::async_trait;
use common::{Destination, DestinationId, Severity};

use crate::domain::{Lease, LeaseKey, Position, Settlement, Unfolded};

/// Where deliveries come from and where their outcomes go.
///
/// Every delivery accepted is received by one consumer, again after a restart
/// until it is settled for good.
///
/// A digest needs no calls of its own. [`Outcome::Folded`] makes one out of
/// deliveries that were received or unparked; these are received and unparked no
/// more. The digest is settled by its lead: [`Outcome::Delivered`] and
/// [`Outcome::Dead`] end all that it carries, [`Outcome::Waiting`] lets it wait, and
/// [`Outcome::TakenApart`] parks what it carried. After a restart a digest that has
/// not ended is received as one lease, before all that was never tried, word for
/// word as it was folded. A dead digest leaves each of its members a dead letter.
///
/// Where a member was [cancelled](Received::Cancelled) before the fold was on record, no
/// digest is made: see [`Unfolded`].
///
/// [`Outcome::Folded`]: crate::domain::Outcome::Folded
/// [`Outcome::Delivered`]: crate::domain::Outcome::Delivered
/// [`Outcome::Dead`]: crate::domain::Outcome::Dead
/// [`Outcome::Waiting`]: crate::domain::Outcome::Waiting
/// [`Outcome::TakenApart`]: crate::domain::Outcome::TakenApart
#[async_trait]
pub trait DeliveryQueue: Send + Sync {
    /// What earlier runs have parked, by lane. Asked once, before anything is
    /// received.
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError>;

    /// Waits until at least one delivery is at hand, then hands over up to `room`
    /// (at least 1). Each delivery is received once a process; within a severity
    /// they come in order of acceptance, and the most urgent that is at hand
    /// comes first. After a restart those that wait for another attempt come
    /// before all others. Parked deliveries do not come this way.
    ///
    /// Once in a process, as soon as everything that was accepted before it began
    /// has been handed over (at once, where there is nothing), the answer is
    /// [`Received::CaughtUp`]. Parked deliveries are fetched only after that, so
    /// that those which an earlier run held in memory, and which come before
    /// them, are known.
    ///
    /// A call that is dropped before it answers has taken nothing.
    async fn receive(&self, room: usize) -> Result<Received, QueueError>;

    /// The parked deliveries of one lane and severity that follow `after` in
    /// order of acceptance, up to `room`. They stay parked on disk until they
    /// are settled otherwise: a repeated call answers the same.
    async fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError>;

    /// Records outcomes, durably and all together, before it answers. The only
    /// write of an outcome; the history is what it leaves.
    ///
    /// A repeated settlement of a delivery that has ended changes nothing. One that
    /// was [cancelled](Received::Cancelled) while its request was under way has not
    /// ended for this: it becomes delivered, or stays cancelled with its attempt.
    ///
    /// Answers which of the folds were not made, since a member of theirs had ended.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError>;

    /// Whether this consumer still answers for what it has received. Asked right before
    /// each request, so it answers from memory. `false` where the deliveries may be another
    /// consumer's by now: then the request does not begin, and `receive` answers
    /// [`QueueError::Closed`] soon.
    fn may_send(&self) -> bool {
        true
    }

    /// Which places these are, of those whose deliveries it holds; in no order, and
    /// those that it does not know are left out. Only reads, and may be repeated. For
    /// those who ask how destinations stand, so a queue that nobody asks need not know.
    async fn destinations(&self, _ids: Vec<DestinationId>) -> Result<Vec<Destination>, QueueError> {
        Ok(Vec::new())
    }

    /// A request of this delivery begins; it ends with the settlement of its
    /// attempt. For those who ask where the delivery stands, so a queue that
    /// nobody asks need not listen.
    fn begins(&self, _delivery: LeaseKey) {}
}

/// What [`DeliveryQueue::receive`] hands over.
#[derive(Clone, Debug)]
pub enum Received {
    /// At least one delivery.
    Leases(Vec<Lease>),
    /// These were cancelled, durably, and are not to be sent. Some may not have
    /// been handed over, and never will be; some may be under way.
    Cancelled(Vec<LeaseKey>),
    /// Everything accepted before this process began has been handed over.
    CaughtUp,
}

/// The deliveries of one severity that a lane has parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParkedLane {
    /// The lane.
    pub destination: DestinationId,
    /// Their severity.
    pub severity: Severity,
    /// How many; above zero.
    pub count: u64,
}

/// Why the queue could not do it. Each but the last is worth another try: nothing was
/// lost.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The disk is full or cannot be written.
    #[error("the queue cannot be written: {0}; free space on the data folder's disk")]
    Unwritable(String),
    /// Anything else.
    #[error("the queue failed: {0}")]
    Failed(String),
    /// The queue was closed, since the process is ending, or since another consumer has
    /// these deliveries now: nothing more can be recorded.
    #[error("the queue is closed")]
    Closed,
}
