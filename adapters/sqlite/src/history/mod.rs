//! Reading what became of alerts.
//!
//! Nothing here touches the writer or the connection that the consumer reads by:
//! the history has connections of its own. No query walks more than a bounded
//! number of rows: what it has not reached, the next page goes on with.
//!
//! Alerts are in order of their sequence numbers. `alert_block` sums up each 1,024
//! of them but the last, and by it a filter of time or severity passes over what
//! cannot match, and an id is found by the time that stands in it (`blocks.rs`).

mod alerts;
mod blocks;
mod dead_letters;
mod events;
mod find;
mod records;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use common::{AlertId, DeliveryId};
use consumer::domain::Position;
use producer::ports::{
    AlertDetail, AlertFilter, AlertPage, DeadLetterFilter, DeadLetterPage, DeliveryDetail,
    DeliveryPlace, EventId, Events, History, HistoryError, Selection,
};
use rusqlite::Connection;
use tokio::{
    sync::{Semaphore, watch},
    task::spawn_blocking,
};

use crate::{feed::End, schema, sending::Sending};

/// Queries at once, each with a connection of its own; more wait for their turn.
const CONNECTIONS: usize = 2;

/// The history in SQLite.
pub struct SqliteHistory {
    shared: Arc<Shared>,
    permits: Semaphore,
    /// How far the feed goes.
    end: watch::Sender<End>,
}

struct Shared {
    path: PathBuf,
    /// Opened when they are first needed: each takes some 200 KB.
    idle: Mutex<Vec<Connection>>,
    sending: Arc<Sending>,
}

/// A connection, and what only this process knows.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) connection: &'a Connection,
    sending: &'a Sending,
}

impl SqliteHistory {
    pub(crate) fn open(
        path: &Path,
        sending: Arc<Sending>,
        writer: &Connection,
    ) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.into(),
                idle: Mutex::default(),
                sending,
            }),
            permits: Semaphore::new(CONNECTIONS),
            end: watch::Sender::new(End::read(writer)?),
        })
    }

    /// What the writer tells of its commits by.
    pub(crate) fn feed(&self) -> watch::Sender<End> {
        self.end.clone()
    }

    /// The sequence number of an alert.
    pub(crate) async fn sequence_of(&self, id: AlertId) -> Result<Option<u64>, HistoryError> {
        self.read(move |view| find::alert(view.connection, id))
            .await
    }

    /// The place of a delivery.
    pub(crate) async fn place_of(&self, id: DeliveryId) -> Result<Option<Position>, HistoryError> {
        self.read(move |view| find::delivery(view.connection, id))
            .await
    }

    /// The deliveries of a selection that have ended, up to `limit`.
    pub(crate) async fn selected(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<(Vec<Position>, Option<DeliveryPlace>), HistoryError> {
        self.read(move |view| dead_letters::selected(view, &selection, before, limit))
            .await
    }

    /// Runs `read` where it may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, HistoryError> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|_| HistoryError::Closed)?;
        let shared = self.shared.clone();
        let work = spawn_blocking(move || {
            let found = shared.read(read);
            found.map_err(|error| HistoryError::Failed(error.to_string()))
        });
        let found = work.await;
        drop(permit);
        found.map_err(|error| HistoryError::Failed(error.to_string()))?
    }
}

impl Shared {
    /// Runs `read` with a connection that nobody else uses meanwhile.
    fn read<T>(
        &self,
        read: impl FnOnce(View<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = idle().pop();
        let connection = match connection {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        let found = read(View {
            connection: &connection,
            sending: &self.sending,
        });
        idle().push(connection);
        found
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn alerts(
        &self,
        filter: AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AlertPage, HistoryError> {
        self.read(move |view| alerts::page(view, &filter, before, limit))
            .await
    }

    async fn alert(
        &self,
        id: AlertId,
        from: u32,
        limit: usize,
    ) -> Result<Option<AlertDetail>, HistoryError> {
        self.read(move |view| records::alert(view, id, from, limit))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, HistoryError> {
        self.read(move |view| records::delivery(view, id)).await
    }

    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<DeadLetterPage, HistoryError> {
        self.read(move |view| dead_letters::page(view, &filter, before, limit))
            .await
    }

    fn now(&self) -> EventId {
        self.end.borrow().id()
    }

    async fn events(&self, after: EventId, room: usize) -> Result<Events, HistoryError> {
        let mut end = self.end.subscribe();
        loop {
            let known = *end.borrow_and_update();
            let found = self
                .read(move |view| events::after(view, after, known, room))
                .await?;
            if let Some(events) = found {
                return Ok(events);
            }
            end.changed().await.map_err(|_| HistoryError::Closed)?;
        }
    }
}
