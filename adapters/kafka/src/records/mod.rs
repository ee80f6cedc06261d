//! Between the domain and the records of `common::wire`: what is written, and what is
//! read, sealed and opened.
//!
//! | file | between |
//! |---|---|
//! | `alert.rs` | an accepted alert and its records in the topic of alerts |
//! | `delivery.rs` | an alert's record and those of its deliveries; a delivery's record and what a lane needs |
//! | `message.rs` | a message in the topics of deliveries, ours or anybody's, and its record |

mod alert;
mod delivery;
#[cfg(test)]
pub(crate) mod fixtures;
mod message;
mod outgoing;

pub use alert::{accepted_alert, alert_records, join, open_part};
pub use delivery::{OpenDelivery, delivery_record, open_delivery};
pub use message::{Foreign, Message, Unreadable, read_message};
pub use outgoing::{Outgoing, header_of};

/// The header with the global transaction id.
pub const GTID_HEADER: &str = "X-Global-Transaction-Id";
/// The header with a plain delivery's [`DeliveryMeta`](common::wire::DeliveryMeta).
pub const META_HEADER: &str = "error-notifier";
