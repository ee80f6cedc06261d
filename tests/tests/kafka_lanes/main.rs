//! The receiving half of the queue in Kafka, on a real broker and as processes: members of
//! the group come, go, die and stand still, and each delivery is sent.

#![allow(clippy::unwrap_used, reason = "a test outside #[test] functions")]

mod backlog;
mod controls;
mod group;
mod member;
mod messages;
#[path = "../kafka_accepting/rig.rs"]
#[allow(dead_code, reason = "shared with the tests of the accepting half")]
mod rig;
