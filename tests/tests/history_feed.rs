//! The history's feed, from a real Kafka to a real PostgreSQL: shared by producers, through
//! failures of either.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Credential, CredentialId, Delivery, DeliveryId,
    Destination, Gtid, Recipient, Recipients, Secret, Severity, SystemClock, UserId, UtcMillis,
    wire::{AttemptPart, OutcomePart, OutcomeRecord, Place, VERSION},
};
use kafka::{
    Cluster, FeedMetrics, HistoryFeed, Keyring, Publisher, Sealer, Settings, Topics, partition_of,
    prepare,
};
use postgres::Postgres;
use producer::ports::{
    AlertFilter, AlertPublisher, DeliveryState, Event, EventId, Happening, History,
};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tests::services;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use uuid::Uuid;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(120);
const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const PARTITIONS: u16 = 6;

/// Topics of their own, and who writes there.
struct Site {
    settings: Settings,
    topics: Topics,
    sealer: Arc<Sealer>,
    publisher: Publisher,
    outcomes: FutureProducer,
    /// How many alerts there are: the next one's sequence number.
    accepted: u64,
}

/// A producer: its database and its feed.
struct Producer {
    store: Postgres,
    feed: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Producer {
    async fn end(self) {
        drop(self.stop);
        timeout(HANG, self.feed).await.unwrap().unwrap();
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap()
}

/// A database of its own on the server that these tests share.
async fn database() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    blocking(move || services::Postgres::shared().create_database(&format!("feed_{number}"))).await
}

impl Site {
    async fn new() -> Self {
        let brokers = blocking(|| services::Kafka::shared().bootstrap()).await;
        let name = Uuid::new_v4();
        let settings = Settings {
            brokers: brokers.clone(),
            topic: format!("feed-{name}"),
            group: format!("feed-{name}"),
            partitions: PARTITIONS,
            replication: 1,
            accept_weak_topics: true,
            ..Settings::default()
        };
        let cluster = Cluster::find(&settings, HANG).await.unwrap();
        let limits = prepare(&settings, &cluster).await.unwrap();
        let keys = Keyring::from_environment(KEYS).unwrap();
        let sealer = Arc::new(Sealer::new(settings.format, keys).unwrap());
        let publisher = Publisher::open(&settings, sealer.clone(), limits, cluster).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("acks", "all");
        Self {
            topics: Topics::new(&settings),
            settings,
            sealer,
            publisher,
            outcomes: config.create().unwrap(),
            accepted: 0,
        }
    }

    async fn producer(&self, database: &str) -> Producer {
        let settings = postgres::Settings::new(database.parse().unwrap());
        let clock = Arc::new(SystemClock::start());
        let store = Postgres::connect(settings, clock.clone()).await.unwrap();
        let metrics = FeedMetrics::default();
        let feed = HistoryFeed::new(
            &self.settings,
            self.sealer.clone(),
            store.history.clone(),
            clock,
            metrics,
        );
        let (stop, stopped) = oneshot::channel::<()>();
        let feed = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            feed.run(stopped).await.unwrap();
        });
        Producer { store, feed, stop }
    }

    /// Accepts an alert to so many users and has each of its deliveries delivered.
    async fn deliver(&mut self, users: u128) -> AlertId {
        let accepted_at = UtcMillis(1_795_392_000_000);
        let alert = Arc::new(Alert {
            id: AlertId::at(accepted_at),
            gtid: Gtid::random(),
            severity: Severity::Normal,
            message: "node1 down".into(),
            verbatim: false,
            targets: ["@all".into()].into(),
            accepted_at,
        });
        let deliveries: Vec<_> = (0..users).map(delivery).collect();
        let accepted = AcceptedAlert {
            alert: alert.clone(),
            deliveries: deliveries.clone(),
        };
        self.publisher.publish(accepted).await.unwrap();
        let sequence = self.accepted;
        self.accepted += 1;
        for (ordinal, delivery) in deliveries.iter().enumerate() {
            let place = Place {
                sequence,
                ordinal: ordinal as u32,
            };
            let record = delivered(&alert, delivery, place);
            let partition = partition_of(delivery.destination.id, PARTITIONS);
            let value = serde_json::to_vec(&record).unwrap();
            self.publish(partition, &value).await;
        }
        alert.id
    }

    async fn publish(&self, partition: i32, value: &[u8]) {
        let record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&self.topics.outcomes)
            .partition(partition)
            .payload(value);
        self.outcomes.send(record, HANG).await.unwrap();
    }
}

fn delivery(user: u128) -> Delivery {
    Delivery {
        destination: Arc::new(Destination::new(
            ChannelKind::SLACK,
            "",
            &format!("channel{user}"),
        )),
        credential: Arc::new(Credential {
            id: CredentialId(1),
            secret: Secret::new("token"),
        }),
        recipients: Recipients::from_elem(
            Recipient {
                user: UserId(Uuid::from_u128(user)),
                target: 0,
            },
            1,
        ),
    }
}

fn delivered(alert: &Alert, delivery: &Delivery, place: Place) -> OutcomeRecord {
    OutcomeRecord {
        v: VERSION,
        place,
        alert_id: alert.id,
        delivery_id: DeliveryId::of(alert.id, delivery.destination.id, delivery.credential.id),
        destination_id: delivery.destination.id,
        severity: alert.severity,
        at: alert.accepted_at,
        parts_sent: 1,
        attempt: Some(AttemptPart {
            number: 1,
            started_at: alert.accepted_at,
            took_us: 7_250,
            result: "accepted".into(),
            status: Some(200),
            error: None,
            provider_id: Some("1503435956.000247".into()),
        }),
        outcome: OutcomePart::Delivered,
        digest: None,
    }
}

/// The first `count` events, as soon as they have happened.
async fn happen(history: &dyn History, count: usize) -> Vec<Event> {
    let mut happened = Vec::new();
    let mut after = EventId::default();
    let reading = async {
        while happened.len() < count {
            match history.events(after, 1_000).await {
                Ok(events) => {
                    assert!(!events.gap);
                    happened.extend(events.items);
                    after = events.next;
                }
                // It is away for now.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(HANG, reading)
        .await
        .expect("the history catches up");
    happened
}

/// Each alert was accepted once and each of its deliveries delivered once, in that order.
fn assert_told(happened: &[Event], alerts: &[AlertId], users: usize) {
    let told: BTreeSet<_> = happened.iter().map(|event| event.id).collect();
    assert_eq!(told.len(), happened.len());
    for alert in alerts {
        let of = happened.iter().filter(|event| event.alert.id == *alert);
        let mut deliveries = BTreeSet::new();
        for (number, event) in of.enumerate() {
            match &event.happening {
                Happening::Accepted { user_count } => {
                    assert_eq!((number, *user_count), (0, users));
                }
                Happening::Delivery { id, state, .. } => {
                    assert!(number > 0 && *state == DeliveryState::Delivered);
                    assert!(deliveries.insert(*id), "a delivery was told of twice");
                }
            }
        }
        assert_eq!(deliveries.len(), users);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_topics_tell_is_in_the_history() {
    let mut site = Site::new().await;
    let producer = site.producer(&database().await).await;
    let mut alerts = vec![];
    for _ in 0..5 {
        alerts.push(site.deliver(7).await);
    }
    let happened = happen(&*producer.store.history, 5 * 8).await;
    assert_told(&happened, &alerts, 7);
    let detail = producer.store.history.alert(alerts[4], 0, 10).await;
    let detail = detail.unwrap().unwrap();
    assert_eq!(detail.summary.states.of(DeliveryState::Delivered), 7);
    assert_eq!(*detail.deliveries[6].destination.address, *"channel6");
    assert_eq!(detail.deliveries[6].attempts.len(), 1);
    producer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_in_chunks_is_one_alert() {
    let mut site = Site::new().await;
    site.accepted = 10_000;
    let producer = site.producer(&database().await).await;
    let alert = {
        let accepted_at = UtcMillis(1_795_392_000_000);
        let alert = Arc::new(Alert {
            id: AlertId::at(accepted_at),
            gtid: Gtid::random(),
            severity: Severity::Low,
            message: "to everybody".into(),
            verbatim: false,
            targets: ["@all".into()].into(),
            accepted_at,
        });
        let accepted = AcceptedAlert {
            alert: alert.clone(),
            deliveries: (0..20_000).map(delivery).collect(),
        };
        site.publisher.publish(accepted).await.unwrap();
        alert
    };
    let happened = happen(&*producer.store.history, 1).await;
    assert_eq!(happened[0].alert.id, alert.id);
    let page = producer.store.history.alert(alert.id, 19_990, 100).await;
    let page = page.unwrap().unwrap();
    assert_eq!(page.summary.user_count, 20_000);
    assert!(page.summary.sequence > 0, "it came in several records");
    assert_eq!(page.deliveries.len(), 10);
    producer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_nothing_is_lost() {
    let mut site = Site::new().await;
    let mut server = blocking(services::Postgres::start).await;
    let producer = site.producer(&server.url()).await;
    let mut alerts = vec![site.deliver(5).await];
    happen(&*producer.store.history, 6).await;
    let mut server = blocking(move || {
        server.stop();
        server
    })
    .await;
    for _ in 0..20 {
        alerts.push(site.deliver(5).await);
    }
    let server = blocking(move || {
        server.start_again();
        server
    })
    .await;
    let happened = happen(&*producer.store.history, 21 * 6).await;
    assert_told(&happened, &alerts, 5);
    producer.end().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn producers_that_come_and_go_share_the_work_and_tell_of_nothing_twice() {
    let mut site = Site::new().await;
    let database = database().await;
    let steady = site.producer(&database).await;
    let mut alerts = vec![];
    let mut others = vec![];
    for round in 0..4 {
        others.push(site.producer(&database).await);
        for _ in 0..10 {
            alerts.push(site.deliver(6).await);
        }
        // One that ends in order, and one that just ends, in the middle of it.
        let one = others.remove(0);
        match round % 2 {
            0 => one.end().await,
            _ => one.feed.abort(),
        }
    }
    let happened = happen(&*steady.store.history, 40 * 7).await;
    assert_told(&happened, &alerts, 6);
    let page = steady
        .store
        .history
        .alerts(AlertFilter::default(), None, 100);
    let page = page.await.unwrap();
    assert_eq!(page.items.len(), 40);
    let delivered = page
        .items
        .iter()
        .map(|item| item.states.of(DeliveryState::Delivered));
    assert_eq!(delivered.sum::<u64>(), 40 * 6);
    steady.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cannot_be_read_holds_nobody_up() {
    let mut site = Site::new().await;
    let producer = site.producer(&database().await).await;
    let mut alerts = vec![];
    for poison in [&b"no json"[..], b"{}", br#"{"v":99}"#, &[0xff; 70_000]] {
        for partition in 0..i32::from(PARTITIONS) {
            site.publish(partition, poison).await;
        }
        alerts.push(site.deliver(6).await);
    }
    let happened = happen(&*producer.store.history, 4 * 7).await;
    assert_told(&happened, &alerts, 6);
    producer.end().await;
}
