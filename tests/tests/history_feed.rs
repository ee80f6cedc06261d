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
    AcceptedAlert, Alert, AlertId, ChannelKind, Clock, Credential, CredentialId, Delivery,
    DeliveryId, Destination, Gtid, Now, Recipient, Recipients, Secret, Severity, SystemClock,
    UserId, UtcMillis,
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
use prometheus_client::{encoding::text::encode, registry::Registry};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tests::{contract::ManualClock, services};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(120);
const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// Another key, and the one that all have.
const OTHER_KEYS: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI= \
                          k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// All that is made of the topics (PROTOCOL.md, "History").
const EMPTY_THE_HISTORY: &str = "TRUNCATE alert, alert_repetition, delivery, attempt, digest, \
     adopted_credential, alert_block, feed, history_untold, history_log";
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
    metrics: Registry,
    feed: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Producer {
    /// Waits until a metric has that value.
    async fn until(&self, metric: &str, value: i64) {
        let line = format!("{metric} {value}");
        let told = async {
            loop {
                let mut text = String::new();
                encode(&mut text, &self.metrics).unwrap();
                if text.lines().any(|one| one == line) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let told = timeout(HANG, told).await;
        told.unwrap_or_else(|_| panic!("{line} is never told"));
    }

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
        let clock = Arc::new(SystemClock::start());
        self.producer_with(database, self.sealer.clone(), clock)
            .await
    }

    /// One with other keys, or another time.
    async fn producer_with(
        &self,
        database: &str,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Producer {
        let settings = postgres::Settings::new(database.parse().unwrap(), services::secret_key());
        let store = Postgres::connect(settings, clock.clone()).await.unwrap();
        let counts = FeedMetrics::default();
        let mut metrics = Registry::default();
        counts.register(&mut metrics);
        let feed = HistoryFeed::new(&self.settings, sealer, store.history.clone(), clock, counts);
        let (stop, stopped) = oneshot::channel::<()>();
        let feed = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            feed.run(stopped).await.unwrap();
        });
        Producer {
            store,
            metrics,
            feed,
            stop,
        }
    }

    /// Accepts an alert that is sealed with another key.
    async fn accept_sealed_otherwise(&mut self) -> (AlertId, Arc<Sealer>) {
        let keys = Keyring::from_environment(OTHER_KEYS).unwrap();
        let sealer = Arc::new(Sealer::new(self.settings.format, keys).unwrap());
        let cluster = Cluster::find(&self.settings, HANG).await.unwrap();
        let limits = prepare(&self.settings, &cluster).await.unwrap();
        let publisher = Publisher::open(&self.settings, sealer.clone(), limits, cluster).unwrap();
        let alert = alert(Severity::Normal);
        let accepted = AcceptedAlert {
            alert: alert.clone(),
            deliveries: vec![delivery(0)],
        };
        publisher.publish(accepted).await.unwrap();
        self.accepted += 1;
        (alert.id, sealer)
    }

    /// Accepts an alert to so many users and has each of its deliveries delivered.
    async fn deliver(&mut self, users: u128) -> AlertId {
        let alert = alert(Severity::Normal);
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

fn alert(severity: Severity) -> Arc<Alert> {
    let accepted_at = UtcMillis(1_795_392_000_000);
    Arc::new(Alert {
        id: AlertId::at(accepted_at),
        caller: None,
        gtid: Gtid::random(),
        severity,
        message: "node1 down".into(),
        verbatim: false,
        targets: ["@all".into()].into(),
        accepted_at,
    })
}

/// A connection of the test's own.
async fn connection(database: &str) -> Client {
    let (client, work) = tokio_postgres::connect(database, NoTls).await.unwrap();
    tokio::spawn(work);
    client
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
        let alert = alert(Severity::Low);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_were_made_anew_are_not_taken_for_those_of_before() {
    let mut site = Site::new().await;
    let database = database().await;
    let producer = site.producer(&database).await;
    producer.end().await;
    // What is left of topics that had more.
    let client = connection(&database).await;
    let before = "INSERT INTO history_log (log, next) VALUES (-1, 1000)";
    client.batch_execute(before).await.unwrap();
    let alerts = [site.deliver(6).await];
    let producer = site.producer(&database).await;
    producer.until("history_feed_other_topics", 1).await;
    let count = "SELECT (SELECT count(*) FROM alert) + (SELECT count(*) FROM delivery)";
    let count: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 0);
    // The operators decide that the history of before may go.
    client.batch_execute(EMPTY_THE_HISTORY).await.unwrap();
    let happened = happen(&*producer.store.history, 7).await;
    assert_told(&happened, &alerts, 6);
    producer.until("history_feed_other_topics", 0).await;
    producer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_whose_topic_was_made_anew_are_recorded_from_its_beginning() {
    let mut site = Site::new().await;
    let database = database().await;
    site.producer(&database).await.end().await;
    let client = connection(&database).await;
    let before =
        "INSERT INTO history_log (log, next) SELECT log, 1000 FROM generate_series(0, 5) log";
    client.batch_execute(before).await.unwrap();
    let alerts = [site.deliver(6).await, site.deliver(6).await];
    let producer = site.producer(&database).await;
    let happened = happen(&*producer.store.history, 2 * 7).await;
    assert_told(&happened, &alerts, 6);
    producer.until("history_feed_begun_anew_total", 6).await;
    producer.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_one_process_cannot_open_is_another_s_and_outcomes_go_on() {
    let mut site = Site::new().await;
    let database = database().await;
    let without = site.producer(&database).await;
    let (sealed, sealer) = site.accept_sealed_otherwise().await;
    let alerts = [site.deliver(6).await];
    // The outcomes are there, and no alert.
    let client = connection(&database).await;
    let recorded = async {
        loop {
            let count = "SELECT count(*) FROM delivery";
            if client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) == 6 {
                return;
            }
        }
    };
    timeout(HANG, recorded).await.expect("the outcomes go on");
    let clock = Arc::new(SystemClock::start());
    let with = site.producer_with(&database, sealer, clock).await;
    let happened = happen(&*with.store.history, 8).await;
    assert_eq!(happened[0].alert.id, sealed);
    assert_told(&happened[1..], &alerts, 6);
    with.end().await;
    without.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_nobody_can_open_is_left_out_in_the_end_and_counted() {
    let mut site = Site::new().await;
    let (_, _) = site.accept_sealed_otherwise().await;
    let (_, _) = site.accept_sealed_otherwise().await;
    let alerts = [site.deliver(6).await];
    // Both were written years ago, and it tries for as long already whenever it looks.
    let clock = Arc::new(Hurrying(ManualClock::default()));
    let producer = site
        .producer_with(&database().await, site.sealer.clone(), clock)
        .await;
    let happened = happen(&*producer.store.history, 7).await;
    assert_told(&happened, &alerts, 6);
    producer.until("history_feed_left_out_total", 2).await;
    producer
        .until("history_feed_behind_records{topic=\"alerts\"}", 0)
        .await;
    producer.end().await;
}

/// A clock that is years on whenever somebody looks.
struct Hurrying(ManualClock);

impl Clock for Hurrying {
    fn now(&self) -> Now {
        self.0.advance(Duration::from_secs(365 * 24 * 3_600));
        self.0.now()
    }
}
