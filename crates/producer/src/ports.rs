//! What the producer needs from the outside.

use std::sync::Arc;

use async_trait::async_trait;
use common::AcceptedAlert;

use crate::domain::{Command, Directory, DirectoryError, Effect};

/// The queue, seen from its accepting end.
#[async_trait]
pub trait AlertQueue: Send + Sync {
    /// Takes an alert with all its deliveries, or none of it. `Ok` means durable:
    /// neither `kill -9` nor a power cut loses it.
    ///
    /// With a key, a repeated call with the same request is [`Replayed`](Acceptance::Replayed)
    /// and takes nothing; without one it is another alert.
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError>;

    /// Whether alerts can be accepted now; else why not. Answers from memory.
    fn health(&self) -> Result<(), String>;
}

/// What became of an alert handed to the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is durable and on its way.
    Accepted,
    /// An earlier request with this key was this same request; here is its answer.
    Replayed {
        /// [`IdempotencyKey::answer`] of that request.
        answer: String,
    },
}

/// Names a request, so that it counts once however often it is sent.
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is: the id of the caller's API token, empty without one.
    pub scope: String,
    /// The key as the caller sent it.
    pub key: String,
    /// Tells one request from another under the same key.
    pub fingerprint: [u8; 16],
    /// The answer to give again, in the form that the use case chose.
    pub answer: String,
}

/// Why the queue did not take an alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// An earlier, different request used this key.
    #[error("this idempotency key was used for another request")]
    KeyConflict,
    /// Nothing more can be stored; nothing of the alert was.
    #[error("the queue is full: {0}")]
    Full(String),
    /// The store failed at a point where the alert may have been taken.
    #[error("the alert may have been accepted: {0}")]
    MaybeAccepted(String),
    /// Anything else; nothing of the alert was stored.
    #[error("the queue failed: {0}")]
    Failed(String),
}

/// Where the directory is kept.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// The directory as of now, from memory.
    fn snapshot(&self) -> Arc<Directory>;

    /// Carries out `commands` in order, durably, all or none. When it answers
    /// `Ok`, [`snapshot`](Self::snapshot) has it, except in a [`Mode::DryRun`].
    ///
    /// A repeated call is judged by the directory as it then is: a put finds
    /// everything unchanged, a creation finds its id or name taken.
    async fn execute(&self, commands: Vec<Command>, mode: Mode) -> Result<Executed, StoreError>;
}

/// Whether commands are carried out or only judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Carry them out.
    Commit,
    /// Judge them and change nothing.
    DryRun,
}

/// What commands came to.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The directory right after them.
    pub directory: Arc<Directory>,
    /// One for each command.
    pub effects: Vec<Effect>,
}

/// Why commands were not carried out. None of them was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The directory's rules forbid some: each one's place in the list, and why.
    #[error("{} of the changes cannot be made", .0.len())]
    Refused(Vec<(usize, DirectoryError)>),
    /// The store cannot be written now.
    #[error("the directory cannot be written: {0}")]
    Unwritable(String),
    /// Anything else.
    #[error("the directory failed: {0}")]
    Failed(String),
}
