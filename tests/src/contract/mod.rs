//! One suite of behaviours for each port, which every adapter of it has to show.
//!
//! A behaviour is an async function over the adapter under test; it is named in
//! full and fails by a panic. An adapter's entry is a file in `tests/` that says
//! how to open and restart it and calls [`queue_contract`](crate::queue_contract)
//! or one of its siblings, which make a test of each behaviour.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests: a name says what is shown, and a failure is a panic"
)]

pub mod channel;
mod clock;
pub mod directory;
pub mod history;
pub mod keys;
pub mod queue;

pub use clock::ManualClock;

/// Makes a `#[tokio::test]` of each behaviour of a suite, for one adapter.
#[macro_export]
macro_rules! each_behaviour {
    ($adapter:ty, $suite:ident: $($behaviour:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $behaviour() {
            $crate::contract::$suite::$behaviour::<$adapter>().await;
        }
    )*};
}
