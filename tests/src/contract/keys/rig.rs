//! What the behaviours of keys are shown with.

use std::sync::Arc;

use common::AlertId;
use producer::ports::{Claim, IdempotencyKey, IdempotencyKeys, KeysError};
use tokio::task::JoinSet;

use super::{KeysUnderTest, ManualClock};

/// Keys under test.
pub(super) struct Rig<K> {
    keys: K,
    pub(super) port: Arc<dyn IdempotencyKeys>,
    pub(super) clock: Arc<ManualClock>,
}

impl<K: KeysUnderTest> Rig<K> {
    pub(super) async fn empty() -> Self {
        let clock = Arc::new(ManualClock::default());
        let keys = K::open(clock.clone()).await;
        Self {
            port: keys.port(),
            keys,
            clock,
        }
    }

    pub(super) async fn restart(self) -> Self {
        drop(self.port);
        let keys = self.keys.restart().await;
        Self {
            port: keys.port(),
            keys,
            ..self
        }
    }

    pub(super) async fn end_leases(&self) {
        self.keys.end_leases().await;
    }

    pub(super) async fn claim(&self, key: &IdempotencyKey) -> (AlertId, Claim) {
        let alert = AlertId::generate();
        (alert, self.port.claim(key, alert).await.unwrap())
    }

    /// A new key, claimed.
    pub(super) async fn claimed(&self, key: &IdempotencyKey) -> AlertId {
        let (alert, claim) = self.claim(key).await;
        assert_eq!(claim, Claim::Claimed);
        alert
    }

    /// That many claims at once, each with an alert id of its own; the number goes to
    /// `key`. Whoever is to publish does so and completes the key. The answers, with the
    /// ids under which was published.
    pub(super) async fn at_once(
        &self,
        count: u8,
        key: impl Fn(u8) -> IdempotencyKey,
    ) -> Vec<(u8, Result<Claim, KeysError>, Option<AlertId>)> {
        let mut calls = JoinSet::new();
        for n in 0..count {
            let (port, key) = (self.port.clone(), key(n));
            calls.spawn(async move {
                let own = AlertId::generate();
                let claim = port.claim(&key, own).await;
                let published = match &claim {
                    Ok(Claim::Claimed) => Some(own),
                    Ok(Claim::Pending { alert, .. }) => Some(*alert),
                    _ => None,
                };
                if let Some(alert) = published {
                    port.complete(&key, alert).await.unwrap();
                }
                (n, claim, published)
            });
        }
        calls.join_all().await
    }
}

pub(super) fn key(fingerprint: u8, answer: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: String::new(),
        key: "key1".into(),
        fingerprint: [fingerprint; 16],
        answer: answer.into(),
    }
}

pub(super) fn done(answer: &str) -> Claim {
    let answer = answer.into();
    Claim::Done { answer }
}
