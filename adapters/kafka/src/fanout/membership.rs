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
}

impl Membership {
    pub(super) fn new(topic: &str, changes: UnboundedSender<Change>) -> Self {
        Self {
            events: Events::logged("fan-out's group"),
            topic: topic.to_owned(),
            changes,
            acks: Mutex::new(None),
        }
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
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if partitions.count() > 0 => {
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
