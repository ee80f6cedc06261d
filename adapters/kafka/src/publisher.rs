//! The accepting end of the queue: alerts on their way into the topic of alerts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use common::{
    AcceptedAlert,
    wire::{AlertRecord, MAX_SERVED},
};
use producer::ports::{AlertPublisher, PublishError};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::Producer,
};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    client::{self, Cluster, Events},
    error::OpenError,
    gate::Gate,
    records::{Outgoing, alert_records},
    sealer::Sealer,
    sending::{self, Answering},
    settings::Settings,
    topics::{Limits, Topics},
};

/// How much may wait in memory to be acknowledged: alerts, and kilobytes.
const MAX_WAITING: &str = "50000";
const MAX_WAITING_KB: &str = "65536";
/// Deliveries above which an alert is packed where it holds nobody up, and above which
/// one is in memory at a time.
const MANY: usize = 256;
const VERY_MANY: usize = 2_000;
/// The longest alert, in bytes of all its records: what every fan-out has room for. A hundred
/// thousand recipients with tokens of sixty characters take 30 MB.
const MAX_ALERT: usize = 128 << 20;
/// Chunks of one alert that are under way at once.
const CHUNKS_UNDER_WAY: usize = 16;

/// Publishes alerts.
pub struct Publisher {
    config: ClientConfig,
    producer: Mutex<Arc<Answering>>,
    topics: Topics,
    partitions: u16,
    sealer: Arc<Sealer>,
    limits: Limits,
    gate: Arc<Gate>,
    watching: JoinHandle<()>,
    /// One long alert at a time, so that its chunks and its text are in memory once.
    long: Semaphore,
}

impl Publisher {
    /// A publisher to topics that are [prepared](crate::prepare).
    pub fn open(
        settings: &Settings,
        sealer: Arc<Sealer>,
        limits: Limits,
        cluster: Cluster,
    ) -> Result<Self, OpenError> {
        let topics = Topics::new(settings);
        let gate = Arc::new(Gate::default());
        let config = config(settings);
        let producer = Mutex::new(Arc::new(connect(&config, &gate)?));
        let watch = gate
            .clone()
            .watch(cluster, topics.alerts.clone(), limits.in_sync);
        Ok(Self {
            config,
            producer,
            topics,
            partitions: settings.partitions,
            sealer,
            limits,
            gate,
            watching: tokio::spawn(watch),
            long: Semaphore::new(1),
        })
    }

    /// Whether anything can be published now; else why not.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.gate.check()
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.partitions
    }

    pub(crate) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Waits until what was sent is acknowledged or has failed, for that long at most.
    pub async fn flush(&self, within: Duration) {
        let producer = self.producer();
        let flushed = client::blocking(move || producer.producer().flush(within)).await;
        if let Err(error) = flushed {
            tracing::warn!(%error, "alerts were under way at the end, and nobody was told of them");
        }
    }

    /// Publishes one record: `Ok` when it is acknowledged.
    async fn publish_one(&self, record: &AlertRecord) -> Result<(), PublishError> {
        let published = async { self.send_alert(record)?.acknowledged().await };
        published.await.map_err(PublishError::from)
    }

    fn send_alert(&self, record: &AlertRecord) -> Result<Sent<'_>, Failure> {
        self.send(&Outgoing::alert(&self.topics, record))
    }

    /// Hands a record to the client.
    pub(crate) fn send(&self, outgoing: &Outgoing) -> Result<Sent<'_>, Failure> {
        let producer = self.producer();
        match producer.send(outgoing) {
            Ok(sent) => Ok(Sent {
                publisher: self,
                producer,
                sent,
            }),
            Err(error) => {
                self.replace_where_dead(&producer);
                Err(Failure::before(&error))
            }
        }
    }

    /// All chunks but the last, some at once and in order; then the last, which makes the
    /// alert accepted.
    async fn publish_chunks(&self, records: Vec<AlertRecord>) -> Result<(), PublishError> {
        let Some((last, others)) = records.split_last() else {
            return Ok(());
        };
        for some in others.chunks(CHUNKS_UNDER_WAY) {
            let sent: Vec<_> = some.iter().map(|record| self.send_alert(record)).collect();
            for sent in sent {
                // Whatever became of them: without their last they are nobody's alert.
                let acknowledged = async { sent?.acknowledged().await };
                acknowledged.await.map_err(Failure::nothing_accepted)?;
            }
        }
        self.publish_one(last).await
    }

    /// Refuses what could not be handed on: a delivery that no topic takes, or an alert
    /// that no fan-out has room for.
    fn check_size(&self, accepted: &AcceptedAlert) -> Result<(), PublishError> {
        let message = accepted.alert.message.len();
        let longest = accepted
            .deliveries
            .iter()
            .map(|delivery| {
                delivery.credential.secret.expose().len()
                    + delivery.destination.address.len()
                    + delivery.destination.base_url.len()
            })
            .max();
        // At worst each byte takes six in JSON; sealed it takes less.
        const ENVELOPE: usize = 2048 + MAX_SERVED * 48;
        let needed = longest.map_or(0, |longest| ENVELOPE + 6 * (message + longest));
        if needed > self.limits.record {
            return Err(PublishError::Failed(format!(
                "a delivery of up to {needed} bytes is longer than Kafka takes ({}); raise kafka.message.max.bytes and max.message.bytes of the topics",
                self.limits.record
            )));
        }
        Ok(())
    }

    async fn pack(&self, accepted: AcceptedAlert) -> Result<Vec<AlertRecord>, PublishError> {
        let room = self.limits.record;
        if accepted.deliveries.len() <= MANY {
            return Ok(alert_records(&accepted, &self.sealer, room));
        }
        let sealer = self.sealer.clone();
        spawn_blocking(move || alert_records(&accepted, &sealer, room))
            .await
            .map_err(|error| PublishError::Failed(error.to_string()))
    }

    fn producer(&self) -> Arc<Answering> {
        self.lock().clone()
    }

    /// librdkafka gives an idempotent producer up where it cannot keep its promise; the
    /// alerts it had are answered, and another one takes its place.
    fn replace_where_dead(&self, dead: &Arc<Answering>) {
        let Some((code, reason)) = dead.producer().client().fatal_error() else {
            return;
        };
        let mut producer = self.lock();
        if !Arc::ptr_eq(&producer, dead) {
            return;
        }
        match connect(&self.config, &self.gate) {
            Ok(new) => {
                tracing::warn!(error = %code, "the producer of alerts began anew: {reason}");
                *producer = Arc::new(new);
            }
            Err(error) => tracing::error!(%error, "the producer of alerts cannot begin anew"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Answering>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AlertPublisher for Publisher {
    async fn publish(&self, accepted: AcceptedAlert) -> Result<(), PublishError> {
        self.gate.check().map_err(PublishError::Full)?;
        self.check_size(&accepted)?;
        let mut turn = None;
        if accepted.deliveries.len() > VERY_MANY {
            turn = Some(self.long.acquire().await);
        }
        let records = self.pack(accepted).await?;
        match &records[..] {
            [record] => self.publish_one(record).await?,
            _ => {
                if turn.is_none() {
                    turn = Some(self.long.acquire().await);
                }
                let bytes: usize = records.iter().map(|one| one.body.expose().len()).sum();
                if bytes > MAX_ALERT {
                    return Err(PublishError::Failed(format!(
                        "an alert of {bytes} bytes is longer than can be handed on ({MAX_ALERT}); split its targets"
                    )));
                }
                self.publish_chunks(records).await?;
            }
        }
        drop(turn);
        Ok(())
    }

    fn health(&self) -> Result<(), String> {
        self.gate.check()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// A record on its way.
pub(crate) struct Sent<'a> {
    publisher: &'a Publisher,
    producer: Arc<Answering>,
    sent: sending::Sent,
}

impl Sent<'_> {
    /// Waits until the brokers have it.
    pub(crate) async fn acknowledged(self) -> Result<(), Failure> {
        let Err(error) = self.sent.answer().await else {
            return Ok(());
        };
        self.publisher.gate.suspect();
        self.publisher.replace_where_dead(&self.producer);
        Err(Failure::after(&error))
    }
}

/// Why a record is not known to be in its topic.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) enum Failure {
    /// There is no room for it in memory.
    NoRoom(String),
    /// It certainly is not.
    Refused(String),
    /// It may be.
    Unknown(String),
}

impl Failure {
    /// It never left the process.
    fn before(error: &KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => {
                Self::NoRoom("as many alerts wait for Kafka as there is room for".into())
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Self::too_large(error),
            _ => Self::Refused(error.to_string()),
        }
    }

    /// It was sent, or was to be.
    fn after(error: &KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
                Self::too_large(error)
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => Self::Refused(error.to_string()),
            _ => Self::Unknown(error.to_string()),
        }
    }

    fn too_large(error: &KafkaError) -> Self {
        Self::Refused(format!(
            "{error}; raise kafka.message.max.bytes and max.message.bytes of the topics"
        ))
    }

    /// What it means where it cannot have made an alert accepted.
    fn nothing_accepted(self) -> PublishError {
        match self {
            Self::NoRoom(reason) | Self::Unknown(reason) => PublishError::Full(reason),
            Self::Refused(reason) => PublishError::Failed(reason),
        }
    }
}

impl From<Failure> for PublishError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoRoom(reason) => PublishError::Full(reason),
            Failure::Refused(reason) => PublishError::Failed(reason),
            Failure::Unknown(reason) => PublishError::MaybePublished(reason),
        }
    }
}

fn config(settings: &Settings) -> ClientConfig {
    let mut config = client::producer(settings);
    let timeout = settings.delivery_timeout.as_millis().to_string();
    config
        .set("message.timeout.ms", timeout)
        .set("queue.buffering.max.messages", MAX_WAITING)
        .set("queue.buffering.max.kbytes", MAX_WAITING_KB);
    config
}

fn connect(config: &ClientConfig, gate: &Arc<Gate>) -> Result<Answering, OpenError> {
    let gate = gate.clone();
    let events = Events::heard_by("alerts", move |_, _| gate.suspect());
    Answering::answering(config, events)
}
