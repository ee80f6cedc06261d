//! Whether alerts can be accepted now.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::client::Cluster;

/// How often a cluster that does not answer is asked, and how long an answer may take.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long the controllers' answer may take, which a new connection is made for.
const CONTROLLERS_ANSWER: Duration = Duration::from_secs(3);
/// How long a cluster that denies a suspicion is asked again: a broker takes some seconds to
/// notice that another is dead (`broker.session.timeout.ms`, 9 s unless set otherwise), and
/// tells of it as if it lived until then.
/// <https://kafka.apache.org/documentation/#brokerconfigs_broker.session.timeout.ms>
const ASKED_FOR: Duration = Duration::from_secs(15);

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
    /// leader and as many brokers in sync as an acknowledgement takes, and the controllers
    /// must be there, without which a broker does not know either.
    pub(crate) async fn watch(self: Arc<Self>, cluster: Cluster, topic: String, insync: usize) {
        loop {
            self.suspicion.notified().await;
            let suspected = Instant::now();
            while suspected.elapsed() < ASKED_FOR || self.check().is_err() {
                self.follow(ask(&cluster, &topic, insync).await);
                tokio::time::sleep(ASKED_EVERY).await;
            }
        }
    }

    /// Opens or closes, as the cluster's answer has it.
    fn follow(&self, answer: Result<(), String>) {
        match answer {
            Ok(()) if self.open() => tracing::info!("Kafka is back, and alerts are accepted"),
            Ok(()) => {}
            Err(reason) => {
                if self.close(reason.clone()) {
                    tracing::warn!("alerts are refused until Kafka is back: {reason}");
                }
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
        Some(_) => cluster
            .is_controlled(topic, CONTROLLERS_ANSWER)
            .await
            .map_err(|reason| format!("Kafka's controllers do not answer: {reason}")),
    }
}
