//! Directory, idempotency keys, history and audit log in one PostgreSQL database, shared by any number of
//! processes.
//!
//! # How it works
//!
//! Each process has the whole directory in memory ([`PostgresDirectory`]), so taking an
//! alert asks the database nothing. Triggers write every change of the directory's tables
//! to a log (`migrations/V1__directory.sql`), which each process follows on a connection
//! of its own (`listener.rs`), woken by NOTIFY. All else uses a pool of connections.
//!
//! # Invariants
//!
//! - The directory in memory is the database's as it stood at one number of the log; the
//!   numbers are the order of commits.
//! - When a change is answered with `Ok`, it is committed and this process has it.
//! - Whatever the database does, [`snapshot`](producer::ports::DirectoryStore::snapshot)
//!   answers; whoever needs the database hears within a bounded time that it is away.
//!
//! # What a crash may do
//!
//! Of this process: an open transaction is rolled back by the server; one that was being
//! committed is whole or not at all. Of the server: as its own `synchronous_commit` says.

mod audit;
mod directory;
mod error;
mod history;
mod keys;
mod listener;
mod schema;
mod secrets;
mod server;
mod task;
mod time;
mod tls;
mod trim;
mod url;

use std::{sync::Arc, time::Duration};

use common::Clock;
use deadpool_postgres::Pool;
use sealing::Vault;
use tokio::sync::watch;

use listener::{Health, Listener};
use secrets::{NotRead, Secrets};
use server::Server;
use task::AbortOnDrop;

pub use audit::PostgresAudit;
pub use directory::PostgresDirectory;
pub use error::ConnectError;
pub use history::{HistoryMetrics, PostgresHistory};
pub use keys::PostgresKeys;
pub use secrets::PostgresSecrets;
pub use url::{DatabaseUrl, UrlError};

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub url: DatabaseUrl,
    /// How long to wait for it at the start.
    pub wait: Duration,
    /// How many connections there may be, beside the one that listens.
    pub connections: usize,
    /// How long an alert that has ended is kept. Dead letters are kept for 30 days.
    pub retention: Duration,
    /// How long an alert or a delivery is waited for that may be about to be recorded:
    /// the history is a moment behind.
    pub patience: Duration,
    /// The keys that secrets are sealed with; the same for every process.
    pub secret_key: Arc<Vault>,
}

impl Settings {
    /// The usual ones for that database, with those keys.
    pub fn new(url: DatabaseUrl, secret_key: Arc<Vault>) -> Self {
        Self {
            url,
            wait: Duration::from_secs(60),
            connections: 16,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            patience: Duration::from_secs(1),
            secret_key,
        }
    }
}

/// A database in use: its ports and what keeps them up to date.
pub struct Postgres {
    /// The directory.
    pub directory: Arc<PostgresDirectory>,
    /// The idempotency keys.
    pub keys: Arc<PostgresKeys>,
    /// Who did what.
    pub audit: Arc<PostgresAudit>,
    /// The keys of its secrets.
    pub secrets: Arc<PostgresSecrets>,
    /// The history.
    pub history: Arc<PostgresHistory>,
    /// Its counts.
    pub metrics: HistoryMetrics,
    trimmer: Arc<history::Trimmer>,
    health: Health,
    pool: Pool,
    sealed_with: Arc<Secrets>,
    clock: Arc<dyn Clock>,
    _tasks: Vec<AbortOnDrop>,
}

impl Postgres {
    /// Connects, waiting as long as the settings say for a database that cannot be
    /// reached, with a line a second; brings the schema up to date; loads the directory.
    ///
    /// # Errors
    /// At once where waiting does not help: a wrong password, no such database, a schema
    /// that is newer, keys that do not open what is there.
    pub async fn connect(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let Settings {
            url,
            wait,
            connections,
            retention,
            patience,
            secret_key,
        } = settings;
        let server = Server::new(url)?;
        let place = server.place().to_owned();
        let mut client = server.connect_within(wait).await?;
        schema::migrate(&mut client, &place).await?;
        let unreachable = |reason: String| ConnectError::Unreachable {
            place: place.clone(),
            reason,
        };
        let secrets = Arc::new(secrets::open(&mut client, secret_key, &place).await?);
        let loaded = directory::load(&mut client, &secrets).await;
        let state = loaded.map_err(|not_read| match not_read {
            NotRead::Database(error) => unreachable(error::describe(&error)),
            NotRead::Sealed(reason) => ConnectError::Keys {
                place: place.clone(),
                reason,
            },
        })?;
        let end = history::End::read(&client).await;
        let end = end.map_err(|error| unreachable(error::describe(&error)))?;
        drop(client);
        let pool = server.pool(connections);
        let pool = pool.map_err(|failure| unreachable(failure.to_string()))?;
        let published = Arc::new(directory::Published::new(state));
        let health = Health::default();
        let (keys, ended) = watch::channel(());
        let listener = Listener {
            server,
            published: published.clone(),
            secrets: secrets.clone(),
            health: health.clone(),
            keys,
            history: end.clone(),
        };
        let metrics = HistoryMetrics::default();
        let trimmer = Arc::new(history::Trimmer {
            pool: pool.clone(),
            clock: clock.clone(),
            retention,
            metrics: metrics.clone(),
        });
        Ok(Self {
            directory: Arc::new(PostgresDirectory::new(
                pool.clone(),
                published,
                secrets.clone(),
                clock.clone(),
            )),
            keys: Arc::new(PostgresKeys::new(
                pool.clone(),
                clock.clone(),
                health.clone(),
                ended,
            )),
            audit: Arc::new(PostgresAudit::new(pool.clone(), clock.clone())),
            history: Arc::new(PostgresHistory::new(
                pool.clone(),
                secrets.clone(),
                clock.clone(),
                end,
                metrics.clone(),
                patience,
            )),
            metrics,
            secrets: Arc::new(PostgresSecrets::new(pool.clone(), secrets.clone())),
            health,
            _tasks: vec![
                AbortOnDrop(tokio::spawn(listener.run())),
                AbortOnDrop(tokio::spawn(trim::run(
                    pool.clone(),
                    secrets.clone(),
                    clock.clone(),
                ))),
                AbortOnDrop(tokio::spawn(trimmer.clone().run())),
            ],
            trimmer,
            pool,
            sealed_with: secrets,
            clock,
        })
    }

    /// Removes what has served its time: keys, the log of changes, credentials; seals what was
    /// written by hand. That
    /// happens by itself once a minute.
    ///
    /// # Errors
    /// Why not; what is left goes the next time.
    pub async fn trim(&self) -> Result<(), String> {
        let trimmed = trim::trim(&self.pool, &self.sealed_with, self.clock.now().utc).await;
        trimmed.map(drop).map_err(|failure| failure.to_string())
    }

    /// Removes what of the history has served its time, unless some process has done so
    /// within a minute. That happens by itself.
    ///
    /// # Errors
    /// Why not; what is left goes the next time.
    pub async fn trim_history(&self) -> Result<(), String> {
        let trimmed = self.trimmer.round().await;
        trimmed.map_err(|failure| failure.to_string())
    }

    /// Whether the database answers; else why not. Answers from memory.
    pub fn health(&self) -> Result<(), String> {
        self.health.get()
    }

    /// Closes every connection. Later calls of the ports fail, but for reading the
    /// directory as it was.
    pub fn close(self) {
        self.pool.close();
    }
}

/// Brings the schema up to date, and does no more. Of many who call it at once, one does
/// it and the others wait.
///
/// # Errors
/// As [`Postgres::connect`]. Needs no keys: what is in the clear is sealed by the first
/// process that connects.
pub async fn migrate(url: DatabaseUrl, wait: Duration) -> Result<(), ConnectError> {
    let server = Server::new(url)?;
    let mut client = server.connect_within(wait).await?;
    schema::migrate(&mut client, server.place()).await
}
