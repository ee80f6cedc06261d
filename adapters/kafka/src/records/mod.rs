//! Between the domain and the records of `common::wire`: what is written, and what is
//! read, sealed and opened.
//!
//! | file | between |
//! |---|---|
//! | `alert.rs` | an accepted alert and its records in the topic of alerts |
//! | `delivery.rs` | an alert's record and those of its deliveries; a delivery's record and what a lane needs |
//! | `control.rs` | what a person wants done and its records in the topic of controls |
//! | `message.rs` | a message in the topics of deliveries, ours or anybody's, and its record |
//! | `outgoing.rs` | a record and what a producer takes |

mod alert;
mod control;
mod delivery;
#[cfg(test)]
pub(crate) mod fixtures;
mod message;
mod outgoing;

pub use alert::{accepted_alert, alert_records, join, open_part};
pub use control::{cancel_records, replay_record};
pub use delivery::{OpenDelivery, delivery_record, field, open_delivery};
pub use message::{Foreign, Message, Unreadable, read_message};
pub use outgoing::{Outgoing, dead_letter, header_of};

pub(crate) use message::read_versioned;

/// The header with the global transaction id.
pub const GTID_HEADER: &str = "X-Global-Transaction-Id";
/// The headers of a dead letter that say why it is one, and where it was found:
/// `topic-partition-offset`.
pub const REASON_HEADER: &str = "error-notifier-reason";
/// See [`REASON_HEADER`].
pub const FOUND_HEADER: &str = "error-notifier-found";
/// The header with a plain delivery's [`DeliveryMeta`](common::wire::DeliveryMeta).
pub const META_HEADER: &str = "error-notifier";
