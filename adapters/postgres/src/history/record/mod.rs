//! Making the history of what the queue tells.
//!
//! A batch is one transaction. It takes the row of `history_state` first, so one process
//! writes at a time and what it reads stays so until it commits: reading the queue and
//! opening its records is what processes share among them. Then it passes over what is
//! recorded already, by the logs' places in `history_log`; writes the alerts; reads the
//! rows that the outcomes are about, changes them in memory (`ledger.rs`) and writes them
//! back; and adds what happened to the feed. What happened to deliveries whose alert is
//! not recorded yet waits in `history_untold` for it.

mod alerts;
mod blocks;
mod ledger;
mod logs;
mod rows;
mod telling;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::wire::Place;
use deadpool_postgres::Transaction;
use producer::ports::{Batch, HistoryWriter, OutcomeEntry, RecordError, Recorded};

use tokio::time::timeout;

use self::{blocks::Blocks, ledger::Ledger, logs::Logs};
use super::{ANSWER, PostgresHistory, answered, feed::Entry, lock::Lock};
use crate::{error::Failure, secrets::Secrets};

pub(crate) use self::telling::FEED;
pub(super) use self::{
    alerts::{Prepared, new_destinations},
    blocks::BLOCK_BITS,
    ledger::{Attempt, Row},
    rows::load,
};

/// How long a batch may take.
const BATCH: Duration = Duration::from_secs(60);

#[async_trait]
impl HistoryWriter for PostgresHistory {
    async fn record(&self, batch: Batch) -> Result<(), RecordError> {
        let begun = Instant::now();
        let (alerts, outcomes) = (batch.alerts.len(), batch.outcomes.len());
        let recorded = self.write_down(batch).await;
        if recorded.is_ok() {
            self.metrics.recorded(alerts, outcomes, begun.elapsed());
        }
        Ok(recorded?)
    }

    async fn recorded(&self) -> Result<Recorded, RecordError> {
        let client = self.client().await?;
        let found = timeout(ANSWER, logs::recorded(&client)).await;
        Ok(answered(client, found)?)
    }

    async fn begin_anew(&self, log: u32, next: u64) -> Result<(), RecordError> {
        let mut client = self.client().await?;
        let forgetting = timeout(ANSWER, async {
            let transaction = client.transaction().await?;
            Lock::take(&transaction).await?;
            logs::forget(&transaction, log, next).await?;
            Ok(transaction.commit().await?)
        });
        let forgetting = forgetting.await;
        Ok(answered(client, forgetting)?)
    }
}

impl From<Failure> for RecordError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(reason) => RecordError::Unavailable(reason),
            Failure::Failed(reason) => RecordError::Failed(reason),
        }
    }
}

impl PostgresHistory {
    async fn write_down(&self, batch: Batch) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        let alerts = alerts::prepared(batch.alerts);
        let mut client = self.client().await?;
        let recording = timeout(BATCH, async {
            // Before the others have to wait: what is there twice is there once.
            self.destinations.save(&client, &alerts).await?;
            let transaction = client.transaction().await?;
            let lock = Lock::take(&transaction).await?;
            let outcomes = batch.outcomes;
            let feed = record(&transaction, &lock, alerts, outcomes, &self.secrets).await?;
            transaction.commit().await?;
            Ok(feed)
        });
        let recorded = recording.await;
        if let Some(feed) = answered(client, recorded)? {
            self.end.reached(feed);
        }
        Ok(())
    }
}

/// Answers the new end of the feed, where there is one.
async fn record(
    transaction: &Transaction<'_>,
    lock: &Lock,
    alerts: Vec<alerts::Prepared>,
    outcomes: Vec<OutcomeEntry>,
    secrets: &Secrets,
) -> Result<Option<u64>, Failure> {
    let mut logs = Logs::read(transaction).await?;
    let mut blocks = Blocks::default();
    let mut events = Vec::new();

    let mut new = Vec::with_capacity(alerts.len());
    new.extend(
        alerts
            .into_iter()
            .filter(|one| logs.takes_alert(one.sequence)),
    );
    let new = alerts::without_repetitions(transaction, new).await?;
    alerts::insert(transaction, &new, secrets).await?;
    for alert in &new {
        blocks.accepted(alert);
        events.push(alert.event());
    }
    if logs.alerts_moved() {
        events.extend(telling::untold(transaction, logs.alerts()).await?);
    }

    let outcomes: Vec<_> = outcomes
        .into_iter()
        .filter(|one| logs.takes_outcome(one.log, one.position))
        .collect();
    let ledger = settled(transaction, &outcomes).await?;
    rows::store(transaction, &ledger).await?;
    blocks.opened(&ledger.opened);
    let is_known = |event: &Entry| event.sequence() < logs.alerts();
    let (told, early): (Vec<_>, Vec<_>) = ledger.events.into_iter().partition(is_known);
    telling::keep_untold(transaction, &early).await?;
    events.extend(told);

    blocks.write(transaction).await?;
    logs.write(transaction).await?;
    telling::tell(transaction, lock, &events).await
}

/// The rows that `outcomes` are about, as they are after them.
async fn settled(
    transaction: &Transaction<'_>,
    outcomes: &[OutcomeEntry],
) -> Result<Ledger, Failure> {
    let mut places: Vec<Place> = outcomes
        .iter()
        .flat_map(|one| Ledger::concerned(&one.record))
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut ledger = Ledger::of(rows::load(transaction, &places).await?);
    for outcome in outcomes {
        ledger.apply(&outcome.record);
    }
    Ok(ledger)
}
