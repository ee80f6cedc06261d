//! The accepting half of the queue in Kafka, on a real broker: what is accepted is in the
//! topics of deliveries, once for whoever reads them by one comparison, whatever happens
//! to those who publish it.

#![allow(clippy::unwrap_used, reason = "a test outside #[test] functions")]

mod accepting;
mod faults;
mod formats;
mod outages;
mod rig;
mod topics;
