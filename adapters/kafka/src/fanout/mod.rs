//! The fan-out: alerts become deliveries, each in its partition.
//!
//! Any process runs it; the group lets one at a time do it. It reads the topic of alerts
//! in order, publishes each alert's deliveries in order through one producer that stops rather
//! than leave a gap, and commits the offset up to which everything is acknowledged. Whoever
//! takes over begins there. `PROTOCOL.md`, "Fan-out", says why nothing is skipped
//! whatever the interleaving of several that believe it is theirs.
//!
//! | file | what it does |
//! |---|---|
//! | `membership.rs` | who has the partition |
//! | `lines.rs` | alerts that wait to be published |
//! | `writer.rs`, `acks.rs` | publishing, and what was acknowledged |
//! | `progress.rs` | the offset to commit |

mod acks;
mod lines;
mod membership;
mod progress;
#[cfg(test)]
mod tests;
mod writer;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use common::Clock;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    alert_log::{AlertLog, Found, Read},
    client::{self, blocking},
    error::OpenError,
    records::dead_letter,
    sealer::Sealer,
    settings::Settings,
    topics::Topics,
    unopened::{CannotOpen, LEFT_TO_OTHERS},
};
use membership::{Change, Membership, position};
use sealing::Unopened;
use writer::{Outputs, Writer};

/// How often the offset is committed while there is progress.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// How long what is under way may take to be acknowledged at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// After a failure, how long until the next try.
const RETRY: Duration = Duration::from_secs(1);
/// How long one question to the group's coordinator may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The fan-out of one process.
pub struct FanOut {
    settings: Settings,
    outputs: Outputs,
    clock: Arc<dyn Clock>,
    unopened: CannotOpen,
}

/// Why the work on a partition ended.
enum End {
    /// The process is to end.
    Stopped,
    /// Another process is to try what this one cannot open.
    LeftToOthers,
    /// The consumer must be made anew.
    Failed(String),
}

type GroupConsumer = StreamConsumer<Membership>;

impl FanOut {
    /// A fan-out over topics that are [prepared](crate::prepare).
    pub fn new(settings: &Settings, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Self {
        Self {
            outputs: Outputs {
                topics: Topics::new(settings),
                partitions: settings.partitions,
                sealer,
            },
            settings: settings.clone(),
            clock,
            unopened: CannotOpen::default(),
        }
    }

    /// Takes its turn at the fan-out until `stop`, then waits for what is under way, for
    /// a few seconds at most, and commits. Goes on by itself whatever happens to the
    /// brokers; an error is one of the settings.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), OpenError> {
        let mut stop = pin!(stop);
        loop {
            let (changes, changed) = unbounded_channel();
            let consumer = self.join(changes)?;
            let end = self.session(&consumer, changed, stop.as_mut()).await;
            consumer.context().leave(&*consumer);
            // It leaves the group, which takes a round trip.
            let left = spawn_blocking(move || drop(consumer));
            let pause = match end {
                End::Stopped => {
                    // A panic there would have ended the process.
                    let _ = left.await;
                    return Ok(());
                }
                End::LeftToOthers => LEFT_TO_OTHERS,
                End::Failed(reason) => {
                    tracing::warn!("the fan-out begins anew: {reason}");
                    RETRY
                }
            };
            tokio::select! {
                _ = stop.as_mut() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    fn join(&self, changes: UnboundedSender<Change>) -> Result<Arc<GroupConsumer>, OpenError> {
        let topic = &self.outputs.topics.alerts;
        let membership = Membership::new(topic, changes);
        let consumer: GroupConsumer = config(&self.settings).create_with_context(membership)?;
        consumer.subscribe(&[topic])?;
        Ok(Arc::new(consumer))
    }

    /// The work of one membership.
    async fn session(
        &mut self,
        consumer: &Arc<GroupConsumer>,
        mut changes: UnboundedReceiver<Change>,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let mut turn: Option<MyTurn> = None;
        loop {
            if let Some(failure) = turn.as_ref().and_then(|turn| turn.writer.acks().failure()) {
                tracing::warn!("the fan-out begins again where it had come to: {failure}");
                give_up(consumer, turn.take());
                let unassigned = self.unassign(consumer);
                sleep(RETRY).await;
                turn = match unassigned {
                    Ok(()) => match self.take_over(consumer).await {
                        Ok(turn) => Some(turn),
                        Err(error) => return End::Failed(error.to_string()),
                    },
                    Err(error) => return End::Failed(error.to_string()),
                };
            }
            let mine = turn.as_mut();
            let (acks, commit_at, has_room, is_ready) = match &mine {
                Some(mine) => (
                    Some(mine.writer.acks().clone()),
                    mine.commit_at(),
                    mine.writer.has_room(),
                    mine.writer.is_ready(),
                ),
                None => (None, None, true, false),
            };
            tokio::select! {
                biased;
                _ = stop.as_mut() => {
                    if let Some(turn) = turn.take() {
                        turn.finish(consumer).await;
                    }
                    return End::Stopped;
                }
                Some(change) = changes.recv() => {
                    give_up(consumer, turn.take());
                    if change == Change::Assigned {
                        match self.take_over(consumer).await {
                            Ok(mine) => turn = Some(mine),
                            Err(error) => return End::Failed(error.to_string()),
                        }
                    }
                }
                () = changed(acks.as_deref()), if acks.is_some() => {
                    if let Some(mine) = mine {
                        mine.writer.unblock();
                    }
                }
                () = until(commit_at), if commit_at.is_some() => {
                    if let Some(mine) = mine {
                        mine.commit(consumer);
                    }
                }
                found = consumer.recv(), if has_room => match (found, mine) {
                    (Ok(message), Some(mine)) => {
                        if let Err(unopened) = self.read(mine, &message) {
                            tracing::error!(
                                offset = message.offset(),
                                "an alert cannot be opened and holds up all others; another process is to try: {unopened}"
                            );
                            give_up(consumer, turn.take());
                            return End::LeftToOthers;
                        }
                    }
                    (Ok(_), None) => {}
                    (Err(KafkaError::MessageConsumptionFatal(code)), _) => {
                        return End::Failed(code.to_string());
                    }
                    // librdkafka goes on by itself, and has said why on another line.
                    (Err(error), _) => tracing::debug!(%error, "the fan-out's consumer"),
                },
                () = std::future::ready(()), if is_ready => {
                    if let Some(mine) = mine {
                        mine.writer.publish(self.clock.now().utc);
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Begins where the last one had come to.
    async fn take_over(&self, consumer: &Arc<GroupConsumer>) -> Result<MyTurn, OpenError> {
        let from = self.committed(consumer).await?;
        let log = AlertLog::from(from);
        let topic = &self.outputs.topics.alerts;
        let writer = Writer::begin(&writer::config(&self.settings), self.outputs.clone(), from)?;
        consumer.context().follow(Some(writer.acks().clone()));
        consumer.context().assign(&**consumer, log.first())?;
        tracing::info!(from, "this process has the fan-out");
        Ok(MyTurn {
            topic: topic.clone(),
            log,
            writer,
            committed: from,
            committed_at: Instant::now(),
        })
    }

    /// The offset that the last one committed, or the first there is.
    async fn committed(&self, consumer: &Arc<GroupConsumer>) -> KafkaResult<u64> {
        let (consumer, topic) = (consumer.clone(), self.outputs.topics.alerts.clone());
        blocking(move || {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&topic, 0);
            let answer = consumer.committed_offsets(asked, ANSWER)?;
            let (first, _) = consumer.fetch_watermarks(&topic, 0, ANSWER)?;
            let committed = answer
                .find_partition(&topic, 0)
                .map(|partition| partition.offset());
            Ok(match committed {
                Some(Offset::Offset(offset)) => offset as u64,
                _ => first.max(0) as u64,
            })
        })
        .await
    }

    fn unassign(&self, consumer: &GroupConsumer) -> KafkaResult<()> {
        consumer.incremental_unassign(&position(&self.outputs.topics.alerts, 0)?)
    }

    /// Takes a record in. `Err` means that it cannot be opened, and may be by others.
    fn read(&mut self, mine: &mut MyTurn, message: &BorrowedMessage<'_>) -> Result<(), Unopened> {
        let offset = u64::try_from(message.offset()).unwrap_or_default();
        let found = Found {
            offset,
            written_at: message.timestamp().to_millis().unwrap_or_default(),
            payload: message.payload(),
        };
        match mine.log.read(found, &self.outputs.sealer) {
            Read::Alert(alert) => mine.writer.push(*alert),
            Read::Nothing => {}
            Read::Unreadable(reason) => self.bury(mine, message, &reason.to_string()),
            Read::Unopened(reason) => {
                let now = self.clock.now();
                if !self.unopened.is_given_up(now, found.written_at, &reason) {
                    return Err(reason);
                }
                self.bury(mine, message, &reason.to_string());
            }
        }
        let needed = mine.log.needs(offset + 1);
        mine.writer.acks().progress().read_to(needed);
        Ok(())
    }

    fn bury(&self, mine: &mut MyTurn, message: &BorrowedMessage<'_>, reason: &str) {
        let offset = message.offset();
        tracing::error!(
            offset,
            "a record of the topic of alerts is a dead letter: {reason}"
        );
        let letter = dead_letter(&self.outputs.topics, message, reason);
        mine.writer.bury(offset as u64, letter);
    }
}

/// The partition while this process has it.
struct MyTurn {
    topic: String,
    log: AlertLog,
    writer: Writer,
    committed: u64,
    committed_at: Instant,
}

impl MyTurn {
    /// When to commit next; never where there is nothing to.
    fn commit_at(&self) -> Option<Instant> {
        let acks = self.writer.acks();
        let is_due = acks.progress().committable() > self.committed || !acks.is_idle();
        is_due.then(|| self.committed_at + COMMIT_EVERY)
    }

    /// Commits what is acknowledged. A commit that fails is made up for by the next.
    fn commit(&mut self, consumer: &GroupConsumer) {
        self.committed_at = Instant::now();
        let offset = self.writer.acks().progress().committable();
        if offset <= self.committed {
            return;
        }
        let commit = position(&self.topic, offset)
            .and_then(|position| consumer.commit(&position, CommitMode::Async));
        match commit {
            Ok(()) => self.committed = offset,
            Err(error) => tracing::debug!(%error, "the fan-out cannot commit"),
        }
    }

    /// Waits for what is under way. The commit follows when the group is left.
    async fn finish(self, consumer: &GroupConsumer) {
        let acks = self.writer.acks().clone();
        let drained = async {
            while !acks.is_idle() && acks.failure().is_none() {
                acks.changed().await;
            }
        };
        // What is not acknowledged by then is published again by the next one.
        let _ = timeout(DRAIN, drained).await;
        let offset = acks.progress().committable();
        if let Ok(position) = position(&self.topic, offset)
            && let Err(error) = consumer.commit(&position, CommitMode::Async)
        {
            tracing::debug!(%error, "the fan-out's last commit failed");
        }
        end(self.writer).await;
    }
}

/// Ends what this process did with the partition. What its producer has not sent is dropped.
fn give_up(consumer: &GroupConsumer, turn: Option<MyTurn>) {
    consumer.context().follow(None);
    if let Some(turn) = turn {
        tracing::info!("this process has the fan-out no more");
        drop(spawn_blocking(move || drop(turn)));
    }
}

/// Ending a producer waits for its threads.
async fn end(writer: Writer) {
    // A panic there would have ended the process.
    let _ = spawn_blocking(move || drop(writer)).await;
}

async fn changed(acks: Option<&acks::Acks>) {
    if let Some(acks) = acks {
        acks.changed().await;
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}

/// A member that keeps the partition when others join, and is missed within seconds.
fn config(settings: &Settings) -> rdkafka::ClientConfig {
    let mut config = client::consumer(settings, &settings.fan_out_group());
    config
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "500")
        .set("queued.max.messages.kbytes", "16384");
    config
}
