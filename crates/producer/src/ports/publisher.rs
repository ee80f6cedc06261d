//! A queue that keeps no idempotency keys, seen from its accepting end.

use async_trait::async_trait;
use common::AcceptedAlert;

/// A queue that keeps no idempotency keys, seen from its accepting end;
/// [`KeyedQueue`](crate::application::KeyedQueue) makes an
/// [`AlertQueue`](super::AlertQueue) of it.
#[async_trait]
pub trait AlertPublisher: Send + Sync {
    /// Takes an alert with all its deliveries, or none of it. `Ok` means durable.
    ///
    /// A repeated call with an alert of the same id tells nobody a second time, as long as
    /// the consumers remember the first.
    async fn publish(&self, accepted: AcceptedAlert) -> Result<(), PublishError>;

    /// Whether alerts can be published now; else why not. Answers from memory.
    fn health(&self) -> Result<(), String>;
}

/// Why an alert was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing more can be stored now; nothing of the alert was.
    #[error("the queue is full or away: {0}")]
    Full(String),
    /// The queue failed at a point where it may have the alert.
    #[error("the alert may have been published: {0}")]
    MaybePublished(String),
    /// Anything else; nothing of the alert was stored.
    #[error("the queue failed: {0}")]
    Failed(String),
}
