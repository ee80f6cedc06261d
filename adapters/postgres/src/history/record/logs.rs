//! How far each log of the queue is recorded.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use producer::ports::Recorded;

use crate::error::Failure;

/// The number of the log of alerts. Outcomes have those of their partitions.
const ALERTS: i32 = -1;

/// The next place of each log.
pub(super) struct Logs {
    next: BTreeMap<i32, u64>,
    moved: Vec<i32>,
}

/// How far each log is recorded.
pub(super) async fn recorded(client: &impl GenericClient) -> Result<Recorded, Failure> {
    let next = next_places(client).await?;
    let outcomes = next.iter().filter_map(|(log, next)| {
        let log = u32::try_from(*log).ok()?;
        Some((log, *next))
    });
    Ok(Recorded {
        alerts: next.get(&ALERTS).copied(),
        outcomes: outcomes.collect(),
    })
}

/// Forgets how far a log of outcomes is recorded, where that is up to `next`.
pub(super) async fn forget(
    transaction: &Transaction<'_>,
    log: u32,
    next: u64,
) -> Result<(), Failure> {
    let statement = transaction
        .prepare_cached("DELETE FROM history_log WHERE log = $1 AND next = $2")
        .await?;
    let log = i32::try_from(log).unwrap_or(i32::MAX);
    transaction
        .execute(&statement, &[&log, &(next as i64)])
        .await?;
    Ok(())
}

async fn next_places(client: &impl GenericClient) -> Result<BTreeMap<i32, u64>, Failure> {
    let statement = client
        .prepare_cached("SELECT log, next FROM history_log")
        .await?;
    let rows = client.query(&statement, &[]).await?;
    let next = rows.iter().map(|row| {
        let next: i64 = row.try_get(1)?;
        Ok((row.try_get(0)?, next as u64))
    });
    Ok(next.collect::<Result<_, tokio_postgres::Error>>()?)
}

impl Logs {
    pub(super) async fn read(transaction: &Transaction<'_>) -> Result<Self, Failure> {
        Ok(Self {
            next: next_places(transaction).await?,
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
