//! The queue's behaviours, shown by Kafka: a real broker, the accepting end and its
//! fan-out, and a lane that is taken over anew with each restart.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{AcceptedAlert, Clock, Severity};
use kafka::{
    Cluster, FanOut, Keyring, Limits, Publisher, Sealer, Settings,
    lanes::{Alone, ledger::Feed},
    prepare,
};
use producer::ports::{
    AcceptError, Acceptance, AlertPublisher, AlertQueue, IdempotencyKey, PublishError,
};
use sqlite::{Settings as StoreSettings, Store, Synchronous};
use tempfile::TempDir;
use tests::{
    contract::{
        ManualClock,
        queue::{QueuePorts, QueueUnderTest},
    },
    services::Kafka as Broker,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(120);
const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Topics of their own on the broker, with one partition.
struct Kafka {
    settings: Settings,
    sealer: Arc<Sealer>,
    limits: Limits,
    clock: Arc<ManualClock>,
    alerts: Arc<Accepting>,
    /// Alerts are for users, whom some directory knows.
    directory: Store,
    _folder: TempDir,
    fan_out: FanningOut,
}

/// The fan-out, which goes on when the lane's process ends.
struct FanningOut {
    task: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
}

impl Drop for FanningOut {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts, and waits until the lane has what was accepted at hand: in Kafka it gets
/// there a little later than the answer, and the suite asks for it at once.
struct Accepting {
    publisher: Publisher,
    /// Deliveries accepted, high ones and others.
    high: AtomicU64,
    main: AtomicU64,
    lane: RwLock<Option<Arc<Alone>>>,
}

impl Accepting {
    fn lane(&self) -> Arc<Alone> {
        let lane = self.lane.read().unwrap();
        lane.clone().expect("a process has the partition")
    }
}

#[async_trait]
impl AlertQueue for Accepting {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        assert_eq!(key, None, "keys are kept elsewhere");
        let id = accepted.alert.id;
        let count = accepted.deliveries.len() as u64;
        let (feed, counter) = match accepted.alert.severity {
            Severity::High => (Feed::High, &self.high),
            Severity::Normal | Severity::Low => (Feed::Main, &self.main),
        };
        let published = self.publisher.publish(accepted).await;
        published.map_err(|error| match error {
            PublishError::Full(reason) => AcceptError::Full(reason),
            PublishError::MaybePublished(reason) => {
                AcceptError::MaybeAccepted { alert: id, reason }
            }
            PublishError::Failed(reason) => AcceptError::Failed(reason),
        })?;
        let all = counter.fetch_add(count, Ordering::SeqCst) + count;
        let lane = self.lane();
        let read = tokio::time::timeout(HANG, lane.until_read(feed, all)).await;
        read.expect("the lane reads what was accepted");
        Ok(Acceptance::Accepted)
    }

    fn health(&self) -> Result<(), String> {
        self.publisher.health()
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

#[async_trait]
impl QueueUnderTest for Kafka {
    const HANDS_OVER_TARGETS: bool = false;

    async fn open(clock: Arc<ManualClock>) -> Self {
        let name = uuid::Uuid::new_v4();
        let settings = Settings {
            brokers: Broker::shared().bootstrap(),
            topic: format!("queue-{name}"),
            group: format!("queue-{name}"),
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
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            fan_out.run(stopped).await.unwrap();
        });
        let lane = lane(&settings, &sealer, limits, &clock).await;
        let folder = tempfile::tempdir().unwrap();
        let directory = StoreSettings {
            path: folder.path().into(),
            retention: Duration::from_secs(24 * 60 * 60),
            history_max_bytes: 1 << 30,
            synchronous: Synchronous::Full,
            secret_key: None,
            scrub_large: false,
        };
        Self {
            alerts: Arc::new(Accepting {
                publisher,
                high: AtomicU64::new(0),
                main: AtomicU64::new(0),
                lane: RwLock::new(Some(lane)),
            }),
            directory: Store::open(directory, clock.clone()).unwrap(),
            _folder: folder,
            settings,
            sealer,
            limits,
            clock,
            fan_out: FanningOut { task, _stop: stop },
        }
    }

    /// Now and then it had committed, as it does once a second; now and then it had not.
    async fn restart(self) -> Self {
        let before = self.alerts.lane();
        if self.alerts.main.load(Ordering::SeqCst).is_multiple_of(2) {
            before.chores().await;
            before.commit().await.unwrap();
        }
        *self.alerts.lane.write().unwrap() = None;
        drop(before);
        assert!(!self.fan_out.task.is_finished());
        let lane = lane(&self.settings, &self.sealer, self.limits, &self.clock).await;
        *self.alerts.lane.write().unwrap() = Some(lane);
        self
    }

    fn ports(&self) -> QueuePorts {
        QueuePorts {
            alerts: self.alerts.clone(),
            deliveries: self.alerts.lane().queue(),
            directory: self.directory.directory.clone(),
        }
    }
}

mod queue {
    tests::queue_contract!(super::Kafka);
}
