//! The history: what became of alerts, for all the producers that share the database.
//!
//! It is made of what the queue tells (`record/`), one transaction a batch and one writer
//! at a time. Reading takes no lock and walks a bounded number of rows: what it has not
//! reached, the next page goes on with. Alerts are in order of their sequence numbers;
//! `alert_block` sums up each 1,024 of them, and by it a filter of time, severity or open
//! deliveries passes over what cannot match.
//!
//! An event's id is the number of the commit that tells of it and a place in that, so it
//! means the same on every producer; NOTIFY wakes those who follow.
//!
//! A request under way is not on record here: only its end is told.

mod alerts;
mod blocks;
mod control;
mod dead_letters;
mod destinations;
mod end;
mod events;
mod feed;
mod find;
mod lock;
mod metrics;
mod opened;
mod record;
mod records;
mod sql;
mod state;
mod trim;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{AlertId, Clock, DeliveryId, UtcMillis, wire::Place};
use deadpool_postgres::{Client, Pool, Timeouts, Transaction};
use producer::ports::{
    AlertDetail, AlertFilter, AlertPage, DeadLetterFilter, DeadLetterPage, DeliveryDetail,
    DeliveryPlace, EventId, Events, History, HistoryError,
};
use tokio::time::{Instant, error::Elapsed, timeout, timeout_at};
use tokio_postgres::IsolationLevel;

use self::{destinations::Destinations, events::Large, find::Wanted};
use crate::{
    error::{Failure, NO_ANSWER},
    secrets::Secrets,
};

pub(crate) use self::{end::End, record::FEED, trim::Trimmer};

pub use self::metrics::HistoryMetrics;

/// How long a connection is waited for while others have all there are. To make one takes
/// its own time, which a busy server may need.
const FREE_CONNECTION: Duration = Duration::from_secs(5);
/// How long an answer may take. Each of its statements has a limit of its own, which a
/// server that says nothing does not keep.
const ANSWER: Duration = Duration::from_secs(30);
/// How old something is at most that is waited for because it may be about to be recorded.
const YOUNG: Duration = Duration::from_secs(10);

/// The history in PostgreSQL.
pub struct PostgresHistory {
    pool: Pool,
    secrets: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    end: End,
    destinations: Destinations,
    large: Large,
    metrics: HistoryMetrics,
    /// How long what is young is waited for.
    patience: Duration,
}

impl PostgresHistory {
    pub(crate) fn new(
        pool: Pool,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
        end: End,
        metrics: HistoryMetrics,
        patience: Duration,
    ) -> Self {
        Self {
            pool,
            secrets,
            clock,
            end,
            destinations: Destinations::default(),
            large: Large::default(),
            metrics,
            patience,
        }
    }

    /// The sequence number of an alert.
    async fn find_alert(&self, id: AlertId) -> Result<Option<u64>, Failure> {
        let found = self.patiently(Wanted::Alert(id), id.time()).await?;
        Ok(found.map(|place| place.sequence))
    }

    /// The place of a delivery.
    async fn find_delivery(&self, id: DeliveryId) -> Result<Option<Place>, Failure> {
        self.patiently(Wanted::Delivery(id), id.time()).await
    }

    /// Looks for what was accepted at that time. The history is a moment behind, so what
    /// is young and not there may come.
    async fn patiently(
        &self,
        wanted: Wanted,
        accepted_at: UtcMillis,
    ) -> Result<Option<Place>, Failure> {
        let age = self.clock.now().utc.0.abs_diff(accepted_at.0);
        let until = match u128::from(age) < YOUNG.as_millis() {
            true => Instant::now() + self.patience,
            false => Instant::now(),
        };
        let mut rows = self.end.follow();
        loop {
            rows.borrow_and_update();
            let client = self.client().await?;
            let found = timeout(ANSWER, find::by_id(&client, wanted)).await;
            let found = answered(client, found)?;
            if found.is_some() || timeout_at(until, rows.changed()).await.is_err() {
                return Ok(found);
            }
        }
    }
}

/// What a connection answered in time. One that did not is given up.
fn answered<T>(client: Client, answer: Result<Result<T, Failure>, Elapsed>) -> Result<T, Failure> {
    answer.unwrap_or_else(|_| {
        drop(Client::take(client));
        Err(Failure::Away(NO_ANSWER.into()))
    })
}

/// The database as it stands at one moment.
async fn snapshot(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    Ok(transaction.start().await?)
}

#[async_trait]
impl History for PostgresHistory {
    async fn alerts(
        &self,
        filter: AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AlertPage, HistoryError> {
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            alerts::page(&snapshot, &filter, before, limit).await
        });
        let found = found.await;
        Ok(answered(client, found)?)
    }

    async fn alert(
        &self,
        id: AlertId,
        from: u32,
        limit: usize,
    ) -> Result<Option<AlertDetail>, HistoryError> {
        let Some(sequence) = self.find_alert(id).await? else {
            return Ok(None);
        };
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            records::alert(&snapshot, sequence, from, limit).await
        });
        let found = found.await;
        Ok(answered(client, found)?)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, HistoryError> {
        let Some(place) = self.find_delivery(id).await? else {
            return Ok(None);
        };
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            records::delivery(&snapshot, place).await
        });
        let found = found.await;
        Ok(answered(client, found)?)
    }

    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<DeadLetterPage, HistoryError> {
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            dead_letters::page(&snapshot, &filter, before, limit).await
        });
        let found = found.await;
        Ok(answered(client, found)?)
    }

    fn now(&self) -> EventId {
        self.end.id()
    }

    async fn events(&self, after: EventId, room: usize) -> Result<Events, HistoryError> {
        let mut rows = self.end.follow();
        loop {
            let known = *rows.borrow_and_update();
            // An id of a commit that this process has not heard of may be another's.
            if after < EventId::end_of(known) || after.commit > known {
                let found = self.events_after(after, room).await?;
                self.end.reached(found.end);
                if let Some(events) = found.events {
                    return Ok(events);
                }
            }
            end::next(&mut rows).await?;
        }
    }
}

impl PostgresHistory {
    async fn client(&self) -> Result<Client, Failure> {
        let limits = Timeouts {
            wait: Some(FREE_CONNECTION),
            ..self.pool.timeouts()
        };
        Ok(self.pool.timeout_get(&limits).await?)
    }

    async fn events_after(&self, after: EventId, room: usize) -> Result<events::Found, Failure> {
        let mut client = self.client().await?;
        let found = timeout(ANSWER, async {
            let snapshot = snapshot(&mut client).await?;
            events::after(&snapshot, &self.large, after, room).await
        });
        let found = found.await;
        answered(client, found)
    }
}

impl From<Failure> for HistoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(reason) => HistoryError::Unavailable(reason),
            Failure::Failed(reason) => HistoryError::Failed(reason),
        }
    }
}
