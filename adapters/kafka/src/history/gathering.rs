//! Records become a batch.

use std::collections::HashMap;

use common::wire::OutcomeRecord;
use producer::ports::{AlertEntry, Batch, OutcomeEntry};
use rdkafka::{Message, message::BorrowedMessage};

use super::membership::Partition;
use crate::{
    alert_log::{AlertLog, Found, Read},
    records::{Unreadable, read_versioned},
    sealer::Sealer,
    topics::Topics,
};
use sealing::Unopened;

/// The most records of a batch, and the most bytes of their values.
const RECORDS: usize = 2_000;
const BYTES: usize = 8 << 20;

/// Which of the two topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Alerts,
    Outcomes,
}

impl Kind {
    pub(super) fn of(topic: &str, topics: &Topics) -> Option<Self> {
        match topic {
            _ if topic == topics.alerts => Some(Kind::Alerts),
            _ if topic == topics.outcomes => Some(Kind::Outcomes),
            _ => None,
        }
    }
}

/// Why a record is not in the batch.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// It is none of a known version.
    Unreadable(Unreadable),
    /// It cannot be opened here. It can be taken in again.
    Unopened(Unopened),
}

/// Records that wait to be handed on, and where each partition has come to with them.
#[derive(Default)]
pub(super) struct Gathering {
    batch: Batch,
    bytes: usize,
    /// The offset up to which nothing is needed any more once the batch is recorded.
    positions: HashMap<Partition, i64>,
    /// The reader of alerts, while this process has their partition.
    alerts: Option<AlertLog>,
}

/// A batch, and where its partitions have come to with it.
pub(super) struct Gathered {
    pub(super) batch: Batch,
    pub(super) positions: HashMap<Partition, i64>,
}

impl Gathering {
    pub(super) fn assigned(&mut self, partitions: &[Partition], topics: &Topics) {
        if partitions.iter().any(|(topic, _)| *topic == topics.alerts) {
            self.alerts = Some(AlertLog::of_everything());
        }
    }

    /// What was read of partitions that are another's now is handed on all the same: that
    /// is read twice is no matter.
    pub(super) fn revoked(&mut self, partitions: &[Partition], topics: &Topics) {
        if partitions.iter().any(|(topic, _)| *topic == topics.alerts) {
            self.alerts = None;
        }
        for partition in partitions {
            self.positions.remove(partition);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty() && self.batch.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.batch.alerts.len() + self.batch.outcomes.len() >= RECORDS || self.bytes >= BYTES
    }

    /// The batch; another one begins.
    pub(super) fn take(&mut self) -> Gathered {
        self.bytes = 0;
        Gathered {
            batch: std::mem::take(&mut self.batch),
            positions: std::mem::take(&mut self.positions),
        }
    }

    /// Takes a record in.
    pub(super) fn take_in(
        &mut self,
        kind: Kind,
        message: &BorrowedMessage<'_>,
        sealer: &Sealer,
    ) -> Result<(), NotTaken> {
        let taken = match kind {
            Kind::Alerts => self.alert(message, sealer),
            Kind::Outcomes => self.outcome(message),
        };
        if !matches!(taken, Err(NotTaken::Unopened(_))) {
            self.pass_over(kind, message);
        }
        taken
    }

    /// Goes on after a record.
    pub(super) fn pass_over(&mut self, kind: Kind, message: &BorrowedMessage<'_>) {
        let next = message.offset() + 1;
        let needed = match (kind, &self.alerts) {
            (Kind::Alerts, Some(log)) => log.needs(next as u64) as i64,
            _ => next,
        };
        let partition = (message.topic().to_owned(), message.partition());
        self.positions.insert(partition, needed);
    }

    fn alert(&mut self, message: &BorrowedMessage<'_>, sealer: &Sealer) -> Result<(), NotTaken> {
        let Some(log) = &mut self.alerts else {
            // It is another's by now.
            return Ok(());
        };
        let found = Found {
            offset: message.offset() as u64,
            written_at: message.timestamp().to_millis().unwrap_or_default(),
            payload: message.payload(),
        };
        match log.read(found, sealer) {
            Read::Alert(alert) => {
                self.bytes += message.payload_len();
                self.batch.alerts.push(AlertEntry {
                    sequence: alert.sequence,
                    record: alert.record,
                    body: alert.body,
                });
                Ok(())
            }
            Read::Nothing => Ok(()),
            Read::Unreadable(reason) => Err(NotTaken::Unreadable(reason)),
            Read::Unopened(reason) => Err(NotTaken::Unopened(reason)),
        }
    }

    fn outcome(&mut self, message: &BorrowedMessage<'_>) -> Result<(), NotTaken> {
        let payload = message.payload().ok_or(Unreadable::Empty);
        let record: Result<OutcomeRecord, _> = payload.and_then(read_versioned);
        let record = record.map_err(NotTaken::Unreadable)?;
        self.bytes += message.payload_len();
        self.batch.outcomes.push(OutcomeEntry {
            log: message.partition().unsigned_abs(),
            position: message.offset() as u64,
            record,
        });
        Ok(())
    }
}
