//! What happens when the disk is full.
//!
//! Accepting stops first, delivering last. When a commit finds no room, the
//! reserve file is released and its space is for settling and trimming alone:
//! alerts and directory changes are refused, unless trimming has freed as much
//! inside the database. Once the reserve can be restored, all goes on by itself.
//!
//! Someone has to be told while it is so, or nobody makes room: a sixteenth of the
//! reserve, each time that it is released, is for the warnings that tell them.

use rusqlite::Connection;
use tokio::sync::watch;

use crate::{
    error::WriteFailure,
    folder::{Folder, RESERVE_BYTES},
    metrics::StoreMetrics,
};

/// Bytes of the reserve that warnings may take: at one a minute, and a kilobyte each
/// where few are told, that is a day of them.
const FOR_WARNINGS: usize = RESERVE_BYTES as usize / 16;

pub(crate) struct Space {
    folder: Folder,
    metrics: StoreMetrics,
    reserve_released: bool,
    /// Says the same to those who watch.
    in_use: watch::Sender<bool>,
    /// Bytes that warnings may take while it is released.
    for_warnings: usize,
    failing: Option<String>,
}

impl Space {
    /// `in_use` is told whether the reserve is.
    pub(crate) fn new(folder: Folder, metrics: StoreMetrics, in_use: watch::Sender<bool>) -> Self {
        let mut space = Self {
            folder,
            metrics,
            reserve_released: true,
            in_use,
            for_warnings: FOR_WARNINGS,
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

    /// Whether there is room for a warning of that size where nothing else is accepted.
    pub(crate) fn admits_warning(&self, bytes: usize) -> bool {
        bytes <= self.for_warnings
    }

    /// A warning of that size was stored.
    pub(crate) fn on_warning(&mut self, bytes: usize) {
        if self.reserve_released {
            self.for_warnings = self.for_warnings.saturating_sub(bytes);
        }
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
            self.for_warnings = FOR_WARNINGS;
            self.metrics.reserve_in_use.set(1);
            self.in_use.send_replace(true);
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
                self.in_use.send_replace(false);
            }
            Err(error) => {
                self.metrics.reserve_in_use.set(1);
                // Also where it could not be made at the start.
                self.in_use
                    .send_if_modified(|in_use| !std::mem::replace(in_use, true));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> (tempfile::TempDir, Space, watch::Receiver<bool>) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::take(place.path()).unwrap();
        let (sender, in_use) = watch::channel(false);
        let space = Space::new(folder, StoreMetrics::default(), sender);
        (place, space, in_use)
    }

    fn full() -> WriteFailure {
        WriteFailure::Unwritable("the disk is full".into())
    }

    #[test]
    fn those_who_watch_are_told_when_the_reserve_is_released_and_when_it_is_restored() {
        let (_place, mut space, mut in_use) = space();
        assert!(!*in_use.borrow_and_update());
        space.on_failure(&full());
        assert!(in_use.has_changed().unwrap() && *in_use.borrow_and_update());
        space.on_failure(&full());
        assert!(!in_use.has_changed().unwrap(), "it is so already");
        space.try_restore();
        assert!(in_use.has_changed().unwrap() && !*in_use.borrow_and_update());
    }

    #[test]
    fn warnings_have_a_part_of_the_reserve_each_time_that_it_is_released() {
        let (_place, mut space, _in_use) = space();
        space.on_warning(FOR_WARNINGS);
        assert!(space.admits_warning(1), "it is not in use");
        space.on_failure(&full());
        assert!(!space.admits_warning(FOR_WARNINGS + 1));
        space.on_warning(FOR_WARNINGS - 10);
        assert!(space.admits_warning(10) && !space.admits_warning(11));
        space.try_restore();
        space.on_failure(&full());
        assert!(space.admits_warning(FOR_WARNINGS));
    }
}
