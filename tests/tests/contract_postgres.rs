//! The behaviours of the directory and of idempotency keys, shown by PostgreSQL.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use postgres::{DatabaseUrl, Postgres, Settings};
use producer::ports::{AuditLog, DirectoryStore, IdempotencyKeys};
use tests::{
    contract::{ManualClock, directory::DirectoryUnderTest, keys::KeysUnderTest},
    services,
};

/// A store on a database of its own.
struct Database {
    name: String,
    url: DatabaseUrl,
    clock: Arc<ManualClock>,
    store: Postgres,
}

impl Database {
    async fn open(clock: Arc<ManualClock>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("contract{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let url = services::Postgres::shared().create_database(&name);
        let url: DatabaseUrl = url.parse().unwrap();
        Self {
            store: connect(&url, &clock).await,
            name,
            url,
            clock,
        }
    }

    async fn restart(self) -> Self {
        self.store.close();
        Self {
            store: connect(&self.url, &self.clock).await,
            ..self
        }
    }
}

async fn connect(url: &DatabaseUrl, clock: &Arc<ManualClock>) -> Postgres {
    let settings = Settings::new(url.clone(), services::secret_key());
    Postgres::connect(settings, clock.clone()).await.unwrap()
}

#[async_trait]
impl DirectoryUnderTest for Database {
    async fn open(clock: Arc<ManualClock>) -> Self {
        Self::open(clock).await
    }

    async fn restart(self) -> Self {
        Self::restart(self).await
    }

    fn port(&self) -> Arc<dyn DirectoryStore> {
        self.store.directory.clone()
    }

    fn audit(&self) -> Arc<dyn AuditLog> {
        self.store.audit.clone()
    }
}

#[async_trait]
impl KeysUnderTest for Database {
    async fn open(clock: Arc<ManualClock>) -> Self {
        Self::open(clock).await
    }

    async fn restart(self) -> Self {
        Self::restart(self).await
    }

    fn port(&self) -> Arc<dyn IdempotencyKeys> {
        self.store.keys.clone()
    }

    async fn end_leases(&self) {
        let end = "UPDATE idempotency_key SET publishing_since = publishing_since - interval '1 h'";
        services::Postgres::shared().sql(&self.name, end);
    }
}

mod directory {
    tests::directory_contract!(super::Database);
}

mod keys {
    tests::keys_contract!(super::Database);
}
