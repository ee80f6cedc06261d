//! The data folder or the database itself, without a server.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use common::Clock;
use producer::application::Secrets;
use producer::ports::DirectoryStore;
use sqlite::Synchronous;

use super::failure::Failure;
use crate::config::settings::{DataSettings, OfflineDatabase, SecretKeySettings};
use crate::run::{database_url, keys};

/// Where a command finds what it works on, where it asks no server.
#[derive(Args)]
pub(super) struct Offline {
    /// Work on the data folder, or on the database of --database-url, and not through a
    /// server
    #[arg(long)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) data: DataSettings,
    #[command(flatten)]
    pub(super) database: OfflineDatabase,
    #[command(flatten)]
    pub(super) secrets: SecretKeySettings,
}

/// The longest that a server can be told to keep the past.
const AGES: Duration = Duration::from_secs(3_650 * 86_400);

/// An open directory, and what has to be closed after.
pub(super) enum Opened {
    Folder(sqlite::Store),
    Database(Box<postgres::Postgres>),
}

impl Opened {
    /// Opens the data folder, whose server must not be running, or the database.
    pub(super) async fn open(place: &Offline, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure::BadInput(error.to_string());
        if let Some(url) = &place.database.database_url {
            let Some(secret_key) = keys::of_secrets(&place.secrets)? else {
                return Err(keys::none_named());
            };
            let settings = postgres::Settings {
                wait: Duration::ZERO,
                // What the producers keep is theirs to decide: nothing is trimmed.
                retention: AGES,
                ..postgres::Settings::new(database_url(url)?, secret_key)
            };
            let opened = postgres::Postgres::connect(settings, clock).await;
            return Ok(Self::Database(Box::new(
                opened.map_err(|error| bad(&error))?,
            )));
        }
        let settings = sqlite::Settings {
            path: place.data.data_dir.clone(),
            // What the server keeps is the server's to decide: nothing is trimmed.
            retention: AGES,
            history_max_bytes: u64::MAX >> 1,
            synchronous: Synchronous::Full,
            secret_key: keys::of_secrets(&place.secrets)?,
            scrub_large: true,
        };
        let opened = sqlite::Store::open(settings, clock);
        Ok(Self::Folder(opened.map_err(|error| bad(&error))?))
    }

    /// The directory.
    pub(super) fn directory(&self) -> Arc<dyn DirectoryStore> {
        match self {
            Self::Folder(store) => store.directory.clone(),
            Self::Database(store) => store.directory.clone(),
        }
    }

    /// The keys of its secrets.
    pub(super) fn secrets(&self) -> Secrets {
        match self {
            Self::Folder(store) => Secrets::new(store.secrets.clone(), store.audit.clone()),
            Self::Database(store) => Secrets::new(store.secrets.clone(), store.audit.clone()),
        }
    }

    /// Ends it in order.
    pub(super) fn close(self) {
        match self {
            Self::Folder(store) => store.close(),
            Self::Database(store) => store.close(),
        }
    }
}
