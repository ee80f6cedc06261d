//! What the processes of the scaled-out form say to each other: the records of the
//! message queue's topics. Durable formats, version 1.
//!
//! Every value is a JSON object with `v`, the version of its format. A reader passes
//! over fields that it does not know and hands them on where it republishes the
//! record; it does not read a version that it does not know. Which topic holds
//! which record, under which key, written and read by whom, is the queue adapter's
//! page: `adapters/kafka/PROTOCOL.md`.
//!
//! | record | says |
//! |---|---|
//! | [`AlertRecord`] | an alert was accepted, with all its deliveries |
//! | [`DeliveryRecord`] | one delivery: what to send where, for any subscriber |
//! | [`StateRecord`] | what a delivery that waits on its own must remember |
//! | [`OutcomeRecord`] | what became of a delivery, attempt by attempt |
//! | [`ControlRecord`] | what a person wants done: cancelling, replaying |
//!
//! Times are UTC milliseconds, spans microseconds, ids hyphenated UUIDs. What a
//! subscriber without the key must not see stands in fields of the type [`Hidden`]:
//! sealed where the record names a key in `sealed`, else plain.

mod alert;
mod control;
mod delivery;
mod hidden;
mod outcome;
mod place;
mod state;

pub use alert::{AlertBody, AlertChunk, AlertRecord, RecipientDelivery};
pub use control::{ControlRecord, ReplayRecord};
pub use delivery::{Contract, DeliveryMeta, DeliveryRecord, MAX_SERVED, Served};
pub use hidden::Hidden;
pub use outcome::{AttemptPart, DigestPart, OutcomePart, OutcomeRecord};
pub use place::Place;
pub use state::{StatePart, StateRecord, WaitPart};

/// The version of every format here.
pub const VERSION: u32 = 1;
