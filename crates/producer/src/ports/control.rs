//! What a person can do about alerts that were accepted.

use async_trait::async_trait;
use common::{AlertId, DeliveryId, DestinationId, UtcMillis};

use super::{DeadLetterFilter, DeliveryPlace, Mode};

/// The most deliveries replayed by one call of [`Control::replay`].
pub const MAX_REPLAYED: usize = 10_000;

/// Cancelling, replaying and discarding. Whatever is answered is durable.
///
/// Where the consumers are other processes, cancelling and replaying are done when
/// they have heard of it, moments later. Then the answer says that it was
/// [requested](Stage::Requested), and the record what came of it.
#[async_trait]
pub trait Control: Send + Sync {
    /// Cancels what of an alert has not been sent: it never is, after a restart
    /// neither. A request under way is not called back; where the service takes
    /// it, the delivery is delivered, else it is cancelled too. `None` where
    /// there is no such alert. A repeated call finds nothing left to cancel.
    async fn cancel(&self, alert: AlertId) -> Result<Option<Cancelled>, ControlError>;

    /// Sends a delivery that has ended once more: with the user's current
    /// credential where they still have one, and as long as a new one. `None`
    /// where there is no such delivery. A repeated call is refused while the
    /// delivery is on its way, and sends it again after.
    async fn replay_one(&self, id: DeliveryId) -> Result<Option<Stage>, ReplayError>;

    /// Replays those selected that have ended, the last accepted first, up to
    /// `limit` and [`MAX_REPLAYED`]; only those before `before`, where given. In a
    /// dry run it only counts them.
    async fn replay(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
        mode: Mode,
    ) -> Result<Replayed, ReplayError>;

    /// Takes a dead letter off the dead letters; its record stays, with the time.
    /// `false` where there is no such dead letter, so a repeated call says.
    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError>;
}

/// How far something has come when it is answered. Both are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is done.
    Done,
    /// It will be, by whoever has the deliveries in hand.
    Requested,
}

/// What cancelling came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is done.
    Done {
        /// Deliveries that will never be sent.
        cancelled: usize,
        /// Deliveries whose request was under way.
        sending: usize,
    },
    /// It will be. What has been sent when the consumers hear of it stays sent.
    Requested {
        /// Deliveries that had not ended, as far as was known.
        deliveries: usize,
    },
}

/// Which deliveries to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Dead letters.
    DeadLetters(DeadLetterFilter),
    /// All that went to a place, of alerts accepted within a time.
    Destination {
        /// The place.
        destination: DestinationId,
        /// Accepted at this time or later.
        since: UtcMillis,
        /// Accepted at this time or earlier.
        until: UtcMillis,
    },
}

/// What replaying came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many are on their way again, or would be.
    pub count: usize,
    /// Whether they are already; a dry run is done.
    pub stage: Stage,
    /// Where to go on; `None` where all were looked at.
    pub next: Option<DeliveryPlace>,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The store cannot be written now.
    #[error("the store cannot be written: {0}")]
    Unwritable(String),
    /// The store failed at a point where it may have been changed.
    #[error("it may have been done: {0}")]
    MaybeDone(String),
    /// Anything else.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why nothing was replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It has not ended.
    #[error("the delivery is still on its way")]
    OnItsWay,
    /// Its users are gone and so is their credential: nothing to send it with.
    #[error("the delivery's user and their token are gone")]
    CredentialGone,
    /// As many as memory allows are on their way already.
    #[error("too many replayed deliveries are on their way; try again when some have ended")]
    TooMany,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] ControlError),
}
