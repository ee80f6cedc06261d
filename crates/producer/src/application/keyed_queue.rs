//! A queue with idempotency keys, made of one that has none and a store of keys.
//!
//! A request with a key goes: claim the key for the alert's id, publish the alert, complete
//! the key, answer. Nothing is held open in between. What a crash or a failure leaves, and
//! what the same request finds when it is sent again:
//!
//! | it ended | it left | the next finds |
//! |---|---|---|
//! | before the claim was durable | nothing | a key that nobody has: it is the first |
//! | after the claim, before anything was published | a pending key | the lease over: publishes under the same id |
//! | while publishing, so that nobody knows | a pending key, the alert or not | the same; what is published already is recognised by its id and told once |
//! | after publishing, before the key was complete | a pending key, the alert | the same |
//! | after the key was complete, before the answer | a key that is done | the answer |
//!
//! Publishing that failed while the process lives releases the key, so the next does not
//! wait for the lease to end. A key that cannot be completed is no reason to refuse: the
//! alert is durable, and the next who comes finds a pending key.
//!
//! The recipients are those of whoever publishes. Where the directory changed between two
//! attempts of which both were published, those of the first attempt are told, and those
//! whom only the second names; the answer is always the first's.

use std::sync::Arc;

use async_trait::async_trait;
use common::{AcceptedAlert, Alert, AlertId};

use crate::ports::{
    AcceptError, Acceptance, AlertPublisher, AlertQueue, Claim, IdempotencyKey, IdempotencyKeys,
    KeysError, PublishError,
};

/// A queue with idempotency keys.
pub struct KeyedQueue {
    publisher: Arc<dyn AlertPublisher>,
    keys: Arc<dyn IdempotencyKeys>,
}

impl KeyedQueue {
    /// The queue that `publisher` is, with these keys. Requests without a key do not
    /// concern the keys, and go on while these are away.
    pub fn new(publisher: Arc<dyn AlertPublisher>, keys: Arc<dyn IdempotencyKeys>) -> Self {
        Self { publisher, keys }
    }

    /// Publishes what was claimed, and says how that ended.
    async fn publish(
        &self,
        accepted: AcceptedAlert,
        key: &IdempotencyKey,
    ) -> Result<(), AcceptError> {
        let alert = accepted.alert.id;
        let published = self.publisher.publish(accepted).await;
        let noted = match published {
            Ok(()) => self.keys.complete(key, alert).await,
            Err(_) => self.keys.release(key, alert).await,
        };
        if let Err(error) = noted {
            tracing::warn!(
                alert = %alert,
                accepted = published.is_ok(),
                "the end of a request with an idempotency key could not be noted: {error}"
            );
        }
        published.map_err(|error| refusal(error, alert))
    }
}

#[async_trait]
impl AlertQueue for KeyedQueue {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        let id = accepted.alert.id;
        let Some(key) = key else {
            let published = self.publisher.publish(accepted).await;
            return match published {
                Ok(()) => Ok(Acceptance::Accepted),
                Err(error) => Err(refusal(error, id)),
            };
        };
        match self.keys.claim(&key, id).await {
            Ok(Claim::Claimed) => {
                self.publish(accepted, &key).await?;
                Ok(Acceptance::Accepted)
            }
            Ok(Claim::Pending { alert, answer }) => {
                self.publish(under(alert, accepted), &key).await?;
                Ok(Acceptance::Replayed { answer })
            }
            Ok(Claim::Done { answer }) => Ok(Acceptance::Replayed { answer }),
            Ok(Claim::Conflict) => Err(AcceptError::KeyConflict),
            Err(KeysError::Failed(reason)) => Err(AcceptError::Failed(reason)),
            Err(error @ (KeysError::Away(_) | KeysError::Busy)) => {
                Err(AcceptError::KeyUnknown(error.to_string()))
            }
        }
    }

    fn health(&self) -> Result<(), String> {
        self.publisher.health()
    }
}

/// The alert as the earlier request would have published it.
fn under(id: AlertId, accepted: AcceptedAlert) -> AcceptedAlert {
    let alert = Alert {
        id,
        // An alert is found by the time in its id.
        accepted_at: id.time(),
        ..(*accepted.alert).clone()
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        ..accepted
    }
}

fn refusal(error: PublishError, alert: AlertId) -> AcceptError {
    match error {
        PublishError::Full(reason) => AcceptError::Full(reason),
        PublishError::MaybePublished(reason) => AcceptError::MaybeAccepted { alert, reason },
        PublishError::Failed(reason) => AcceptError::Failed(reason),
    }
}

#[cfg(test)]
mod tests;
