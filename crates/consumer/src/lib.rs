//! The consumer: takes deliveries off the queue, calls the external service and
//! makes each delivery end, delivered or dead-lettered.
//!
//! `domain` holds what is spoken of, `ports` what the consumer needs from the
//! outside, `application` the delivery engine, which decides without doing, and
//! the dispatcher, the async shell that does what the engine decides.

pub mod application;
pub mod domain;
pub mod metrics;
pub mod ports;
