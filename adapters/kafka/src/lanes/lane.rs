//! A partition from its assignment to its end.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use common::mishap::Unheard;
use common::{Clock, Credential};
use consumer::{
    application::{Dispatcher, EngineSettings, Limits, Outside},
    domain::Lease,
    metrics::DeliveryMetrics,
    ports::{Channel, Credentials, QueueError},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    inspectors::Inspectors,
    ledger::Feed,
    loading::{Loaded, load},
    partition::Partition,
    pump,
    reader::Reader,
    shared::Shared,
};

/// How long until a partition that could not be taken over is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often rows are buried and given.
const CHORES_EVERY: Duration = Duration::from_secs(1);

/// What lanes deliver with.
pub struct Delivering {
    /// The ways out, one a kind.
    pub channels: Vec<Arc<dyn Channel>>,
    /// What is counted, over all lanes.
    pub metrics: Arc<DeliveryMetrics>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The engines' settings. Requests under way are limited over all of them, memory by
    /// an equal share for each partition.
    pub engine: EngineSettings,
    /// How long requests under way may take when a partition is given up or the process
    /// ends; those cut off may be sent twice.
    pub drain: Duration,
}

/// What all lanes of a process share of it.
pub(super) struct Outward {
    pub(super) delivering: Delivering,
    pub(super) limits: Arc<Limits>,
    pub(super) engine: EngineSettings,
    pub(super) inspectors: Arc<Inspectors>,
}

/// The least that an engine can work with.
const LEAST_MEMORY: usize = 2_000;

impl Outward {
    pub(super) fn new(delivering: Delivering, partitions: u16) -> Self {
        let engine = &delivering.engine;
        let limits = Limits::new(engine.max_in_flight, engine.max_in_flight_per_host);
        let share = engine.memory_leases / usize::from(partitions.max(1));
        Self {
            limits: Arc::new(limits),
            inspectors: Arc::default(),
            engine: EngineSettings {
                memory_leases: share.max(LEAST_MEMORY),
                ..engine.clone()
            },
            delivering,
        }
    }

    fn outside(&self, partition: &Arc<Partition>) -> Outside {
        let delivering = &self.delivering;
        Outside {
            queue: Arc::clone(partition) as _,
            credentials: Arc::new(Carried),
            channels: delivering.channels.clone(),
            clock: Arc::clone(&delivering.clock),
            metrics: Arc::clone(&delivering.metrics),
            mishaps: Arc::new(Unheard),
            limits: Some(Arc::clone(&self.limits)),
        }
    }
}

/// A delivery carries its credential: there is no directory here.
struct Carried;

impl Credentials for Carried {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        Arc::clone(&lease.credential)
    }
}

/// Why a lane ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was told to, and all that is under way is recorded, as far as time allowed.
    Stopped,
    /// Another process may have it.
    Lost,
}

/// A partition that was taken over, and is being read.
pub(super) struct Taken {
    pub(super) reader: Reader,
    /// Aborted with this.
    pumps: JoinSet<()>,
}

/// Takes a partition over and delivers what is in it until `stop`, or until it is lost.
/// `found` is set once it is taken over.
pub(super) async fn run(
    number: i32,
    shared: Arc<Shared>,
    outward: Arc<Outward>,
    stop: watch::Receiver<bool>,
    found: Arc<OnceLock<Arc<Partition>>>,
) -> End {
    let taken = take(number, &shared, stop.clone(), &found).await;
    let (Some(mut taken), Some(partition)) = (taken, found.get()) else {
        return End::Stopped;
    };
    tracing::info!(partition = number, "this process has the partition");
    let seed = uuid::Uuid::new_v4().as_u128() as u64;
    let dispatcher = Dispatcher::new(outward.outside(partition), outward.engine.clone(), seed);
    let _inspected = outward.inspectors.with(number, dispatcher.inspector());
    let delivering = dispatcher.run(stopped(stop), outward.delivering.drain);
    let end = tokio::select! {
        biased;
        () = partition.over() => End::Lost,
        ended = delivering => match ended {
            Ok(()) => End::Stopped,
            Err(_) => End::Lost,
        },
    };
    taken.pumps.shutdown().await;
    if matches!(end, End::Stopped) {
        // So that the next owner has less to read.
        if let Err(error) = partition.chores().await {
            tracing::debug!(%error, "rows could not be buried");
        }
    }
    end
}

/// Takes a partition over and begins to read it; `None` where it is stopped before.
pub(super) async fn take(
    number: i32,
    shared: &Arc<Shared>,
    stop: watch::Receiver<bool>,
    found: &OnceLock<Arc<Partition>>,
) -> Option<Taken> {
    let Loaded {
        reader,
        ledger,
        spill,
        high,
        main,
        control,
        control_from,
        control_end,
    } = unless(stop.clone(), take_over(number, shared)).await?;
    let partition = Partition::new(number, Arc::clone(shared), ledger, spill);
    let partition = Arc::clone(found.get_or_init(|| Arc::new(partition)));
    let mut pumps = JoinSet::new();
    let ready = async {
        // A commit that succeeds proves that it may.
        shared.fence.opened().await;
        let (caught_up, controlled) = oneshot::channel();
        pumps.spawn(pump::controls(
            Arc::clone(&partition),
            control,
            control_from,
            control_end,
            caught_up,
        ));
        // Cancellations are known before what they cancel. The pump lives as long as this.
        let _ = controlled.await;
        pumps.spawn(pump::deliveries(Arc::clone(&partition), Feed::High, high));
        pumps.spawn(pump::deliveries(Arc::clone(&partition), Feed::Main, main));
        pumps.spawn(chores(Arc::clone(&partition)));
    };
    unless(stop, ready).await?;
    Some(Taken { reader, pumps })
}

async fn take_over(number: i32, shared: &Shared) -> Loaded {
    loop {
        match load(shared, number).await {
            Ok(loaded) => return loaded,
            Err(error) => {
                tracing::warn!(partition = number, %error, "the partition cannot be taken over; trying again");
                sleep(RETRY).await;
            }
        }
    }
}

async fn chores(partition: Arc<Partition>) {
    let mut every = interval(CHORES_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        loop {
            match partition.chores().await {
                Ok(true) => {}
                Ok(false) | Err(QueueError::Closed) => break,
                Err(error) => {
                    tracing::warn!(%error, "rows could not be written; trying again");
                    break;
                }
            }
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // Who can stop it is gone: then it is stopped.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What `work` comes to, unless `stop` comes before.
async fn unless<T>(stop: watch::Receiver<bool>, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stopped(stop) => None,
        done = work => Some(done),
    }
}
