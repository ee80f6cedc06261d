//! How far each log of the queue is recorded.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;

use crate::error::Failure;

/// The number of the log of alerts. Outcomes have those of their partitions.
const ALERTS: i32 = -1;

/// The next place of each log.
pub(super) struct Logs {
    next: BTreeMap<i32, u64>,
    moved: Vec<i32>,
}

impl Logs {
    pub(super) async fn read(transaction: &Transaction<'_>) -> Result<Self, Failure> {
        let statement = transaction
            .prepare_cached("SELECT log, next FROM history_log")
            .await?;
        let rows = transaction.query(&statement, &[]).await?;
        let next = rows.iter().map(|row| {
            let next: i64 = row.try_get(1)?;
            Ok((row.try_get(0)?, next as u64))
        });
        Ok(Self {
            next: next.collect::<Result<_, tokio_postgres::Error>>()?,
            moved: Vec::new(),
        })
    }

    /// Whether the alert at that place is new; then it is recorded now.
    pub(super) fn takes_alert(&mut self, sequence: u64) -> bool {
        self.takes(ALERTS, sequence)
    }

    /// Whether the outcome at that place is new; then it is recorded now.
    pub(super) fn takes_outcome(&mut self, log: u32, position: u64) -> bool {
        i32::try_from(log).is_ok_and(|log| self.takes(log, position))
    }

    /// All alerts below are recorded, or will never be.
    pub(super) fn alerts(&self) -> u64 {
        self.next.get(&ALERTS).copied().unwrap_or_default()
    }

    pub(super) fn alerts_moved(&self) -> bool {
        self.moved.contains(&ALERTS)
    }

    fn takes(&mut self, log: i32, place: u64) -> bool {
        let next = self.next.entry(log).or_default();
        if place < *next {
            return false;
        }
        *next = place + 1;
        if !self.moved.contains(&log) {
            self.moved.push(log);
        }
        true
    }

    /// Writes what has moved.
    pub(super) async fn write(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let statement = transaction
            .prepare_cached(
                "INSERT INTO history_log (log, next)
                 SELECT * FROM unnest($1::integer[], $2::bigint[])
                 ON CONFLICT (log) DO UPDATE SET next = excluded.next",
            )
            .await?;
        let next: Vec<i64> = self.moved.iter().map(|log| self.next[log] as i64).collect();
        transaction
            .execute(&statement, &[&self.moved, &next])
            .await?;
        Ok(())
    }
}
