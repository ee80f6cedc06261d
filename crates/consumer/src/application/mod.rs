//! The delivery engine and the shell that performs what it decides.
//!
//! # Wiring
//!
//! A process makes one [`Dispatcher`] of what it works with ([`Outside`]: the
//! queue, the credentials, the channels, the clock, the metrics, where mishaps are
//! told) and
//! [`EngineSettings`], and runs it until it is to stop:
//!
//! ```no_run
//! # use std::{future::Future, sync::Arc, time::Duration};
//! # use consumer::{application::{Dispatcher, EngineSettings, Outside}, ports::QueueError};
//! # async fn serve(outside: Outside, shutdown: impl Future<Output = ()>) -> Result<(), QueueError> {
//! let settings = EngineSettings { max_in_flight: 512, ..EngineSettings::default() };
//! let seed = rand::random();
//! Dispatcher::new(outside, settings, seed).run(shutdown, Duration::from_secs(25)).await
//! # }
//! ```
//!
//! [`DeliveryMetrics`](crate::metrics::DeliveryMetrics) is made with the same
//! clock and registered by whoever shows metrics. The paces come from the
//! channels. `run` needs a tokio runtime with its timer enabled; each request is
//! a task of its own, so on a runtime of several threads all cores serve.
//! [`Dispatcher::inspector`] is where others ask how destinations stand.
//!
//! # What the queue must know
//!
//! - Settlements arrive in the order decided, one `settle` at a time. Each call
//!   takes all that has collected since the last one began.
//! - `unpark` is called only after everything settled before it was recorded, and
//!   never for what it has brought already; several lanes at once, one call a
//!   lane and severity.
//! - A delivery with `attempts > 0` is never parked.
//! - `receive` is called again as soon as it has answered, while there is room.
//!
//! # Where to add what
//!
//! A new reason to wait: `engine/verdict.rs` and the lane's trouble in
//! `engine/lane.rs`. A cap over several lanes (a host, a token):
//! `engine/schedule.rs`, where lanes wait for their turn. Folding what waits:
//! `Lane::take_next`, which alone decides what a request carries.

pub mod dispatcher;
pub mod engine;
#[cfg(test)]
mod fixtures;

pub use dispatcher::{Dispatcher, Inspector, Limits, NobodyDelivers, Outside};
pub use engine::{Engine, EngineSettings};
