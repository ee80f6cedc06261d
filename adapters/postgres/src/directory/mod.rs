//! The directory: loaded at the start, then kept in memory by following the log of
//! changes (`migrations/V1__directory.sql`).
//!
//! | file | what it does |
//! |---|---|
//! | `rows.rs` | makes users and groups of rows |
//! | `api_tokens.rs` | reads and writes API tokens |
//! | `credentials.rs` | writes new secrets, sealed |
//! | `load.rs` | reads everything |
//! | `log.rs` | reads what changed since, from the log |
//! | `plan.rs` | judges commands and works out what they leave, in memory |
//! | `writer.rs` | carries out what is asked: lock, plan, write, commit |
//! | `write.rs` | writes the difference that a plan makes, in few statements |
//!
//! # Commit order
//!
//! What is published is always the directory as it stood at one number of the log, and
//! the next one has a higher number. Both who publish, the listener for other processes'
//! changes and the writer for our own, take turns, begin with what is published and go on
//! by `log.rs`.

mod api_tokens;
mod credentials;
mod load;
mod log;
mod plan;
mod rows;
mod write;
mod writer;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use common::{Clock, Credential};
use consumer::{domain::Lease, ports::Credentials};
use deadpool_postgres::Pool;
use producer::{
    domain::{Caller, Command, Directory},
    ports::{DirectoryStore, Executed, Mode, StoreError},
};
use tokio::sync::{Mutex, MutexGuard, mpsc, oneshot};

pub(crate) use load::load;
pub(crate) use log::{Position, catch_up};
use writer::{Ask, Writer};

use crate::{secrets::Secrets, task::AbortOnDrop};

/// The directory as of a place in the log.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) directory: Arc<Directory>,
    pub(crate) position: Position,
}

/// The directory that requests read, and whose turn it is to go on with it.
pub(crate) struct Published {
    current: ArcSwap<State>,
    turn: Mutex<()>,
}

impl Published {
    pub(crate) fn new(state: State) -> Self {
        Self {
            current: ArcSwap::from_pointee(state),
            turn: Mutex::new(()),
        }
    }

    /// Waits for the turn: until it is given back nobody else publishes.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn {
            published: self,
            _turn: self.turn.lock().await,
        }
    }

    fn snapshot(&self) -> Arc<Directory> {
        self.current.load().directory.clone()
    }
}

/// The right to publish.
pub(crate) struct Turn<'a> {
    published: &'a Published,
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    pub(crate) fn current(&self) -> Arc<State> {
        self.published.current.load_full()
    }

    pub(crate) fn publish(&self, state: State) {
        self.published.current.store(Arc::new(state));
    }
}

/// The directory in PostgreSQL, and users' current credentials with it.
pub struct PostgresDirectory {
    published: Arc<Published>,
    asks: mpsc::UnboundedSender<Ask>,
    _writing: AbortOnDrop,
}

impl PostgresDirectory {
    pub(crate) fn new(
        pool: Pool,
        published: Arc<Published>,
        secrets: Arc<Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let writer = Writer {
            pool,
            published: published.clone(),
            secrets,
            clock,
        };
        Self {
            published,
            asks,
            _writing: AbortOnDrop(tokio::spawn(writer.run(asked))),
        }
    }
}

#[async_trait]
impl DirectoryStore for PostgresDirectory {
    fn snapshot(&self) -> Arc<Directory> {
        self.published.snapshot()
    }

    async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
        by: &Caller,
    ) -> Result<Executed, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ended = || StoreError::Failed("the store is closed".into());
        let asked = self.asks.send(Ask {
            commands,
            mode,
            by: by.clone(),
            reply,
        });
        asked.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Credentials for PostgresDirectory {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        let directory = self.published.snapshot();
        let current = directory.credential_for(&lease.recipients, &lease.destination);
        current.unwrap_or(&lease.credential).clone()
    }
}
