//! Reading a partition's topics into its ledger, as fast as there is room.

use std::{sync::Arc, time::Duration};

use common::wire::{ControlRecord, DeliveryRecord, StatePart, StateRecord, VERSION};
use consumer::ports::QueueError;
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, OwnedMessage},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::sleep,
};

use super::{
    ledger::{Feed, Plan},
    partition::Partition,
    reader::{Found, Stream},
    records::{locked, opened, replay},
};
use crate::{
    adopt::adopt,
    records::{Foreign, Message, Outgoing, Unreadable, dead_letter, read_message, read_versioned},
};
use sealing::Unopened;

/// How long until something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Messages of others on their way into the topic of alerts, at most.
const ADOPTED_AT_ONCE: usize = 256;

/// Reads one of the topics that bring deliveries, for ever.
pub(super) async fn deliveries(partition: Arc<Partition>, feed: Feed, stream: Stream) {
    let adopting = Arc::new(Semaphore::new(ADOPTED_AT_ONCE));
    loop {
        wait_for_room(&partition, feed).await;
        match stream.next().await {
            Ok(Found::Message(message)) => read(&partition, feed, &message, &adopting).await,
            Ok(Found::End) => partition.ledger().read_to_the_end(feed),
            // librdkafka goes on by itself.
            Err(error) => tracing::debug!(%error, "deliveries cannot be read for now"),
        }
        partition.wake();
    }
}

async fn wait_for_room(partition: &Partition, feed: Feed) {
    loop {
        let mut room = std::pin::pin!(partition.room.notified());
        room.as_mut().enable();
        if partition.ledger().has_room(feed) {
            return;
        }
        room.await;
    }
}

async fn read(
    partition: &Arc<Partition>,
    feed: Feed,
    message: &BorrowedMessage<'_>,
    adopting: &Arc<Semaphore>,
) {
    let shared = &partition.shared;
    let offset = message.offset() as u64;
    let now = shared.clock.now().mono;
    match read_message(message) {
        Ok(Message::Ours(record)) => match opened(&record, &shared.sealer) {
            Ok(delivery) => {
                let place = record.meta.place;
                let mut ledger = partition.ledger();
                ledger.read(feed, offset, place, delivery, message.payload_len(), now);
            }
            Err(reason) => read_locked(partition, feed, offset, *record, &reason).await,
        },
        Ok(Message::Foreign(foreign)) => {
            partition.ledger().read_foreign(feed, offset, now);
            // The semaphore is never closed.
            if let Ok(permit) = Arc::clone(adopting).acquire_owned().await {
                let work = take_in(
                    Arc::clone(partition),
                    feed,
                    foreign,
                    message.detach(),
                    permit,
                );
                tokio::spawn(work);
            }
        }
        Err(reason) => {
            partition.ledger().read_foreign(feed, offset, now);
            if let Ok(permit) = Arc::clone(adopting).acquire_owned().await {
                let letter = letter(partition, message, &reason);
                let partition = Arc::clone(partition);
                tokio::spawn(async move {
                    if publish(&partition, &[letter]).await {
                        partition.ledger().dealt_with(feed, offset);
                    }
                    drop(permit);
                });
            }
        }
    }
}

/// Keeps a delivery that this process cannot open.
async fn read_locked(
    partition: &Arc<Partition>,
    feed: Feed,
    offset: u64,
    record: DeliveryRecord,
    reason: &Unopened,
) {
    let place = record.meta.place;
    let locked = locked(&record.meta, reason);
    tracing::error!(%place, gtid = record.meta.gtid, "a delivery waits for a process that can open it: {reason}");
    let row = StateRecord {
        v: VERSION,
        delivery: record,
        attempts: 0,
        parts_sent: 0,
        replayed_at: None,
        state: StatePart::Queued,
    };
    let slot = loop {
        match partition.spill(&row) {
            Ok(slot) => break slot,
            Err(error) => {
                tracing::error!(%error, "a delivery cannot be kept; trying again");
                sleep(RETRY).await;
            }
        }
    };
    let now = partition.shared.clock.now().mono;
    let mut ledger = partition.ledger();
    ledger.read_locked(feed, offset, place, locked, slot, now);
}

/// Publishes somebody else's message as an alert.
async fn take_in(
    partition: Arc<Partition>,
    feed: Feed,
    foreign: Foreign,
    message: OwnedMessage,
    permit: OwnedSemaphorePermit,
) {
    let shared = &partition.shared;
    let records = adopt(
        &foreign,
        &message,
        &shared.topics,
        &shared.sealer,
        shared.limits,
    );
    // The last one makes it accepted, so it follows when the others are there.
    let Some((last, others)) = records.split_last() else {
        return;
    };
    if publish(&partition, others).await && publish(&partition, std::slice::from_ref(last)).await {
        let offset = message.offset() as u64;
        partition.ledger().dealt_with(feed, offset);
    }
    drop(permit);
}

fn letter(partition: &Partition, message: &BorrowedMessage<'_>, reason: &Unreadable) -> Outgoing {
    tracing::warn!(
        topic = message.topic(),
        partition = message.partition(),
        offset = message.offset(),
        "a message is a dead letter: {reason}"
    );
    dead_letter(&partition.shared.topics, message, &reason.to_string())
}

/// Writes records until they are acknowledged, or the partition is lost; answers which.
async fn publish(partition: &Partition, records: &[Outgoing]) -> bool {
    loop {
        let offsets = partition.shared.writer.write(records).await;
        if offsets.iter().all(Option::is_some) {
            return true;
        }
        if partition.is_over() {
            return false;
        }
        sleep(RETRY).await;
    }
}

/// Reads what people want done, for ever; says once that it has come to `end`.
pub(super) async fn controls(
    partition: Arc<Partition>,
    stream: Stream,
    from: u64,
    end: u64,
    caught_up: oneshot::Sender<()>,
) {
    let mut caught_up = Some(caught_up);
    let mut next = from;
    loop {
        if next >= end
            && let Some(caught_up) = caught_up.take()
        {
            // Nobody waits where the partition was given up meanwhile.
            let _ = caught_up.send(());
        }
        match stream.next().await {
            Ok(Found::Message(message)) => {
                next = message.offset() as u64 + 1;
                obey(&partition, &message).await;
                partition.obeyed(next);
            }
            Ok(Found::End) => next = next.max(end),
            Err(error) => tracing::debug!(%error, "controls cannot be read for now"),
        }
    }
}

async fn obey(partition: &Partition, message: &BorrowedMessage<'_>) {
    let offset = message.offset() as u64;
    let wanted = message.payload().ok_or(Unreadable::Empty);
    let refused = match wanted.and_then(read_versioned) {
        Ok(ControlRecord::Cancel {
            sequence,
            severity,
            last,
            ..
        }) => {
            let plan = || partition.ledger().cancel(offset, sequence, severity, last);
            return carry_out(partition, plan).await;
        }
        Ok(ControlRecord::Replay(record)) => match replay(&record, &partition.shared.sealer) {
            Ok(replay) => {
                let plan = || partition.ledger().replay(offset, replay.clone());
                return carry_out(partition, plan).await;
            }
            Err(reason) => reason.to_string(),
        },
        Err(reason) => reason.to_string(),
    };
    tracing::error!(offset, "a control record is a dead letter: {refused}");
    let letter = dead_letter(&partition.shared.topics, message, &refused);
    if publish(partition, &[letter]).await {
        partition.ledger().pass_over(offset);
    }
}

/// Plans and writes until it is done, or the partition is lost.
async fn carry_out(partition: &Partition, plan: impl Fn() -> Plan) {
    loop {
        let done = {
            let _one_at_a_time = partition.writing.lock().await;
            let plan = plan();
            partition.carry_out(plan).await
        };
        match done {
            Ok(()) | Err(QueueError::Closed) => return,
            Err(error) => {
                tracing::error!(%error, "what a person wants cannot be recorded; trying again");
                sleep(RETRY).await;
            }
        }
    }
}
