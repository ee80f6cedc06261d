//! A partition without a group.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use common::Clock;
use consumer::ports::DeliveryQueue;
use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer},
};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    DELIVERY, SESSION,
    fence::Fence,
    lane::{self, Taken},
    ledger::Feed,
    partition::Partition,
    reader::positions,
    shared::Shared,
    writer::LaneWriter,
};
use crate::{
    client::blocking,
    error::OpenError,
    sealer::Sealer,
    settings::Settings,
    topics::{Limits, Topics},
};

/// A partition that is taken over without a group, for whoever has the topics to itself
/// and drives the queue by hand. Kafka takes its commits as long as nobody is in the group.
pub struct Alone {
    partition: Arc<Partition>,
    taken: Taken,
    proving: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

impl Alone {
    /// Takes the partition over from whoever had it last.
    pub async fn open(
        settings: &Settings,
        sealer: Arc<Sealer>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        number: i32,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            topics: Topics::new(settings),
            settings: settings.clone(),
            limits,
            sealer,
            clock,
            writer: LaneWriter::open(settings, DELIVERY)?,
            fence: Fence::new(SESSION),
            folder: std::env::temp_dir(),
        });
        let proving = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    shared.fence.prove(Instant::now());
                    tokio::time::sleep(SESSION / 4).await;
                }
            }
        });
        let (stop, stopped) = watch::channel(false);
        let found = OnceLock::new();
        let taken = lane::take(number, &shared, stopped, &found).await;
        let (Some(taken), Some(partition)) = (taken, found.into_inner()) else {
            return Err(OpenError::Client("the partition was given up".into()));
        };
        Ok(Self {
            partition,
            taken,
            proving,
            _stop: stop,
        })
    }

    /// Its queue.
    pub fn queue(&self) -> Arc<dyn DeliveryQueue> {
        Arc::clone(&self.partition) as _
    }

    /// Waits until so many records of a topic were read, counted from its beginning, or
    /// memory has no room for more of it.
    pub async fn until_read(&self, feed: Feed, records: u64) {
        loop {
            let changed = self.partition.changed();
            let is_read = {
                let ledger = self.partition.ledger();
                ledger.next_offset(feed) >= records || !ledger.has_room(feed)
            };
            if is_read {
                return;
            }
            changed.await;
        }
    }

    /// Waits until so many records of the topic of controls have been carried out, counted
    /// from its beginning.
    pub async fn until_obeyed(&self, records: u64) {
        loop {
            let changed = self.partition.changed();
            if self.partition.has_obeyed() >= records {
                return;
            }
            changed.await;
        }
    }

    /// Commits what it has come to.
    pub async fn commit(&self) -> Result<(), OpenError> {
        let checkpoint = self.partition.checkpoint();
        let mut list = TopicPartitionList::with_capacity(3);
        let topics = &self.partition.shared.topics;
        positions(&mut list, topics, self.partition.number, &checkpoint)?;
        let consumer = self.taken.reader.consumer();
        Ok(blocking(move || consumer.commit(&list, CommitMode::Sync)).await?)
    }

    /// Writes what is not urgent.
    pub async fn chores(&self) {
        if let Err(error) = self.partition.chores().await {
            tracing::warn!(%error, "rows could not be written");
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.proving.abort();
        self.partition.end();
    }
}
