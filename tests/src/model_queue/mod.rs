//! A queue in memory that tells of itself as the one in Kafka does, in logs of records:
//! what the history is made of can be shown without Kafka, and exactly as it is wanted.
//!
//! It outlives its [`Run`]s, as Kafka outlives processes.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests: a name says what is shown, and a failure is a panic"
)]

mod records;
mod run;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use common::Clock;
use producer::ports::{AskError, Batch, ConsumerRequest, Consumers};
use tokio::sync::watch;

use self::state::State;

pub use self::run::Run;

/// The number of logs of outcomes.
const PARTITIONS: u64 = 4;

/// The queue.
pub struct ModelQueue {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// There is something new in the logs, or to be received.
    news: watch::Sender<()>,
}

impl ModelQueue {
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            clock,
            news: watch::Sender::new(()),
        })
    }

    /// Changes with whatever is new from now on.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// All records from the beginning, in the order of each log.
    pub fn records(&self) -> Batch {
        self.state().logs.clone()
    }

    /// The records that were not taken before.
    pub fn new_records(&self) -> Batch {
        self.state().new_records()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

#[async_trait]
impl Consumers for ModelQueue {
    async fn ask(&self, requests: Vec<ConsumerRequest>) -> Result<(), AskError> {
        let now = self.clock.now().utc;
        let mut state = self.state();
        for request in requests {
            match request {
                ConsumerRequest::Cancel { sequence, .. } => state.cancel(sequence, now),
                ConsumerRequest::Replay(replay) => state.replay(*replay),
            }
        }
        drop(state);
        self.news.send_replace(());
        Ok(())
    }
}
