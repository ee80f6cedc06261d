//! A queue on a real broker.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Clock, Credential, CredentialId, Delivery,
    Destination, Gtid, Recipient, Secret, Severity, SystemClock, UserId, UtcMillis,
    wire::{DeliveryRecord, Place},
};
use kafka::{
    Cluster, FanOut, Format, Keyring, Limits, Publisher, Sealer, Settings, Topics,
    records::{Message, OpenDelivery, open_delivery, read_message},
};
use producer::ports::{AlertPublisher, PublishError};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord},
};
use tests::services::Kafka;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
};
use uuid::Uuid;

/// Longer than anything here takes: what has not come by then never will.
pub(crate) const HANG: Duration = Duration::from_secs(300);

pub(crate) const PARTITIONS: u16 = 3;

pub(crate) const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A queue of its own on a broker.
pub(crate) struct Rig {
    pub(crate) settings: Settings,
    pub(crate) topics: Topics,
    pub(crate) limits: Limits,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) publisher: Publisher,
}

/// A message of the topics of deliveries, as it was found.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) message: OwnedMessage,
    pub(crate) record: Box<DeliveryRecord>,
    pub(crate) open: OpenDelivery,
}

impl Rig {
    pub(crate) async fn new(format: Format) -> Self {
        Self::with(Settings {
            format,
            ..settings(Kafka::shared())
        })
        .await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let cluster = Cluster::find(&settings, HANG).await.unwrap();
        let limits = kafka::prepare(&settings, &cluster).await.unwrap();
        let ring = Keyring::from_environment(KEYS).unwrap();
        let sealer = Arc::new(Sealer::new(settings.format, ring).unwrap());
        Self {
            topics: Topics::new(&settings),
            publisher: Publisher::open(&settings, sealer.clone(), limits, cluster).unwrap(),
            limits,
            sealer,
            settings,
        }
    }

    pub(crate) async fn accept(&self, alert: &AcceptedAlert) -> Result<(), PublishError> {
        self.publisher.publish(alert.clone()).await
    }

    pub(crate) fn fan_out(&self) -> RunningFanOut {
        self.fan_out_with(self.sealer.clone(), Arc::new(SystemClock::start()))
    }

    /// A fan-out of a process with other keys, or at another time.
    pub(crate) fn fan_out_with(&self, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> RunningFanOut {
        let fan_out = FanOut::new(&self.settings, sealer, clock);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            fan_out.run(stopped).await.unwrap();
        });
        RunningFanOut { stop, task }
    }

    /// All that the topics of deliveries hold, once they hold that many different places.
    pub(crate) async fn published(&self, places: usize) -> Vec<Published> {
        let topics = [self.topics.deliveries.clone(), self.topics.high.clone()];
        let reader = reader(&self.settings, &topics);
        let sealer = self.sealer.clone();
        let read = spawn_blocking(move || {
            let mut published: Vec<Published> = Vec::new();
            let mut found = std::collections::BTreeSet::new();
            let began = Instant::now();
            while found.len() < places {
                assert!(
                    began.elapsed() < HANG,
                    "only {} of {places} deliveries are there",
                    found.len()
                );
                let Some(message) = polled(&reader) else {
                    continue;
                };
                let Message::Ours(record) = read_message(&message).unwrap() else {
                    continue;
                };
                let open = open_delivery(&record, &sealer).unwrap();
                found.insert(open.place);
                published.push(Published {
                    message,
                    record,
                    open,
                });
            }
            published
        });
        read.await.unwrap()
    }

    /// The records of a topic, once it holds that many.
    pub(crate) async fn records(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let reader = reader(&self.settings, &[topic.to_owned()]);
        let read = spawn_blocking(move || {
            let began = Instant::now();
            let mut records = Vec::new();
            while records.len() < count {
                assert!(began.elapsed() < HANG, "only {} of {count}", records.len());
                records.extend(polled(&reader));
            }
            records
        });
        read.await.unwrap()
    }

    /// Writes a message as another program would.
    pub(crate) async fn write(&self, topic: &str, partition: i32, payload: Option<&[u8]>) {
        let producer: FutureProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.brokers)
            .create()
            .unwrap();
        let record = FutureRecord::<[u8], [u8]> {
            topic,
            partition: Some(partition),
            payload,
            key: None,
            timestamp: None,
            headers: None,
        };
        producer.send(record, HANG).await.unwrap();
    }

    /// What the fan-out's group has committed.
    pub(crate) async fn committed(&self) -> Option<i64> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.brokers)
            .set("group.id", format!("{}.fanout", self.settings.group))
            .create()
            .unwrap();
        let topic = self.topics.alerts.clone();
        let asked = spawn_blocking(move || {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&topic, 0);
            let answer = consumer.committed_offsets(asked, HANG).unwrap();
            match answer.find_partition(&topic, 0).unwrap().offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            }
        });
        asked.await.unwrap()
    }

    /// Waits until the fan-out's group has a member.
    pub(crate) async fn joined(&self) {
        let group = format!("{}.fanout", self.settings.group);
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.brokers)
            .create()
            .unwrap();
        let asked = spawn_blocking(move || {
            let began = Instant::now();
            while asking
                .fetch_group_list(Some(&group), HANG)
                .unwrap()
                .groups()
                .iter()
                .all(|group| group.members().is_empty())
            {
                assert!(began.elapsed() < HANG, "nobody joins {group}");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        asked.await.unwrap();
    }

    /// Waits until the fan-out has committed that offset.
    pub(crate) async fn committed_to(&self, offset: i64) {
        let began = Instant::now();
        while self.committed().await.unwrap_or(0) < offset {
            assert!(began.elapsed() < HANG, "{offset} is never committed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A sealer that has another key than the rig's.
pub(crate) fn other_sealer() -> Arc<Sealer> {
    let ring = Keyring::from_environment("k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    Arc::new(Sealer::new(Format::Sealed, ring.unwrap()).unwrap())
}

/// Settings with topics of their own, for one broker.
pub(crate) fn settings(kafka: &Kafka) -> Settings {
    let name = Uuid::new_v4();
    Settings {
        brokers: kafka.bootstrap(),
        topic: format!("alerts-{name}"),
        group: format!("group-{name}"),
        partitions: PARTITIONS,
        replication: 1,
        accept_weak_topics: true,
        ..Settings::default()
    }
}

/// A fan-out in this process.
pub(crate) struct RunningFanOut {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningFanOut {
    /// As at the end of the process.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// The next message, if there is one soon. A broker that went away meanwhile is not the
/// reader's concern, which goes on with the others.
fn polled(reader: &BaseConsumer) -> Option<OwnedMessage> {
    match reader.poll(Duration::from_millis(100))? {
        Ok(message) => Some(message.detach()),
        Err(KafkaError::MessageConsumption(
            RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
        )) => None,
        Err(error) => panic!("{error}"),
    }
}

fn reader(settings: &Settings, topics: &[String]) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("group.id", "reader-of-its-own")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), HANG).unwrap();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
    }
    consumer.assign(&all).unwrap();
    consumer
}

/// An alert with deliveries to those channels.
pub(crate) fn alert(severity: Severity, message: &str, channels: &[u32]) -> AcceptedAlert {
    let accepted_at = UtcMillis(SystemClock::start().now().utc.0);
    let alert = Alert {
        id: AlertId::at(accepted_at),
        caller: None,
        gtid: Gtid::parse("request-1").unwrap(),
        severity,
        message: message.into(),
        verbatim: false,
        targets: ["@all".into()].into(),
        accepted_at,
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        deliveries: channels.iter().map(|n| delivery(*n)).collect(),
    }
}

fn delivery(n: u32) -> Delivery {
    Delivery {
        destination: Arc::new(destination(n)),
        credential: Arc::new(Credential {
            id: CredentialId(i64::from(n) + 1),
            secret: Secret::new(format!("xoxb-1234567890-1234567890-abcdefghijkl-{n:012}")),
        }),
        recipients: [Recipient {
            user: UserId(Uuid::from_u128(u128::from(n))),
            target: 0,
        }]
        .into_iter()
        .collect(),
    }
}

pub(crate) fn destination(n: u32) -> Destination {
    Destination::new(ChannelKind::SLACK, "", &format!("C{n:010}"))
}

/// What a reader takes of each topic's partition who drops whatever is not above the
/// highest place before it; and how many it dropped.
pub(crate) fn taken(published: &[Published]) -> (BTreeMap<(String, i32), Vec<Place>>, usize) {
    let mut taken: BTreeMap<(String, i32), Vec<Place>> = BTreeMap::new();
    let mut dropped = 0;
    for one in published {
        let line = (one.message.topic().to_owned(), one.message.partition());
        let places = taken.entry(line).or_default();
        match places.last() {
            Some(highest) if one.open.place <= *highest => dropped += 1,
            _ => places.push(one.open.place),
        }
    }
    (taken, dropped)
}

/// What it must take: the deliveries of these alerts, of which the first has that sequence and
/// each next one the next.
pub(crate) fn expected(
    topics: &Topics,
    first: u64,
    alerts: &[AcceptedAlert],
) -> BTreeMap<(String, i32), Vec<Place>> {
    let mut expected: BTreeMap<(String, i32), Vec<Place>> = BTreeMap::new();
    for (accepted, sequence) in alerts.iter().zip(first..) {
        let topic = topics.of(accepted.alert.severity);
        for (delivery, ordinal) in accepted.deliveries.iter().zip(0..) {
            let partition = kafka::partition_of(delivery.destination.id, PARTITIONS);
            let place = Place { sequence, ordinal };
            let line = (topic.to_owned(), partition);
            expected.entry(line).or_default().push(place);
        }
    }
    expected
}
