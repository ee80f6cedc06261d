//! The group of consumers: who has which partition.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc::UnboundedSender;

use super::partition::Partition;
use crate::{
    client::{self, Events},
    settings::Settings,
};

/// A member is missed after so long.
pub(super) const SESSION: Duration = Duration::from_secs(8);
/// What is handed to the producer is dropped after so long: before anybody can have the
/// partition that it concerns.
pub(super) const DELIVERY: Duration = Duration::from_secs(6);

/// A change of who has what.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These are this process's.
    Assigned(Vec<i32>),
    /// These are to be given up.
    Revoked(Vec<i32>),
    /// These are another's, perhaps.
    Lost(Vec<i32>),
}

/// Partitions that were taken over, to be lost at once.
pub(super) type Held = Arc<Mutex<HashMap<i32, Arc<OnceLock<Arc<Partition>>>>>>;

/// What a member hears of its group.
pub(super) struct Group {
    events: Events,
    changes: UnboundedSender<Change>,
    held: Held,
    giving_up: Mutex<GivingUp>,
}

/// What was revoked and is not given up yet.
#[derive(Default)]
struct GivingUp {
    /// Until these are given up the group cannot be left.
    revoked: Option<TopicPartitionList>,
    /// Partitions are given up as they are revoked, since nothing is in them any more.
    is_leaving: bool,
}

impl Group {
    pub(super) fn new(changes: UnboundedSender<Change>, held: Held) -> Self {
        Self {
            events: Events::logged("group"),
            changes,
            held,
            giving_up: Mutex::default(),
        }
    }

    /// The member is about to leave, and has ended all that it did.
    pub(super) fn leave(&self, consumer: &impl Consumer<Self>) {
        self.giving_up().is_leaving = true;
        self.give_up(consumer);
    }

    /// Gives up what was revoked, once nothing is under way in it.
    pub(super) fn give_up(&self, consumer: &impl Consumer<Self>) {
        let revoked = self.giving_up().revoked.take();
        if let Some(partitions) = revoked
            && let Err(error) = consumer.incremental_unassign(&partitions)
        {
            tracing::warn!(%error, "partitions cannot be given up");
        }
    }

    fn giving_up(&self) -> MutexGuard<'_, GivingUp> {
        self.giving_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Change) {
        // An error means that nobody does anything any more.
        let _ = self.changes.send(change);
    }

    fn lose(&self, partitions: &[i32]) {
        let held = lock(&self.held);
        for partition in partitions.iter().filter_map(|number| held.get(number)) {
            if let Some(partition) = partition.get() {
                partition.lose();
            }
        }
    }

    /// Revoked partitions are given up once what is under way in them is recorded, which
    /// the task sees to.
    fn revoked(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> KafkaResult<()> {
        let numbers = numbers(partitions);
        if consumer.assignment_lost() {
            self.lose(&numbers);
            self.tell(Change::Lost(numbers));
            return consumer.incremental_unassign(partitions);
        }
        if numbers.is_empty() || self.giving_up().is_leaving {
            return consumer.incremental_unassign(partitions);
        }
        self.giving_up().revoked = Some(partitions.clone());
        self.tell(Change::Revoked(numbers));
        Ok(())
    }
}

/// What is held is whole between any two statements that could panic.
pub(super) fn lock(held: &Held) -> MutexGuard<'_, HashMap<i32, Arc<OnceLock<Arc<Partition>>>>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    let elements = partitions.elements();
    let distinct: HashSet<i32> = elements.iter().map(|element| element.partition()).collect();
    distinct.into_iter().collect()
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                // Whoever has the partition reads it by a client of its own.
                let done = consumer
                    .incremental_assign(partitions)
                    .and_then(|()| consumer.pause(partitions));
                self.tell(Change::Assigned(numbers(partitions)));
                done
            }
            _ => self.revoked(consumer, partitions),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the group cannot be followed");
        }
    }
}

/// The settings of a member. The classic protocol lets a member say how soon it is missed,
/// and its cooperative assignor leaves with everybody what need not move.
pub(super) fn config(settings: &Settings) -> ClientConfig {
    let mut config = client::consumer(settings, &settings.group);
    // It reads nothing.
    config.set("queued.max.messages.kbytes", "1");
    if config.get("group.protocol") == Some("consumer") {
        // The brokers say how soon a member is missed, and who gets what.
        for key in [
            "session.timeout.ms",
            "heartbeat.interval.ms",
            "partition.assignment.strategy",
        ] {
            config.remove(key);
        }
        return config;
    }
    config
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", SESSION.as_millis().to_string())
        .set("heartbeat.interval.ms", "500");
    config
}
