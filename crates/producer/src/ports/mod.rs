//! What the producer needs from the outside.

mod audit;
mod consumers;
mod control;
mod control_store;
mod destinations;
mod directory;
mod history;
mod keys;
mod publisher;
mod queue;
mod record;
mod secrets;

pub use audit::{AuditError, AuditFilter, AuditLog};
pub use consumers::{AskError, ConsumerRequest, Consumers, ReplayRequest};
pub use control::{
    Cancelled, Control, ControlError, MAX_REPLAYED, ReplayError, Replayed, Selection, Stage,
};
pub use control_store::{ControlStore, Ended, OpenAlert, OpenDelivery, ReplayClaim};
pub use destinations::{Destinations, DestinationsError, OfNobody};
pub use directory::{DirectoryStore, Executed, Mode, StoreError};
pub use history::{
    AlertDetail, AlertFilter, AlertPage, AlertSummary, AttemptRecord, AttemptResult, DeadLetter,
    DeadLetterFilter, DeadLetterPage, DeliveryDetail, DeliveryPlace, DeliveryRecord, DeliveryState,
    DigestRecord, Event, EventId, Events, Happening, History, HistoryError, StateCounts,
};
pub use keys::{Claim, IdempotencyKeys, KeysError};
pub use publisher::{AlertPublisher, PublishError};
pub use queue::{AcceptError, Acceptance, AlertQueue, IdempotencyKey};
pub use record::{
    AlertEntry, Batch, HistoryWriter, OutcomeEntry, RecordError, Recorded, SAME_ALERT_WITHIN,
};
pub use secrets::{Rotation, RotationError, SecretRotation};
