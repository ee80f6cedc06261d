//! What happens when the disk is full.
//!
//! Accepting stops first, delivering last. When a commit finds no room, the
//! reserve file is released and its space is for settling and trimming alone:
//! alerts and directory changes are refused, unless trimming has freed as much
//! inside the database. Once the reserve can be restored, all goes on by itself.

use rusqlite::Connection;

use crate::{
    error::WriteFailure,
    folder::{Folder, RESERVE_BYTES},
    metrics::StoreMetrics,
};

pub(crate) struct Space {
    folder: Folder,
    metrics: StoreMetrics,
    reserve_released: bool,
    failing: Option<String>,
}

impl Space {
    pub(crate) fn new(folder: Folder, metrics: StoreMetrics) -> Self {
        let mut space = Self {
            folder,
            metrics,
            reserve_released: true,
            failing: None,
        };
        space.try_restore();
        space
    }

    /// Whether trimming has to make room inside the database, which is where
    /// alerts go while the reserve is in use: twice what accepting needs, so that
    /// it does not stop and go, and no more, so that the history stays.
    pub(crate) fn is_short(&self, connection: &Connection) -> bool {
        self.reserve_released && free_inside(connection) < 2 * RESERVE_BYTES
    }

    /// Whether the last write failed or room is short: whether to look again soon.
    pub(crate) fn is_troubled(&self) -> bool {
        self.reserve_released || self.failing.is_some()
    }

    /// Why nothing but outcomes can be written now; `None` where all can.
    pub(crate) fn refusal(&self, connection: &Connection) -> Option<String> {
        let is_refused = self.reserve_released && free_inside(connection) < RESERVE_BYTES;
        is_refused.then(|| "the disk is full".to_owned())
    }

    /// What to say to those who ask whether the store can be written.
    pub(crate) fn health(&self, connection: &Connection) -> Result<(), String> {
        match self.refusal(connection).or_else(|| self.failing.clone()) {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    pub(crate) fn on_success(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!("the store can be written again");
        }
    }

    pub(crate) fn on_failure(&mut self, failure: &WriteFailure) {
        if self.failing.is_none() {
            tracing::error!(reason = failure.reason(), "the store cannot be written");
        }
        self.failing = Some(failure.reason().to_owned());
        if matches!(failure, WriteFailure::Unwritable(_)) && !self.reserve_released {
            self.folder.release_reserve();
            self.reserve_released = true;
            self.metrics.reserve_in_use.set(1);
            tracing::warn!("the disk reserve is released: outcomes are recorded, alerts refused");
        }
    }

    /// Tries to restore the reserve; with it accepting goes on.
    pub(crate) fn try_restore(&mut self) {
        if !self.reserve_released {
            return;
        }
        match self.folder.restore_reserve() {
            Ok(()) => {
                self.reserve_released = false;
                self.metrics.reserve_in_use.set(0);
            }
            Err(error) => {
                self.metrics.reserve_in_use.set(1);
                tracing::debug!(%error, "there is no room for the disk reserve yet");
            }
        }
    }
}

/// Bytes of the database file that hold nothing and are written before it grows.
fn free_inside(connection: &Connection) -> u64 {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    match (pragma("freelist_count"), pragma("page_size")) {
        (Ok(pages), Ok(size)) => (pages * size).unsigned_abs(),
        _ => 0,
    }
}
