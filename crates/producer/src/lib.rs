//! The producer: keeps users and groups, takes alert requests, works out whom
//! each concerns and hands it to the queue.
//!
//! `domain` holds what is spoken of and its rules, `ports` what the producer
//! needs from the outside, `application` the use cases.

pub mod application;
pub mod domain;
pub mod metrics;
pub mod ports;
