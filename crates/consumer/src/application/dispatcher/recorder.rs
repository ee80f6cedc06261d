//! Records outcomes, many at a time: while one write is under way the next batch
//! collects. One write at once, so they are recorded in the order decided.

use std::{
    future::{Future, pending},
    pin::Pin,
};

use crate::{
    application::engine::Event,
    domain::{Settlement, Unfolded},
    ports::{DeliveryQueue, QueueError},
};

use super::RETRY_DELAY;

/// Settlements written at once, at most.
const BATCH: usize = 4096;

type Writing<'a> = Pin<Box<dyn Future<Output = Result<Recorded, Closed>> + Send + 'a>>;

/// What became of a batch.
pub(super) struct Recorded {
    /// Folds that were not made. To be told first.
    pub(super) unfolded: Vec<Unfolded>,
    /// That it is recorded.
    pub(super) event: Event,
}

/// The queue is closed: nothing more is recorded.
#[derive(Debug)]
pub(super) struct Closed;

/// Outcomes on their way to the queue.
pub(super) struct Recorder<'a> {
    queue: &'a dyn DeliveryQueue,
    waiting: Vec<Settlement>,
    writing: Option<Writing<'a>>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(queue: &'a dyn DeliveryQueue) -> Self {
        Self {
            queue,
            waiting: Vec::new(),
            writing: None,
        }
    }

    /// Takes in an outcome, to be written after all before it.
    pub(super) fn add(&mut self, settlement: Settlement) {
        self.waiting.push(settlement);
    }

    /// Whether everything taken in is recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.writing.is_none()
    }

    /// Begins to write what waits, unless a write is under way.
    pub(super) fn begin(&mut self) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        let later = self.waiting.split_off(self.waiting.len().min(BATCH));
        let batch = std::mem::replace(&mut self.waiting, later);
        self.writing = Some(Box::pin(write(self.queue, batch)));
    }

    /// Waits until the write under way has ended; for ever where there is none.
    /// May be dropped and called again.
    pub(super) async fn recorded(&mut self) -> Result<Recorded, Closed> {
        match &mut self.writing {
            Some(writing) => {
                let recorded = writing.await;
                self.writing = None;
                recorded
            }
            None => pending().await,
        }
    }

    /// Writes all that is left.
    pub(super) async fn finish(&mut self) -> Result<(), Closed> {
        while !self.is_empty() {
            self.begin();
            self.recorded().await?;
        }
        Ok(())
    }
}

/// Tries until it is recorded: an outcome that was forgotten would be sent twice.
async fn write(queue: &dyn DeliveryQueue, batch: Vec<Settlement>) -> Result<Recorded, Closed> {
    let event = Event::Recorded {
        settlements: batch.len(),
        attempts: batch
            .iter()
            .filter(|settlement| settlement.attempt.is_some())
            .count(),
    };
    loop {
        match queue.settle(batch.clone()).await {
            Ok(unfolded) => return Ok(Recorded { unfolded, event }),
            Err(QueueError::Closed) => return Err(Closed),
            Err(error) => {
                tracing::error!(%error, settlements = batch.len(), "outcomes could not be recorded; trying again");
                tokio::time::sleep(RETRY_DELAY).await;
            }
        }
    }
}
