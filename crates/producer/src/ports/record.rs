//! Writing the history, where it is made of what the queue tells.

use std::collections::BTreeMap;

use async_trait::async_trait;
use common::wire::{AlertBody, AlertRecord, OutcomeRecord};

/// Where the history is written by whoever reads the queue.
///
/// The queue tells of alerts in one log, and of outcomes in several: all that concerns
/// a delivery is in one of them, in order. The logs are read side by side and by any
/// number of processes, so an outcome may be recorded before its alert; it is told of
/// after it.
#[async_trait]
pub trait HistoryWriter: Send + Sync {
    /// Records a batch, all of it or nothing, durably before it answers.
    ///
    /// Each log is recorded in order and without gaps by its reader. What is recorded
    /// already is passed over, by its place in its log: so whatever is read again after
    /// a crash or by another process, changes nothing and is told of once. Of an alert
    /// id that comes again within [`SAME_ALERT_WITHIN`] the first counts.
    async fn record(&self, batch: Batch) -> Result<(), RecordError>;

    /// How far each log is recorded.
    async fn recorded(&self) -> Result<Recorded, RecordError>;

    /// Forgets that a log of outcomes is recorded up to `next`, since it is another log by
    /// now, and begins with its first record. Changes nothing where the log is recorded up
    /// to another place.
    async fn begin_anew(&self, log: u32, next: u64) -> Result<(), RecordError>;
}

/// How far each log is recorded: the place after the last record, where there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The log of alerts.
    pub alerts: Option<u64>,
    /// The logs of outcomes.
    pub outcomes: BTreeMap<u32, u64>,
}

/// Within how many sequence numbers the same alert id names the same alert.
pub const SAME_ALERT_WITHIN: u64 = 100_000;

/// What was read, in the order of each log.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Alerts that were accepted.
    pub alerts: Vec<AlertEntry>,
    /// What became of deliveries.
    pub outcomes: Vec<OutcomeEntry>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.outcomes.is_empty()
    }
}

/// An alert that was accepted.
#[derive(Clone, Debug)]
pub struct AlertEntry {
    /// Its place in the log, which is its place in the order of acceptance.
    pub sequence: u64,
    /// The record; of one that came in chunks, the last.
    pub record: AlertRecord,
    /// What was sealed in it.
    pub body: AlertBody,
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub struct OutcomeEntry {
    /// Which of the logs it stands in.
    pub log: u32,
    /// Its place there.
    pub position: u64,
    /// The record.
    pub record: OutcomeRecord,
}

/// Why a batch was not recorded. Nothing of it was, unless the last word of the commit
/// was lost; recording it again is right in any case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The store is away; try again later.
    #[error("the history cannot be written now: {0}")]
    Unavailable(String),
    /// The store failed otherwise; trying again may not help.
    #[error("the history cannot be written: {0}")]
    Failed(String),
}
