//! The history's and the control's behaviours, shown by the scaled-out form: alerts go
//! through a real Kafka to a lane, what becomes of them goes through it to a real
//! PostgreSQL, and so does what a person wants done.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{AcceptedAlert, Clock, Severity};
use kafka::{
    Cluster, FanOut, FeedMetrics, HistoryFeed, Keyring, Limits, Publisher, Sealer, Settings,
    Topics,
    lanes::{Alone, ledger::Feed},
    prepare,
};
use postgres::Postgres;
use producer::{
    application::{KeyedQueue, RemoteControl},
    ports::{
        self, AlertPublisher, AskError, Batch, ConsumerRequest, Consumers, HistoryWriter,
        PublishError, RecordError,
    },
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use tests::{
    contract::{
        ManualClock,
        history::{HistoryPorts, HistoryUnderTest},
        queue::QueuePorts,
    },
    services,
};
use tokio::{
    sync::{oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(120);
const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Topics and a database of their own. The topics have one partition, which one lane has.
struct ScaledOut {
    settings: Settings,
    sealer: Arc<Sealer>,
    limits: Limits,
    clock: Arc<ManualClock>,
    queue: Arc<Queue>,
    database: String,
    producer: Producer,
    fan_out: Task,
}

/// What a producer is to the history: the database, and the feed that writes there.
struct Producer {
    store: Postgres,
    recorded: watch::Sender<Recorded>,
    feed: Task,
}

/// A task that goes on until it is stopped.
struct Task {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Task {
    async fn end(self) {
        drop(self.stop);
        timeout(HANG, self.task).await.unwrap().unwrap();
    }
}

/// Where the history has come to in each topic.
#[derive(Clone, Copy, Default)]
struct Recorded {
    alerts: u64,
    outcomes: u64,
}

/// A history that tells where it has come to.
struct Followed {
    history: Arc<dyn HistoryWriter>,
    recorded: watch::Sender<Recorded>,
}

#[async_trait]
impl HistoryWriter for Followed {
    async fn record(&self, batch: Batch) -> Result<(), RecordError> {
        let alerts = batch.alerts.last().map(|last| last.sequence + 1);
        let outcomes = batch.outcomes.last().map(|last| last.position + 1);
        self.history.record(batch).await?;
        self.recorded.send_modify(|recorded| {
            recorded.alerts = recorded.alerts.max(alerts.unwrap_or_default());
            recorded.outcomes = recorded.outcomes.max(outcomes.unwrap_or_default());
        });
        Ok(())
    }

    async fn recorded(&self) -> Result<ports::Recorded, RecordError> {
        self.history.recorded().await
    }

    async fn begin_anew(&self, log: u32, next: u64) -> Result<(), RecordError> {
        self.history.begin_anew(log, next).await
    }
}

/// The queue's ends. Accepting and asking answer when the lane has what was accepted or
/// asked for: it gets there a little later than the answer.
struct Queue {
    publisher: Publisher,
    /// Deliveries accepted, high ones and others, and requests.
    high: AtomicU64,
    main: AtomicU64,
    asked: AtomicU64,
    lane: RwLock<Option<Arc<Alone>>>,
}

impl Queue {
    fn lane(&self) -> Arc<Alone> {
        let lane = self.lane.read().unwrap();
        lane.clone().expect("a process has the partition")
    }
}

#[async_trait]
impl AlertPublisher for Queue {
    async fn publish(&self, accepted: AcceptedAlert) -> Result<(), PublishError> {
        let count = accepted.deliveries.len() as u64;
        let (feed, counter) = match accepted.alert.severity {
            Severity::High => (Feed::High, &self.high),
            Severity::Normal | Severity::Low => (Feed::Main, &self.main),
        };
        self.publisher.publish(accepted).await?;
        let all = counter.fetch_add(count, Ordering::SeqCst) + count;
        let lane = self.lane();
        let read = timeout(HANG, lane.until_read(feed, all)).await;
        read.expect("the lane reads what was accepted");
        Ok(())
    }

    fn health(&self) -> Result<(), String> {
        self.publisher.health()
    }
}

#[async_trait]
impl Consumers for Queue {
    async fn ask(&self, requests: Vec<ConsumerRequest>) -> Result<(), AskError> {
        // With one partition each request is one record.
        let count = requests.len() as u64;
        self.publisher.ask(requests).await?;
        let all = self.asked.fetch_add(count, Ordering::SeqCst) + count;
        let lane = self.lane();
        let obeyed = timeout(HANG, lane.until_obeyed(all)).await;
        obeyed.expect("the lane does what is asked for");
        Ok(())
    }
}

impl ScaledOut {
    async fn lane(&self) -> Arc<Alone> {
        lane(&self.settings, &self.sealer, self.limits, &self.clock).await
    }

    /// How many records a topic has.
    async fn length(&self, topic: String) -> u64 {
        let brokers = self.settings.brokers.clone();
        let asking = spawn_blocking(move || {
            let mut config = ClientConfig::new();
            let asking: BaseConsumer = config.set("bootstrap.servers", brokers).create().unwrap();
            let (_, end) = asking.fetch_watermarks(&topic, 0, HANG).unwrap();
            end as u64
        });
        asking.await.unwrap()
    }
}

async fn lane(
    settings: &Settings,
    sealer: &Arc<Sealer>,
    limits: Limits,
    clock: &Arc<ManualClock>,
) -> Arc<Alone> {
    let clock: Arc<dyn Clock> = clock.clone();
    let lane = Alone::open(settings, sealer.clone(), limits, clock, 0).await;
    Arc::new(lane.unwrap())
}

async fn producer(
    settings: &Settings,
    sealer: &Arc<Sealer>,
    database: &str,
    clock: &Arc<ManualClock>,
    recorded: watch::Sender<Recorded>,
) -> Producer {
    let store = postgres::Settings {
        patience: Duration::ZERO,
        ..postgres::Settings::new(database.parse().unwrap(), services::secret_key())
    };
    let store = Postgres::connect(store, clock.clone()).await.unwrap();
    let writer = Followed {
        history: store.history.clone(),
        recorded: recorded.clone(),
    };
    let metrics = FeedMetrics::default();
    let feed = HistoryFeed::new(
        settings,
        sealer.clone(),
        Arc::new(writer),
        clock.clone(),
        metrics,
    );
    Producer {
        store,
        recorded,
        feed: task(|stopped| async { feed.run(stopped).await.unwrap() }),
    }
}

fn task<F: Future<Output = ()> + Send + 'static>(
    work: impl FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
) -> Task {
    let (stop, stopped) = oneshot::channel::<()>();
    let work = work(Box::pin(async {
        let _ = stopped.await;
    }));
    Task {
        task: tokio::spawn(work),
        stop,
    }
}

#[async_trait]
impl HistoryUnderTest for ScaledOut {
    async fn open(clock: Arc<ManualClock>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let (brokers, database) = spawn_blocking(move || {
            let database = format!("scaled_out_{number}");
            (
                services::Kafka::shared().bootstrap(),
                services::Postgres::shared().create_database(&database),
            )
        })
        .await
        .unwrap();
        let name = uuid::Uuid::new_v4();
        let settings = Settings {
            brokers,
            topic: format!("alerts-{name}"),
            group: format!("alerts-{name}"),
            partitions: 1,
            replication: 1,
            accept_weak_topics: true,
            ..Settings::default()
        };
        let cluster = Cluster::find(&settings, HANG).await.unwrap();
        let limits = prepare(&settings, &cluster).await.unwrap();
        let keys = Keyring::from_environment(KEYS).unwrap();
        let sealer = Arc::new(Sealer::new(settings.format, keys).unwrap());
        let publisher = Publisher::open(&settings, sealer.clone(), limits, cluster).unwrap();
        let fan_out = FanOut::new(&settings, sealer.clone(), clock.clone());
        let lane = lane(&settings, &sealer, limits, &clock).await;
        let recorded = watch::Sender::default();
        Self {
            producer: producer(&settings, &sealer, &database, &clock, recorded).await,
            queue: Arc::new(Queue {
                publisher,
                high: AtomicU64::new(0),
                main: AtomicU64::new(0),
                asked: AtomicU64::new(0),
                lane: RwLock::new(Some(lane)),
            }),
            fan_out: task(|stopped| async { fan_out.run(stopped).await.unwrap() }),
            settings,
            sealer,
            limits,
            clock,
            database,
        }
    }

    /// The lane's process and the producer's. Now and then the lane had committed, as it
    /// does once a second; now and then it had not.
    async fn restart(mut self) -> Self {
        let before = self.queue.lane();
        if self.queue.main.load(Ordering::SeqCst).is_multiple_of(2) {
            before.chores().await;
            before.commit().await.unwrap();
        }
        *self.queue.lane.write().unwrap() = None;
        drop(before);
        assert!(!self.fan_out.task.is_finished());
        let lane = self.lane().await;
        *self.queue.lane.write().unwrap() = Some(lane);
        let Producer {
            store,
            recorded,
            feed,
        } = self.producer;
        feed.end().await;
        store.close();
        // What is recorded stays so: where all of it was committed, nothing is read again.
        let (settings, sealer, clock) = (&self.settings, &self.sealer, &self.clock);
        self.producer = producer(settings, sealer, &self.database, clock, recorded).await;
        self
    }

    fn ports(&self) -> HistoryPorts {
        let store = &self.producer.store;
        let control = RemoteControl::new(
            store.history.clone(),
            self.queue.clone(),
            store.directory.clone(),
            self.clock.clone(),
        );
        HistoryPorts {
            queue: QueuePorts {
                alerts: Arc::new(KeyedQueue::new(self.queue.clone(), store.keys.clone())),
                deliveries: self.queue.lane().queue(),
                directory: store.directory.clone(),
            },
            history: store.history.clone(),
            control: Arc::new(control),
        }
    }

    async fn caught_up(&self) {
        let topics = Topics::new(&self.settings);
        let alerts = self.length(topics.alerts).await;
        let outcomes = self.length(topics.outcomes).await;
        let mut recorded = self.producer.recorded.subscribe();
        let is_there =
            |recorded: &Recorded| recorded.alerts >= alerts && recorded.outcomes >= outcomes;
        let all = timeout(HANG, recorded.wait_for(is_there)).await;
        all.expect("the history catches up").unwrap();
    }

    const TELLS_OF_REQUESTS: bool = false;
}

mod history {
    tests::history_contract!(super::ScaledOut);
}
