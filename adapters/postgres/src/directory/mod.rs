//! The directory: loaded at the start, then kept in memory by following the log of
//! changes (`migrations/V1__directory.sql`).
//!
//! | file | what it does |
//! |---|---|
//! | `rows.rs` | makes users and groups of rows |
//! | `load.rs` | reads everything |
//! | `log.rs` | reads what changed since, from the log |
//! | `plan.rs` | judges commands and works out what they leave, in memory |
//! | `write.rs` | writes the difference, in few statements |
//!
//! # Commit order
//!
//! What is published is always the directory as it stood at one number of the log, and
//! the next one has a higher number. Both who publish, the follower of other processes'
//! changes and [`execute`](PostgresDirectory::execute) for our own, take turns, begin with
//! what is published and go on by `log.rs`.

mod load;
mod log;
mod plan;
mod rows;
mod write;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use common::{Clock, Credential};
use consumer::{domain::Lease, ports::Credentials};
use deadpool_postgres::{Client, Pool, Transaction};
use producer::{
    domain::{Command, Directory, Effect},
    ports::{DirectoryStore, Executed, Mode, StoreError},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{Instant, error::Elapsed, timeout, timeout_at},
};
use tokio_postgres::types::Type;

use crate::error::Failure;

pub(crate) use load::load;
pub(crate) use log::{Position, catch_up};
use plan::{Plan, plan};

/// How long a change may take, from its call to its answer; and what each command more
/// allows it. Far beyond what a database that works ever takes.
const TIME: Duration = Duration::from_secs(10);
const TIME_A_COMMAND: Duration = Duration::from_millis(2);

/// How long a commit is waited for, before it is asked what became of it.
const TIME_TO_COMMIT: Duration = Duration::from_secs(10);
const NO_ANSWER: &str = "the database does not answer";

/// How long it is asked what became of a commit whose answer was lost.
const TIME_TO_ASK: Duration = Duration::from_secs(5);

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
    pool: Pool,
    published: Arc<Published>,
    clock: Arc<dyn Clock>,
    /// Ours write one after the other, so that they wait for each other here and not each
    /// on a connection.
    writing: Mutex<()>,
}

impl PostgresDirectory {
    pub(crate) fn new(pool: Pool, published: Arc<Published>, clock: Arc<dyn Clock>) -> Self {
        Self {
            pool,
            published,
            clock,
            writing: Mutex::new(()),
        }
    }

    async fn change(&self, commands: &[Command], mode: Mode) -> Result<Executed, StoreError> {
        let count = u32::try_from(commands.len()).unwrap_or(u32::MAX);
        let limit = TIME + TIME_A_COMMAND.saturating_mul(count);
        let until = Instant::now() + limit;
        let too_long = |_| StoreError::Unwritable(NO_ANSWER.into());

        let writing = timeout_at(until, self.writing.lock()).await;
        let _writing = writing.map_err(too_long)?;
        let client = timeout_at(until, self.pool.get()).await;
        let mut client = client.map_err(too_long)?.map_err(Failure::from)?;
        let changed = self.change_on(&mut client, commands, mode, until).await;
        changed.unwrap_or_else(|elapsed| {
            // Nobody is to wait behind what the connection may still be busy with.
            drop(Client::take(client));
            Err(too_long(elapsed))
        })
    }

    async fn change_on(
        &self,
        client: &mut Client,
        commands: &[Command],
        mode: Mode,
        until: Instant,
    ) -> Result<Result<Executed, StoreError>, Elapsed> {
        let Ready {
            transaction,
            turn,
            effects,
            after,
        } = match timeout_at(until, self.prepare(client, commands, until)).await? {
            Ok(ready) => ready,
            Err(error) => return Ok(Err(error)),
        };
        if mode == Mode::Commit {
            let lost = match timeout(TIME_TO_COMMIT, transaction.commit()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(Failure::from(error)),
                Err(_) => Some(Failure::Away(NO_ANSWER.into())),
            };
            if let Some(lost) = lost
                && let Err(error) = self.find_out(&after, lost).await
            {
                return Ok(Err(error));
            }
            turn.publish(after.clone());
        }
        Ok(Ok(Executed {
            directory: after.directory,
            effects,
        }))
    }

    /// Does everything but the commit.
    async fn prepare<'a>(
        &'a self,
        client: &'a mut Client,
        commands: &[Command],
        until: Instant,
    ) -> Result<Ready<'a>, StoreError> {
        let transaction = client.transaction().await.map_err(Failure::from)?;
        let begin = format!(
            "SET LOCAL statement_timeout = {}; SELECT directory_lock()",
            until.duration_since(Instant::now()).as_millis().max(1)
        );
        let begun = transaction.batch_execute(&begin).await;
        begun.map_err(Failure::from)?;
        // Nobody else changes the directory any more, so the turn comes soon.
        let turn = self.published.turn().await;
        let current = turn.current();
        let newer = catch_up(&transaction, &current).await;
        let before = match newer.map_err(Failure::from)? {
            Some(newer) => {
                turn.publish(newer.clone());
                newer
            }
            None => (*current).clone(),
        };
        let now = self.clock.now().utc;
        let plan = plan(&before.directory, commands, now).map_err(StoreError::Refused)?;
        let after = written(&transaction, &before, &plan).await?;
        Ok(Ready {
            transaction,
            turn,
            effects: plan.effects,
            after,
        })
    }

    /// Whether a commit without an answer has happened after all: its last row of the
    /// log is there, once nobody holds the lock that its transaction held.
    async fn find_out(&self, after: &State, lost: Failure) -> Result<(), StoreError> {
        let asking = async {
            let mut client = self.pool.get().await?;
            let transaction = client.transaction().await?;
            transaction.batch_execute("SELECT directory_lock()").await?;
            let Position { sequence, at } = after.position;
            let found = transaction
                .query_typed(
                    "SELECT FROM directory_change WHERE sequence = $1 AND at = $2",
                    &[(&sequence, Type::INT8), (&at, Type::TIMESTAMPTZ)],
                )
                .await?;
            Ok::<_, Failure>(!found.is_empty())
        };
        match tokio::time::timeout(TIME_TO_ASK, asking).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(StoreError::Unwritable(lost.to_string())),
            Ok(Err(_)) | Err(_) => Err(StoreError::MaybeDone(lost.to_string())),
        }
    }
}

/// A change that lacks nothing but its commit.
struct Ready<'a> {
    transaction: Transaction<'a>,
    turn: Turn<'a>,
    effects: Vec<Effect>,
    after: State,
}

/// Writes the plan, and reads it back as everybody else will: by the log.
async fn written(
    transaction: &Transaction<'_>,
    before: &State,
    plan: &Plan,
) -> Result<State, StoreError> {
    let rows = write::write(transaction, &before.directory, plan).await;
    let rows = rows.map_err(Failure::from)?;
    match catch_up(transaction, before).await.map_err(Failure::from)? {
        Some(after) => Ok(after),
        // Each change was taken back by a later one.
        None if rows == 0 => Ok(before.clone()),
        None => Err(StoreError::Failed(
            "the triggers of the directory's tables are missing".into(),
        )),
    }
}

#[async_trait]
impl DirectoryStore for PostgresDirectory {
    fn snapshot(&self) -> Arc<Directory> {
        self.published.snapshot()
    }

    async fn execute(&self, commands: Vec<Command>, mode: Mode) -> Result<Executed, StoreError> {
        self.change(&commands, mode).await
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(reason) => StoreError::Unwritable(reason),
            Failure::Failed(reason) => StoreError::Failed(reason),
        }
    }
}

impl Credentials for PostgresDirectory {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        let directory = self.published.snapshot();
        let current = directory.credential_for(&lease.recipients, &lease.destination);
        current.unwrap_or(&lease.credential).clone()
    }
}
