//! Whether alerts can be accepted now.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::client::Cluster;

/// How often a cluster that does not answer is asked, and how long an answer may take.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Whether alerts can be accepted now. Open until somebody has a suspicion and the
/// cluster, when asked, confirms it; then closed until it answers again. While it is open
/// nobody asks anything.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    suspicion: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Why it is closed.
    closed: Option<String>,
}

impl Gate {
    /// Whether it is open; else why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.lock().closed {
            None => Ok(()),
            Some(reason) => Err(reason.clone()),
        }
    }

    /// Something failed, and the cluster is to be asked.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Asks the cluster whenever there is a suspicion, until dropped. The topic must have a
    /// leader and as many brokers in sync as an acknowledgement takes.
    pub(crate) async fn watch(self: Arc<Self>, cluster: Cluster, topic: String, insync: usize) {
        loop {
            self.suspicion.notified().await;
            while let Err(reason) = ask(&cluster, &topic, insync).await {
                if self.close(reason.clone()) {
                    tracing::warn!("alerts are refused until Kafka is back: {reason}");
                }
                tokio::time::sleep(ASKED_EVERY).await;
            }
            if self.open() {
                tracing::info!("Kafka is back, and alerts are accepted");
            }
        }
    }

    /// Answers whether it was open.
    fn close(&self, reason: String) -> bool {
        self.lock().closed.replace(reason).is_none()
    }

    /// Answers whether it was closed.
    fn open(&self) -> bool {
        self.lock().closed.take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(cluster: &Cluster, topic: &str, insync: usize) -> Result<(), String> {
    let facts = cluster
        .topic_within(topic, ASKED_EVERY)
        .await
        .map_err(|error| error.to_string())?;
    match facts {
        None => Err(format!("the topic {topic} is gone")),
        Some(facts) if !facts.is_led => Err(format!("the topic {topic} has no leader")),
        Some(facts) if facts.in_sync < insync => Err(format!(
            "the topic {topic} has {} brokers in sync, and {insync} must acknowledge",
            facts.in_sync
        )),
        Some(_) => Ok(()),
    }
}
