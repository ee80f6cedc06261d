//! The queue's and the directory's behaviours, shown by SQLite.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlite::{Settings, Store, Synchronous};
use tempfile::TempDir;
use tests::contract::{
    ManualClock,
    directory::DirectoryUnderTest,
    history::{HistoryPorts, HistoryUnderTest},
    queue::{QueuePorts, QueueUnderTest},
};

/// A store in a folder of its own.
struct Sqlite {
    folder: TempDir,
    clock: Arc<ManualClock>,
    store: Store,
}

impl Sqlite {
    fn open(clock: Arc<ManualClock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: store(folder.path(), clock.clone()),
            folder,
            clock,
        }
    }

    fn restart(self) -> Self {
        self.store.close();
        Self {
            store: store(self.folder.path(), self.clock.clone()),
            folder: self.folder,
            clock: self.clock,
        }
    }
}

fn store(path: &Path, clock: Arc<ManualClock>) -> Store {
    let settings = Settings {
        path: path.into(),
        retention: Duration::from_secs(7 * 24 * 60 * 60),
        history_max_bytes: 1 << 30,
        synchronous: Synchronous::Full,
        secret_key: None,
        scrub_large: false,
    };
    Store::open(settings, clock).unwrap()
}

#[async_trait]
impl QueueUnderTest for Sqlite {
    async fn open(clock: Arc<ManualClock>) -> Self {
        Self::open(clock)
    }

    async fn restart(self) -> Self {
        Self::restart(self)
    }

    fn ports(&self) -> QueuePorts {
        QueuePorts {
            alerts: self.store.queue.clone(),
            deliveries: self.store.queue.clone(),
            directory: self.store.directory.clone(),
        }
    }
}

#[async_trait]
impl DirectoryUnderTest for Sqlite {
    async fn open(clock: Arc<ManualClock>) -> Self {
        Self::open(clock)
    }

    async fn restart(self) -> Self {
        Self::restart(self)
    }

    fn port(&self) -> Arc<dyn producer::ports::DirectoryStore> {
        self.store.directory.clone()
    }

    fn audit(&self) -> Arc<dyn producer::ports::AuditLog> {
        self.store.audit.clone()
    }
}

#[async_trait]
impl HistoryUnderTest for Sqlite {
    async fn open(clock: Arc<ManualClock>) -> Self {
        Self::open(clock)
    }

    async fn restart(self) -> Self {
        Self::restart(self)
    }

    fn ports(&self) -> HistoryPorts {
        HistoryPorts {
            queue: QueueUnderTest::ports(self),
            history: self.store.history.clone(),
            control: self.store.control.clone(),
        }
    }
}

mod history {
    tests::history_contract!(super::Sqlite);
}

mod queue {
    tests::queue_contract!(super::Sqlite);
}

mod keys {
    tests::keyed_queue_contract!(super::Sqlite);
}

mod directory {
    tests::directory_contract!(super::Sqlite);
}
