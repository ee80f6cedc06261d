//! The group of those who may fan out, of whom one has the partition.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use super::acks::Acks;
use crate::client::Events;

/// A change of who has the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// This process has it, and must say from which offset it reads.
    Assigned,
    /// It has it no more.
    Revoked,
}

/// What a member hears of its group.
pub(super) struct Membership {
    events: Events,
    topic: String,
    changes: UnboundedSender<Change>,
    /// The progress to commit when the partition is given up.
    acks: Mutex<Option<Arc<Acks>>>,
    turn: Mutex<Turn>,
}

/// What the group waits for before it can be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// For nothing.
    Settled,
    /// For the task, which was told of an assignment, and must say where it begins.
    Awaited,
    /// The task has ended.
    Leaving,
}

impl Membership {
    pub(super) fn new(topic: &str, changes: UnboundedSender<Change>) -> Self {
        Self {
            events: Events::logged("fan-out's group"),
            topic: topic.to_owned(),
            changes,
            acks: Mutex::new(None),
            turn: Mutex::new(Turn::Settled),
        }
    }

    /// Assigns the partition to this process, from that offset on.
    pub(super) fn assign(&self, consumer: &impl Consumer<Self>, from: u64) -> KafkaResult<()> {
        consumer.incremental_assign(&position(&self.topic, from)?)?;
        self.set_turn(Turn::Settled);
        Ok(())
    }

    /// The member is about to leave, and reads nothing any more. What it was told of and has
    /// not taken over it takes now, since a group that waits for that cannot be left.
    pub(super) fn leave(&self, consumer: &impl Consumer<Self>) {
        self.follow(None);
        if self.set_turn(Turn::Leaving) != Turn::Awaited {
            return;
        }
        let mut partition = TopicPartitionList::with_capacity(1);
        partition.add_partition(&self.topic, 0);
        if let Err(error) = consumer.incremental_assign(&partition) {
            tracing::warn!(%error, "the fan-out's group cannot be left");
        }
    }

    /// Answers what it was.
    fn set_turn(&self, turn: Turn) -> Turn {
        let mut own = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut own, turn)
    }

    /// Whether the task is there to be told of an assignment, which it must answer.
    fn awaits_the_task(&self) -> bool {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if *turn != Turn::Leaving {
            *turn = Turn::Awaited;
        }
        *turn == Turn::Awaited
    }

    /// What is to be committed at the end of the membership.
    pub(super) fn follow(&self, acks: Option<Arc<Acks>>) {
        *self.acks.lock().unwrap_or_else(PoisonError::into_inner) = acks;
    }

    fn commit(&self, consumer: &BaseConsumer<Self>) -> KafkaResult<()> {
        let acks = self
            .acks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(acks) = acks else {
            return Ok(());
        };
        let offset = acks.progress().committable();
        // It is sent before the partition is given up, since both go through one queue.
        consumer.commit(&position(&self.topic, offset)?, CommitMode::Async)
    }
}

/// The partition of alerts at that offset.
pub(super) fn position(topic: &str, offset: u64) -> KafkaResult<TopicPartitionList> {
    let mut position = TopicPartitionList::with_capacity(1);
    position.add_partition_offset(topic, 0, Offset::Offset(offset as i64))?;
    Ok(position)
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
    /// Assigning is left to the task, which must ask first where to begin.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let (done, change) = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                if partitions.count() > 0 && self.awaits_the_task() =>
            {
                (Ok(()), Some(Change::Assigned))
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                (consumer.incremental_assign(partitions), None)
            }
            _ => {
                if !consumer.assignment_lost()
                    && let Err(error) = self.commit(consumer)
                {
                    tracing::debug!(%error, "the fan-out's last commit failed");
                }
                let revoked = (partitions.count() > 0).then_some(Change::Revoked);
                (consumer.incremental_unassign(partitions), revoked)
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the fan-out's group cannot be followed");
        }
        if let Some(change) = change {
            // An error means that the task has ended.
            let _ = self.changes.send(change);
        }
    }
}
