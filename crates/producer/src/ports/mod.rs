//! What the producer needs from the outside.

mod control;
mod destinations;
mod directory;
mod history;
mod keys;
mod publisher;
mod queue;

pub use control::{
    Cancelled, Control, ControlError, MAX_REPLAYED, ReplayError, Replayed, Selection,
};
pub use destinations::{Destinations, DestinationsError};
pub use directory::{DirectoryStore, Executed, Mode, StoreError};
pub use history::{
    AlertDetail, AlertFilter, AlertPage, AlertSummary, AttemptRecord, AttemptResult, DeadLetter,
    DeadLetterFilter, DeadLetterPage, DeliveryDetail, DeliveryPlace, DeliveryRecord, DeliveryState,
    DigestRecord, Event, EventId, Events, Happening, History, HistoryError, StateCounts,
};
pub use keys::{Claim, IdempotencyKeys, KeysError};
pub use publisher::{AlertPublisher, PublishError};
pub use queue::{AcceptError, Acceptance, AlertQueue, IdempotencyKey};
