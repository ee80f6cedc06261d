//! The queue, seen from its accepting end.

use async_trait::async_trait;
use common::{AcceptedAlert, AlertId};

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
    /// Whether the key was used before cannot be found out now; nothing of the alert was
    /// stored.
    #[error("the idempotency key cannot be looked up: {0}")]
    KeyUnknown(String),
    /// Nothing more can be stored; nothing of the alert was.
    #[error("the queue is full: {0}")]
    Full(String),
    /// The store failed at a point where the alert may have been taken.
    #[error("the alert may have been accepted: {reason}")]
    MaybeAccepted {
        /// The id under which it was, if it was: with a key that an earlier request used
        /// too, that request's.
        alert: AlertId,
        /// What failed.
        reason: String,
    },
    /// Anything else; nothing of the alert was stored.
    #[error("the queue failed: {0}")]
    Failed(String),
}
