//! One membership: lanes come and go as the group says, and what they have come to is
//! committed.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::{KafkaError, KafkaResult},
};
use tokio::{
    sync::{mpsc::UnboundedReceiver, watch},
    task::{JoinHandle, JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    health::Health,
    lane::{self, Outward},
    ledger::Checkpoint,
    membership::{Change, Group, Held, lock},
    partition::Partition,
    reader::positions,
    shared::Shared,
};

/// How often it is looked whether there is something to commit.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What has changed is committed so often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How long the last outcomes and the last commit may take.
const LAST: Duration = Duration::from_secs(5);

pub(super) type GroupConsumer = StreamConsumer<Group>;

/// Why a membership ended.
pub(super) enum End {
    /// The process is to end.
    Stopped,
    /// The process must join anew.
    Failed(String),
}

/// A membership.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) outward: Arc<Outward>,
    pub(super) consumer: Arc<GroupConsumer>,
    pub(super) health: Arc<Health>,
    pub(super) held: Held,
    lanes: HashMap<i32, Lane>,
    tasks: JoinSet<(i32, lane::End)>,
    /// Partitions that are given up once their lanes have ended.
    revoked: Option<Vec<i32>>,
    committing: Option<Committing>,
    committed_at: Option<Instant>,
}

/// A partition of this process.
struct Lane {
    found: Arc<OnceLock<Arc<Partition>>>,
    stop: watch::Sender<bool>,
    has_ended: bool,
    committed: Option<Checkpoint>,
}

/// A commit under way.
struct Committing {
    begun: Instant,
    checkpoints: Vec<(i32, Checkpoint)>,
    task: JoinHandle<KafkaResult<()>>,
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        outward: Arc<Outward>,
        consumer: Arc<GroupConsumer>,
        health: Arc<Health>,
        held: Held,
    ) -> Self {
        Self {
            shared,
            outward,
            consumer,
            health,
            held,
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            revoked: None,
            committing: None,
            committed_at: None,
        }
    }

    /// Works until `stop`, then gives everything up in order; or until the membership
    /// cannot go on, then drops everything at once.
    pub(super) async fn run(
        mut self,
        mut changes: UnboundedReceiver<Change>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopping = false;
        let end = loop {
            if stopping && self.tasks.is_empty() {
                break End::Stopped;
            }
            let consumer = Arc::clone(&self.consumer);
            tokio::select! {
                biased;
                () = stop.as_mut(), if !stopping => {
                    stopping = true;
                    self.lanes.values().for_each(Lane::stop);
                }
                Some(change) = changes.recv() => self.change(change, stopping),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    match ended {
                        Ok((number, end)) => {
                            if let Some(reason) = self.ended(number, &end, stopping) {
                                break End::Failed(reason);
                            }
                        }
                        Err(error) => break End::Failed(error.to_string()),
                    }
                    self.give_up_where_ended().await;
                }
                committed = done(&mut self.committing) => self.committed(committed),
                _ = look.tick() => self.look(),
                found = consumer.recv() => match found {
                    // It reads nothing; a message may have come before it was paused.
                    Ok(_) => {}
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        break End::Failed(code.to_string());
                    }
                    Err(error) => tracing::debug!(%error, "the group's consumer"),
                },
            }
        };
        match end {
            End::Stopped => self.commit_last().await,
            End::Failed(_) => self.lanes.values().for_each(Lane::lose),
        }
        self.consumer.context().leave(&*self.consumer);
        lock(&self.held).clear();
        end
    }

    fn change(&mut self, change: Change, stopping: bool) {
        match change {
            Change::Assigned(numbers) => {
                self.health.joined();
                if !stopping {
                    numbers.into_iter().for_each(|number| self.begin(number));
                }
            }
            Change::Lost(numbers) => {
                for number in numbers {
                    self.forget(number);
                }
            }
            Change::Revoked(numbers) => {
                tracing::info!(partitions = ?numbers, "the group gives partitions to others");
                for number in &numbers {
                    if let Some(lane) = self.lanes.get(number) {
                        lane.stop();
                    }
                }
                self.revoked = Some(numbers);
            }
        }
        self.health.has(self.lanes.len());
    }

    fn begin(&mut self, number: i32) {
        self.forget(number);
        let found = Arc::new(OnceLock::new());
        let (stop, stopped) = watch::channel(false);
        lock(&self.held).insert(number, Arc::clone(&found));
        let (shared, outward) = (Arc::clone(&self.shared), Arc::clone(&self.outward));
        let lane = Lane {
            found: Arc::clone(&found),
            stop,
            has_ended: false,
            committed: None,
        };
        self.lanes.insert(number, lane);
        self.tasks.spawn(async move {
            let end = lane::run(number, shared, outward, stopped, found).await;
            (number, end)
        });
    }

    /// It is another's now, perhaps.
    fn forget(&mut self, number: i32) {
        if let Some(lane) = self.lanes.remove(&number) {
            lane.lose();
        }
        lock(&self.held).remove(&number);
    }

    /// A lane has ended; answers why the membership cannot go on, if it cannot.
    fn ended(&mut self, number: i32, end: &lane::End, stopping: bool) -> Option<String> {
        // One that was lost has been forgotten already, and the partition may be this
        // process's again by now.
        let lane = self.lanes.get_mut(&number)?;
        let is_expected = stopping || lane.is_stopped();
        match end {
            lane::End::Stopped if is_expected => {
                lane.has_ended = true;
                None
            }
            lane::End::Stopped => Some(format!("partition {number} came to an end by itself")),
            lane::End::Lost => Some(format!(
                "partition {number} may be another's: the group has not heard of this process for {} s",
                super::membership::SESSION.as_secs()
            )),
        }
    }

    /// Gives revoked partitions up once nothing is under way in them.
    async fn give_up_where_ended(&mut self) {
        let Some(revoked) = &self.revoked else {
            return;
        };
        let is_over = revoked
            .iter()
            .all(|number| self.lanes.get(number).is_none_or(|lane| lane.has_ended));
        if !is_over {
            return;
        }
        let numbers = self.revoked.take().unwrap_or_default();
        self.commit_last().await;
        for number in &numbers {
            if let Some(lane) = self.lanes.remove(number) {
                lane.end();
            }
            lock(&self.held).remove(number);
        }
        self.consumer.context().give_up(&*self.consumer);
        self.health.has(self.lanes.len());
    }

    /// Begins a commit if there is something to commit, or to prove.
    fn look(&mut self) {
        let is_open = self.shared.fence.is_open();
        let age = self.committed_at.map(|at| at.elapsed());
        if self.committing.is_some() || (is_open && age < Some(COMMIT_EVERY)) {
            return;
        }
        let changed = self.checkpoints(|lane, now| lane.committed != Some(*now));
        let checkpoints = match changed.is_empty() {
            false => changed,
            // One after the other, so that none is forgotten by the brokers.
            true => self.checkpoints(|_, _| true).into_iter().take(1).collect(),
        };
        if !checkpoints.is_empty() {
            self.committing = self.commit(checkpoints);
        }
    }

    fn checkpoints(
        &self,
        is_wanted: impl Fn(&Lane, &Checkpoint) -> bool,
    ) -> Vec<(i32, Checkpoint)> {
        let lanes = self.lanes.iter();
        lanes
            .filter_map(|(number, lane)| {
                let now = lane.found.get()?.checkpoint();
                is_wanted(lane, &now).then_some((*number, now))
            })
            .collect()
    }

    fn commit(&mut self, checkpoints: Vec<(i32, Checkpoint)>) -> Option<Committing> {
        let mut list = TopicPartitionList::with_capacity(3 * checkpoints.len());
        for (number, checkpoint) in &checkpoints {
            if let Err(error) = positions(&mut list, &self.shared.topics, *number, checkpoint) {
                tracing::error!(%error, "offsets cannot be committed");
                return None;
            }
        }
        self.committed_at = Some(Instant::now());
        let consumer = Arc::clone(&self.consumer);
        Some(Committing {
            begun: Instant::now(),
            checkpoints,
            task: spawn_blocking(move || consumer.commit(&list, CommitMode::Sync)),
        })
    }

    fn committed(&mut self, result: KafkaResult<()>) {
        let Some(Committing {
            begun, checkpoints, ..
        }) = self.committing.take()
        else {
            return;
        };
        if let Err(error) = result {
            // A rebalance is under way, or the coordinator moves; the fence knows how
            // long that may last.
            tracing::debug!(%error, "offsets were not committed");
            return;
        }
        self.shared.fence.prove(begun);
        for (number, checkpoint) in checkpoints {
            if let Some(lane) = self.lanes.get_mut(&number) {
                lane.committed = Some(checkpoint);
            }
        }
    }

    /// Commits what all lanes have come to, and waits for it.
    async fn commit_last(&mut self) {
        if self.committing.is_some() {
            let committed = done(&mut self.committing).await;
            self.committed(committed);
        }
        let checkpoints = self.checkpoints(|lane, now| lane.committed != Some(*now));
        if checkpoints.is_empty() {
            return;
        }
        self.committing = self.commit(checkpoints);
        match timeout(LAST, done(&mut self.committing)).await {
            Ok(committed) => self.committed(committed),
            // The next owner reads a little more.
            Err(_) => tracing::warn!("offsets could not be committed at the end"),
        }
    }
}

impl Lane {
    fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn lose(&self) {
        self.stop();
        if let Some(partition) = self.found.get() {
            partition.lose();
        }
    }

    fn end(&self) {
        if let Some(partition) = self.found.get() {
            partition.end();
        }
    }
}

/// What the commit under way comes to; never, where there is none. May be dropped and
/// called again.
async fn done(committing: &mut Option<Committing>) -> KafkaResult<()> {
    match committing {
        Some(committing) => (&mut committing.task)
            .await
            .unwrap_or(Err(KafkaError::Canceled)),
        None => std::future::pending().await,
    }
}

/// Leaving takes a round trip, and ending the client waits for its threads.
pub(super) async fn leave(consumer: Arc<GroupConsumer>) {
    let left = spawn_blocking(move || {
        let began = Instant::now();
        while Arc::strong_count(&consumer) > 1 && began.elapsed() < LAST {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(consumer);
    });
    if timeout(LAST * 2, left).await.is_err() {
        tracing::warn!("leaving the group takes too long");
    }
}

/// How long until a process joins again.
pub(super) async fn pause() {
    sleep(Duration::from_secs(1)).await;
}
