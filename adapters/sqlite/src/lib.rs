//! Directory, queue and history in one SQLite database, in one data folder.
//!
//! # How it works
//!
//! One thread, the writer, holds the only connection that writes. What arrives
//! while a commit is under way shares the next one (group commit), and every
//! answer waits for the commit that holds it: `journal_mode=WAL`,
//! `synchronous=FULL`, so a commit is on the disk when it returns.
//!
//! After the commit an alert goes to the consumer in memory, through the
//! handoff (`handoff.rs`), while there is room; else it stays on disk and is read
//! from there when there is.
//!
//! # Invariants
//!
//! - A delivery that has not ended is found by every later start: its alert has a
//!   row in `open_alert` until its last delivery has a row in `delivery` that says
//!   that it ended.
//! - An ended delivery never changes again: a repeated settlement finds it so.
//! - `sequence` is the order of acceptance. It never repeats while anything refers to it.
//! - When the disk is full, accepting stops first and settling last: see `space.rs`.
//! - No secret is in the file in the clear: `secrets/`.
//!
//! # What a crash may do
//!
//! It loses transactions that were not committed, nothing of which was answered
//! for. Outcomes among them are forgotten and those deliveries are sent again.

mod api_tokens;
mod audit;
mod backup;
mod control;
mod directory;
mod error;
mod feed;
#[cfg(test)]
mod fixtures;
mod folder;
mod handoff;
mod history;
mod metrics;
mod packed;
mod queue;
mod reader;
mod schema;
mod secrets;
mod sending;
mod space;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::Clock;
use sealing::Vault;
use tokio::sync::watch;

use feed::Feed;
use secrets::Secrets;
use sending::Sending;

pub use audit::SqliteAudit;
pub use backup::{backup, read_directory};
pub use control::SqliteControl;
pub use directory::SqliteDirectory;
pub use error::OpenError;
pub use history::SqliteHistory;
pub use metrics::StoreMetrics;
pub use queue::SqliteQueue;
pub use secrets::SqliteSecrets;

use handoff::Room;

/// What the consumer need not read from disk: some 5 MB, and 1 MB for alerts to very
/// many. A slice keeps the consumer from all else for a millisecond or two.
const ROOM: Room = Room {
    in_memory: 16_384,
    slice: 1_024,
};

/// How a data folder is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data folder; made where there is none.
    pub path: PathBuf,
    /// How long an ended alert is kept.
    pub retention: Duration,
    /// How large the database may grow before ended alerts are trimmed early, in bytes.
    pub history_max_bytes: u64,
    /// When a commit counts as durable.
    pub synchronous: Synchronous,
    /// The keys that secrets are sealed with; else those in the data folder, made there
    /// where nothing is sealed yet.
    pub secret_key: Option<Arc<Vault>>,
    /// Whether a large database too is rewritten at the start where it may hold remains of
    /// secrets in the clear: for who has the time.
    pub scrub_large: bool,
}

/// When a commit counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// When the disk has confirmed it.
    #[default]
    Full,
    /// When the operating system has it: a power cut loses alerts. For proving
    /// that the durability tests can fail, and for nothing else.
    Off,
}

/// An open data folder: its two ports and the thread that writes.
pub struct Store {
    /// The directory.
    pub directory: Arc<SqliteDirectory>,
    /// The queue, both ends of it.
    pub queue: Arc<SqliteQueue>,
    /// What became of alerts.
    pub history: Arc<SqliteHistory>,
    /// Who did what.
    pub audit: Arc<SqliteAudit>,
    /// What a person can do about them.
    pub control: Arc<SqliteControl>,
    /// The keys of its secrets.
    pub secrets: Arc<SqliteSecrets>,
    /// What the store counts.
    pub metrics: StoreMetrics,
    /// Whether the disk is full and the reserve in use, as it changes.
    pub reserve_in_use: watch::Receiver<bool>,
    writer: writer::Handle,
}

impl Store {
    /// Opens the data folder, made where there is none, and brings its schema up
    /// to date. Nothing is changed where it fails.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Self::open_with(ROOM, settings, clock)
    }

    /// As [`open`](Self::open), with that room for deliveries in memory.
    fn open_with(room: Room, settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let folder = folder::Folder::take(&settings.path)?;
        let mut connection = schema::open(&folder.database(), settings.synchronous)?;
        let vault = Secrets::keys(&connection, &folder, settings.secret_key.clone())?;
        schema::migrate(&mut connection)?;
        let secrets = Arc::new(Secrets::open(&mut connection, vault)?);
        secrets::scrub(&connection, settings.scrub_large)?;
        let directory = directory::load(&connection, &secrets)?;
        secrets.check_retired(&connection)?;
        let shared = Arc::new(directory::Published::new(Arc::new(directory)));
        let reader = reader::Reader::open(&folder.database(), shared.clone(), secrets.clone())?;
        let metrics = StoreMetrics::default();
        let handoff = Arc::new(reader.backlog(room)?);
        let sending = Arc::new(Sending::default());
        let history = Arc::new(SqliteHistory::open(
            &folder.database(),
            sending.clone(),
            &connection,
        )?);
        let (reserve, reserve_in_use) = watch::channel(false);
        let writer = writer::start(writer::Parts {
            connection,
            folder,
            settings,
            clock,
            handoff: handoff.clone(),
            directory: shared.clone(),
            metrics: metrics.clone(),
            feed: Feed::new(history.feed()),
            sending: sending.clone(),
            secrets: secrets.clone(),
            reserve_in_use: reserve,
        })?;
        Ok(Self {
            directory: Arc::new(SqliteDirectory::new(shared, writer.commands())),
            queue: Arc::new(SqliteQueue::new(
                handoff,
                reader::Readings::start(reader)?,
                writer.commands(),
                sending,
            )),
            audit: Arc::new(SqliteAudit::new(history.clone(), writer.commands())),
            control: Arc::new(SqliteControl::new(history.clone(), writer.commands())),
            secrets: Arc::new(SqliteSecrets::new(
                secrets,
                history.clone(),
                writer.commands(),
            )),
            history,
            metrics,
            reserve_in_use,
            writer,
        })
    }

    /// Lets what was sent before be written, then closes the database. Later
    /// calls of the ports fail.
    pub fn close(self) {
        self.writer.close();
    }
}

#[cfg(test)]
mod tests;
