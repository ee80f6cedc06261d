//! Which partitions this process has, and the offsets to commit for them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::client::Events;

/// A topic and the number of a partition of it.
pub(super) type Partition = (String, i32);

/// A change of what this process has.
#[derive(Debug)]
pub(super) enum Change {
    /// It has these too.
    Assigned(Vec<Partition>),
    /// It has these no more.
    Revoked(Vec<Partition>),
}

/// What a member hears of its group.
pub(super) struct Membership {
    events: Events,
    changes: UnboundedSender<Change>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The partitions, with the offset reached and the one committed.
    mine: HashMap<Partition, Progress>,
    /// Nothing is read for now.
    is_held: bool,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    reached: Option<i64>,
    committed: Option<i64>,
    is_paused: bool,
    /// Nothing more is read of it by this member.
    is_set_aside: bool,
}

impl Membership {
    pub(super) fn new(changes: UnboundedSender<Change>) -> Self {
        Self {
            events: Events::logged("history's group"),
            changes,
            state: Mutex::default(),
        }
    }

    /// All before these offsets is recorded.
    pub(super) fn reached(&self, positions: HashMap<Partition, i64>) {
        let mut state = self.lock();
        for (partition, offset) in positions {
            if let Some(progress) = state.mine.get_mut(&partition) {
                progress.reached = progress.reached.max(Some(offset));
            }
        }
    }

    /// Commits what was reached. A commit that fails is made up for by the next.
    pub(super) fn commit<C: ConsumerContext>(&self, consumer: &impl Consumer<C>) {
        let due = self.due(|_| true);
        if let Err(error) = commit(consumer, &due) {
            tracing::debug!(%error, "the history's offsets cannot be committed");
        }
    }

    /// Stops reading, or goes on with it, where that is a change.
    pub(super) fn hold<C: ConsumerContext>(
        &self,
        consumer: &impl Consumer<C>,
        is_held: bool,
    ) -> KafkaResult<()> {
        let mut changed = TopicPartitionList::new();
        {
            let mut state = self.lock();
            state.is_held = is_held;
            for ((topic, partition), progress) in &mut state.mine {
                let is_paused = is_held || progress.is_set_aside;
                if progress.is_paused != is_paused {
                    progress.is_paused = is_paused;
                    changed.add_partition(topic, *partition);
                }
            }
        }
        match (changed.count(), is_held) {
            (0, _) => Ok(()),
            (_, true) => consumer.pause(&changed),
            (_, false) => consumer.resume(&changed),
        }
    }

    /// Reads nothing more of a partition, but goes on having it, as long as it does.
    pub(super) fn set_aside<C: ConsumerContext>(
        &self,
        consumer: &impl Consumer<C>,
        partition: &Partition,
    ) -> KafkaResult<()> {
        if let Some(progress) = self.lock().mine.get_mut(partition) {
            progress.is_set_aside = true;
            progress.is_paused = true;
        }
        let mut paused = TopicPartitionList::with_capacity(1);
        paused.add_partition(&partition.0, partition.1);
        consumer.pause(&paused)
    }

    /// Whether nothing more is read of a partition.
    pub(super) fn is_set_aside(&self, partition: &Partition) -> bool {
        let state = self.lock();
        let progress = state.mine.get(partition);
        progress.is_some_and(|progress| progress.is_set_aside)
    }

    /// The partitions that this process has.
    pub(super) fn mine(&self) -> Vec<Partition> {
        self.lock().mine.keys().cloned().collect()
    }

    /// The offsets to commit of those partitions, which count as committed now.
    fn due(&self, is_wanted: impl Fn(&Partition) -> bool) -> Vec<(Partition, i64)> {
        let mut due = Vec::new();
        for (partition, progress) in &mut self.lock().mine {
            if let Some(offset) = progress.reached
                && progress.reached > progress.committed
                && is_wanted(partition)
            {
                progress.committed = progress.reached;
                due.push((partition.clone(), offset));
            }
        }
        due
    }

    fn assigned(&self, partitions: &[Partition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.mine.insert(partition.clone(), Progress::default());
        }
    }

    fn revoked(&self, partitions: &[Partition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.mine.remove(partition);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    due: &[(Partition, i64)],
) -> KafkaResult<()> {
    if due.is_empty() {
        return Ok(());
    }
    let mut offsets = TopicPartitionList::with_capacity(due.len());
    for ((topic, partition), offset) in due {
        offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.commit(&offsets, CommitMode::Async)
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let named: Vec<Partition> = partitions
            .elements()
            .iter()
            .map(|one| (one.topic().to_owned(), one.partition()))
            .collect();
        let (done, change) = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assigned(&named);
                let assigned = consumer.incremental_assign(partitions);
                (assigned, Change::Assigned(named))
            }
            _ => {
                if !consumer.assignment_lost() {
                    let due = self.due(|partition| named.contains(partition));
                    // It is sent before the partitions are given up, since both go
                    // through one queue.
                    if let Err(error) = commit(consumer, &due) {
                        tracing::debug!(%error, "the history's last commit failed");
                    }
                }
                self.revoked(&named);
                let unassigned = consumer.incremental_unassign(partitions);
                (unassigned, Change::Revoked(named))
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the history's group cannot be followed");
        }
        // An error means that the task has ended.
        let _ = self.changes.send(change);
    }
}
