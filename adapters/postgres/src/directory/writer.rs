//! Changing the directory: one task, so that what is asked while a transaction is under
//! way shares the next one.

use std::{sync::Arc, time::Duration};

use common::Clock;
use deadpool_postgres::{Client, Pool, Transaction};
use producer::{
    domain::{Caller, Command},
    ports::{Executed, Mode, StoreError},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::types::Type;

use super::{
    Published, State, Turn,
    log::{Position, catch_up},
    plan::{Judged, Plan},
    write::write,
};
use crate::{
    audit,
    error::{Failure, NO_ANSWER},
    secrets::Secrets,
};

/// How long a transaction may take up to its commit, and what each command more allows
/// it. Far beyond what a database that works ever takes.
const TIME: Duration = Duration::from_secs(10);
const TIME_A_COMMAND: Duration = Duration::from_millis(2);

/// How long a commit is waited for, before it is asked what became of it; and how long
/// that is asked.
const TIME_TO_COMMIT: Duration = Duration::from_secs(10);
const TIME_TO_ASK: Duration = Duration::from_secs(5);

/// The most calls that share a transaction.
const AT_ONCE: usize = 256;

/// Commands of one call, to be carried out all or none.
pub(super) struct Ask {
    pub(super) commands: Vec<Command>,
    pub(super) mode: Mode,
    pub(super) by: Caller,
    pub(super) reply: oneshot::Sender<Answer>,
}

type Answer = Result<Executed, StoreError>;

/// What changes the directory.
pub(super) struct Writer {
    pub(super) pool: Pool,
    pub(super) published: Arc<Published>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Writer {
    /// Carries out what is asked until nobody can ask any more.
    pub(super) async fn run(self, mut asked: mpsc::UnboundedReceiver<Ask>) {
        let mut asks = Vec::new();
        while asked.recv_many(&mut asks, AT_ONCE).await > 0 {
            match self.change(&asks).await {
                Ok(answers) => {
                    for (ask, answer) in asks.drain(..).zip(answers) {
                        let _ = ask.reply.send(answer);
                    }
                }
                // One of them may be what fails: each for itself.
                Err(StoreError::Failed(_)) if asks.len() > 1 => {
                    for ask in asks.drain(..) {
                        let alone = self.change(std::slice::from_ref(&ask)).await;
                        let answer = alone.and_then(|mut answers| {
                            let none = || StoreError::Failed("it was not answered".into());
                            answers.pop().unwrap_or_else(|| Err(none()))
                        });
                        let _ = ask.reply.send(answer);
                    }
                }
                Err(error) => {
                    // With whoever asked while it was away: they are not to wait for as
                    // long once more, one lot after the other.
                    if let StoreError::Unwritable(_) = error {
                        asks.extend(std::iter::from_fn(|| asked.try_recv().ok()));
                    }
                    for ask in asks.drain(..) {
                        let _ = ask.reply.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// Carries out these calls in one transaction; an answer for each, or why none was.
    async fn change(&self, asks: &[Ask]) -> Result<Vec<Answer>, StoreError> {
        let count: usize = asks.iter().map(|ask| ask.commands.len()).sum();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let limit = TIME + TIME_A_COMMAND.saturating_mul(count);
        let until = Instant::now() + limit;
        let late = |_| Failure::Away(NO_ANSWER.into());

        let client = timeout_at(until, self.pool.get()).await;
        let mut client = client.map_err(late)?.map_err(Failure::from)?;
        let committed = match timeout_at(until, self.prepare(&mut client, asks, limit)).await {
            Ok(ready) => ready?.commit().await,
            Err(elapsed) => Err(Lost::NothingCommitted(late(elapsed))),
        };
        match committed {
            Ok(answers) => Ok(answers),
            Err(lost) => {
                // Nobody is to wait behind what the connection may still be busy with.
                drop(Client::take(client));
                self.find_out(lost).await
            }
        }
    }

    /// Does everything but the commit.
    async fn prepare<'a>(
        &'a self,
        client: &'a mut Client,
        asks: &[Ask],
        limit: Duration,
    ) -> Result<Ready<'a>, StoreError> {
        let transaction = client.transaction().await.map_err(Failure::from)?;
        let begin = format!(
            "SET LOCAL statement_timeout = {}; SELECT directory_lock()",
            limit.as_millis()
        );
        let begun = transaction.batch_execute(&begin).await;
        begun.map_err(Failure::from)?;
        // Nobody else changes the directory any more, so the turn comes soon.
        let turn = self.published.turn().await;
        let before = up_to_date(&transaction, &turn, &self.secrets).await?;
        let mut plan = Plan::new(&before.directory, self.clock.now().utc);
        let judged = asks
            .iter()
            .map(|ask| plan.judge(&ask.commands, ask.mode, &ask.by));
        let judged: Vec<_> = judged.collect();
        let after = written(&transaction, &before, &plan, &self.secrets).await?;
        let answers = judged.into_iter().map(|judged| {
            let Judged { effects, tried } = judged.map_err(StoreError::Refused)?;
            let directory = tried.map_or_else(|| after.directory.clone(), Arc::new);
            Ok(Executed { directory, effects })
        });
        Ok(Ready {
            answers: answers.collect(),
            transaction,
            turn,
            after,
        })
    }

    /// Whether a commit without an answer has happened after all: the last row that it
    /// wrote to the log is there, once nobody holds the lock that it held.
    async fn find_out(&self, lost: Lost) -> Result<Vec<Answer>, StoreError> {
        let (failure, position, answers) = match lost {
            Lost::NothingCommitted(failure) => return Err(failure.into()),
            Lost::MaybeCommitted(failure, position, answers) => (failure, position, answers),
        };
        let asking = async {
            let mut client = self.pool.get().await?;
            let transaction = client.transaction().await?;
            transaction.batch_execute("SELECT directory_lock()").await?;
            let Position { sequence, at } = position;
            let found = transaction
                .query_typed(
                    "SELECT FROM directory_change WHERE sequence = $1 AND at = $2",
                    &[(&sequence, Type::INT8), (&at, Type::TIMESTAMPTZ)],
                )
                .await?;
            if !found.is_empty() {
                let turn = self.published.turn().await;
                up_to_date(&transaction, &turn, &self.secrets).await?;
            }
            Ok::<_, Failure>(!found.is_empty())
        };
        match timeout(TIME_TO_ASK, asking).await {
            Ok(Ok(true)) => Ok(answers),
            Ok(Ok(false)) => Err(StoreError::Unwritable(failure.to_string())),
            Ok(Err(_)) | Err(_) => Err(StoreError::MaybeDone(failure.to_string())),
        }
    }
}

/// A change that lacks nothing but its commit.
struct Ready<'a> {
    transaction: Transaction<'a>,
    turn: Turn<'a>,
    after: State,
    answers: Vec<Answer>,
}

/// Why there is no answer.
enum Lost {
    NothingCommitted(Failure),
    /// The commit itself; where its log ends, and what it answers if it happened.
    MaybeCommitted(Failure, Position, Vec<Answer>),
}

impl Ready<'_> {
    async fn commit(self) -> Result<Vec<Answer>, Lost> {
        let failure = match timeout(TIME_TO_COMMIT, self.transaction.commit()).await {
            Ok(Ok(())) => {
                self.turn.publish(self.after);
                return Ok(self.answers);
            }
            Ok(Err(error)) => Failure::from(error),
            Err(_) => Failure::Away(NO_ANSWER.into()),
        };
        let position = self.after.position;
        Err(Lost::MaybeCommitted(failure, position, self.answers))
    }
}

/// What is published, brought to where the database is, under the directory's lock.
async fn up_to_date(
    transaction: &Transaction<'_>,
    turn: &Turn<'_>,
    secrets: &Secrets,
) -> Result<State, Failure> {
    let current = turn.current();
    let Some(newer) = catch_up(transaction, &current, secrets).await? else {
        return Ok((*current).clone());
    };
    turn.publish(newer.clone());
    Ok(newer)
}

/// Writes the plan, and reads it back as everybody else will: by the log.
async fn written(
    transaction: &Transaction<'_>,
    before: &State,
    plan: &Plan,
    secrets: &Secrets,
) -> Result<State, Failure> {
    let rows = write(transaction, &before.directory, plan, secrets).await?;
    for record in &plan.audit {
        audit::append_within(transaction, record, plan.now).await?;
    }
    match catch_up(transaction, before, secrets).await? {
        Some(after) => Ok(after),
        // Nothing was asked for but what is so, or each change was taken back by another.
        None if rows == 0 => Ok(before.clone()),
        None => Err(Failure::Failed(
            "the triggers of the directory's tables are missing".into(),
        )),
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
