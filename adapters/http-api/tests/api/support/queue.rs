//! A queue in memory.

use async_trait::async_trait;
use common::AcceptedAlert;
use producer::ports::{AcceptError, Acceptance, AlertQueue, IdempotencyKey};

use super::Setting;

/// Remembers what it accepted; refuses when told to.
#[derive(Default)]
pub(crate) struct FakeQueue {
    accepted: Setting<Vec<AcceptedAlert>>,
    keys: Setting<Vec<IdempotencyKey>>,
    refusal: Setting<Option<AcceptError>>,
    ill: Setting<Option<String>>,
}

impl FakeQueue {
    /// The alerts accepted so far.
    pub(crate) fn accepted(&self) -> Vec<AcceptedAlert> {
        self.accepted.lock().unwrap().clone()
    }

    /// The idempotency keys of accepted alerts.
    pub(crate) fn keys(&self) -> Vec<String> {
        let keys = self.keys.lock().unwrap();
        keys.iter().map(|key| key.key.clone()).collect()
    }

    /// Refuses everything from now on.
    pub(crate) fn refuse_with(&self, refusal: AcceptError) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    /// Is not healthy from now on.
    pub(crate) fn fall_ill(&self, reason: &str) {
        *self.ill.lock().unwrap() = Some(reason.to_owned());
    }
}

#[async_trait]
impl AlertQueue for FakeQueue {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            if refusal == AcceptError::Failed("panic".into()) {
                panic!("the fake queue was told to panic");
            }
            return Err(refusal);
        }
        if let Some(key) = key {
            let mut keys = self.keys.lock().unwrap();
            match keys.iter().find(|known| known.key == key.key) {
                Some(known) if known.fingerprint != key.fingerprint => {
                    return Err(AcceptError::KeyConflict);
                }
                Some(known) => {
                    return Ok(Acceptance::Replayed {
                        answer: known.answer.clone(),
                    });
                }
                None => keys.push(key),
            }
        }
        self.accepted.lock().unwrap().push(accepted);
        Ok(Acceptance::Accepted)
    }

    fn health(&self) -> Result<(), String> {
        match &*self.ill.lock().unwrap() {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        }
    }
}
