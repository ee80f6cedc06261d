//! Idempotency keys, for a queue that cannot keep them itself.

use async_trait::async_trait;
use common::AlertId;

use super::IdempotencyKey;

/// Which requests were answered, by the key that their caller gave them: shared by every
/// process that takes requests, and kept for 24 hours.
///
/// A key goes from *claimed* to *done*. Whoever claimed it may die in between, so a claim
/// is a lease: when it is over, the next who asks is told to go on under the same alert id.
/// So one alert at most is ever published under a key, maybe several times.
#[async_trait]
pub trait IdempotencyKeys: Send + Sync {
    /// Takes `key` for `alert`, or says who has it. `Ok(Claimed)` is durable.
    ///
    /// While another call publishes under the key, this one waits for its end, for some
    /// seconds at most: of many twins at once, one is told to publish and all others what
    /// it answered. A repeated call is a twin of the first, also of one that failed: its
    /// question may have arrived.
    async fn claim(&self, key: &IdempotencyKey, alert: AlertId) -> Result<Claim, KeysError>;

    /// The alert of that id is durable: from now on every twin is told so. Twins that wait
    /// are woken. Fine where it is so already, or where the key is no longer known.
    async fn complete(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError>;

    /// Publishing has failed, or may have: nobody publishes it now, and the next who asks
    /// need not wait. The key keeps its alert id. Fine where it is so already.
    async fn release(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError>;
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller's: to publish, then to be completed or released.
    Claimed,
    /// That of an earlier call for the same request, which did not end: it died, failed or
    /// hangs, and its alert may be out or not. To be published (again) under that id, then
    /// completed or released; the answer is the earlier one.
    Pending {
        /// The id that the earlier call claimed it for.
        alert: AlertId,
        /// [`IdempotencyKey::answer`] of the earlier call.
        answer: String,
    },
    /// The same request's, and its alert is durable.
    Done {
        /// [`IdempotencyKey::answer`] of that request.
        answer: String,
    },
    /// A different request's.
    Conflict,
}

/// Why nothing is known of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The store cannot be reached or written now.
    #[error("idempotency keys cannot be looked up: {0}")]
    Away(String),
    /// The same request is being published, and has been for too long to wait.
    #[error("the same request is still being accepted")]
    Busy,
    /// Anything else.
    #[error("looking up an idempotency key failed: {0}")]
    Failed(String),
}
