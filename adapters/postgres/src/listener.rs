//! The connection that listens: it follows what other processes change, and wakes who
//! waits for them. It comes back by itself when it was lost, and catches up.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::RngExt;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_postgres::{AsyncMessage, Client, IsolationLevel, Notification};

use crate::{
    directory::{Published, catch_up},
    error::{Failure, NO_ANSWER, NoConnection, describe},
    history::{End, FEED},
    secrets::Secrets,
    server::{Driver, Server},
    task::AbortOnDrop,
};

/// The channels of NOTIFY. A word that is lost costs time alone: all it says is to look.
/// What there is to read may be everything, so that a statement may take as long as that.
const LISTEN: &str = "SET statement_timeout = '60s';
     LISTEN directory_change; LISTEN idempotency_key; LISTEN history_feed";
const DIRECTORY_CHANGE: &str = "directory_change";

/// How often it is looked without a word, so that a connection that is dead without
/// knowing it is found out.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the database may take for next to nothing.
const ANSWER: Duration = Duration::from_secs(5);

/// How long reading what changed may take, which may be everything.
const CATCH_UP: Duration = Duration::from_secs(60);

/// How long after a lost connection the next is tried: the first time, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How many words are kept for who reads them. More are dropped: each says only to look.
const WORDS: usize = 64;

/// Whether the database answers, and why not.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Mutex<Option<String>>>);

impl Health {
    pub(crate) fn get(&self) -> Result<(), String> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// Sets it; says whether it went from well to ill or back.
    fn set(&self, health: Result<(), String>) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_well = current.is_none();
        *current = health.err();
        was_well != current.is_none()
    }
}

/// What listens, and for whom.
pub(crate) struct Listener {
    pub(crate) server: Server,
    pub(crate) published: Arc<Published>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) health: Health,
    /// Marked as changed when an idempotency key was, somewhere.
    pub(crate) keys: watch::Sender<()>,
    /// Learns how far the history's feed goes.
    pub(crate) history: End,
}

impl Listener {
    /// Listens for ever.
    pub(crate) async fn run(self) {
        let mut wait = FIRST_WAIT;
        loop {
            let lost = match self.server.connect().await {
                Ok((client, driver)) => self.listen(client, driver, &mut wait).await,
                Err(
                    NoConnection::Unreachable(reason)
                    | NoConnection::Refused(reason)
                    | NoConnection::Tls(reason),
                ) => reason,
            };
            if self.health.set(Err(lost.clone())) {
                tracing::warn!(
                    database = self.server.place(),
                    reason = lost,
                    "PostgreSQL is away: the directory is used as it was, and cannot be changed"
                );
            }
            // Half of it at random, so that many do not come back at once.
            let share = rand::rng().random_range(0.5..=1.0);
            tokio::time::sleep(wait.mul_f64(share)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Listens on a connection until it is lost; says why.
    async fn listen(&self, mut client: Client, driver: Driver, wait: &mut Duration) -> String {
        let (words, mut heard) = mpsc::channel(WORDS);
        let _driving = AbortOnDrop(tokio::spawn(drive(driver, words, self.history.clone())));
        let begun = timeout(ANSWER, client.batch_execute(LISTEN)).await;
        let begun = begun
            .map_err(|_| NO_ANSWER.into())
            .and_then(|done| done.map_err(|e| describe(&e)));
        if let Err(reason) = begun {
            return reason;
        }
        // What was said before it listened.
        self.keys.send_replace(());
        loop {
            if let Err(failure) = self.follow(&mut client).await {
                return failure.to_string();
            }
            *wait = FIRST_WAIT;
            if self.health.set(Ok(())) {
                tracing::info!(database = self.server.place(), "PostgreSQL is back");
            }
            if !self.wait_for_change(&mut heard).await {
                return "the connection was closed".into();
            }
        }
    }

    /// Waits for word of a change of the directory, or for the next heartbeat; `false`
    /// where the connection has ended.
    async fn wait_for_change(&self, heard: &mut mpsc::Receiver<Notification>) -> bool {
        let deadline = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(deadline);
        loop {
            let word = tokio::select! {
                word = heard.recv() => word,
                () = &mut deadline => return true,
            };
            match word {
                None => return false,
                Some(word) if word.channel() == DIRECTORY_CHANGE => return true,
                Some(_) => {
                    self.keys.send_replace(());
                }
            }
        }
    }

    /// Brings what is published up to date.
    async fn follow(&self, client: &mut Client) -> Result<(), Failure> {
        let away = |_| Failure::Away(NO_ANSWER.into());
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let transaction = timeout(ANSWER, transaction).await.map_err(away)??;
        // It answers, so it is worth the turn. What it sees is settled by the next query.
        let turn = self.published.turn().await;
        let current = turn.current();
        let newer = catch_up(&transaction, &current, &self.secrets);
        if let Some(newer) = timeout(CATCH_UP, newer).await.map_err(away)?? {
            turn.publish(newer);
        }
        drop(turn);
        let feed = self.history.look(&transaction);
        timeout(ANSWER, feed).await.map_err(away)??;
        timeout(ANSWER, transaction.commit())
            .await
            .map_err(away)??;
        Ok(())
    }
}

/// Moves the connection along, and passes on what it is told.
async fn drive(mut driver: Driver, words: mpsc::Sender<Notification>, history: End) {
    loop {
        match std::future::poll_fn(|context| driver.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(word))) if word.channel() == FEED => {
                history.heard(word.payload());
            }
            Some(Ok(AsyncMessage::Notification(word))) => {
                // Full: who reads has as many reasons to look already.
                let _ = words.try_send(word);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(
                    reason = describe(&error),
                    "the listening connection was lost"
                );
                return;
            }
            None => return,
        }
    }
}
