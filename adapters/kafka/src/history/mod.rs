//! What became of alerts: the topics of alerts and of outcomes, handed to whoever writes
//! the history down.
//!
//! Every producer runs it; the group shares the partitions out among them. A batch is
//! handed on while the next one is read, so under load batches grow and without it nothing
//! waits. Offsets are committed after the writer has what is before them; they only say
//! where to begin, since the writer itself knows what it has (`PROTOCOL.md`, "History").
//!
//! While the writer is away nothing more is read, and the group is not left.
//!
//! | file | what it does |
//! |---|---|
//! | `membership.rs` | which partitions this process has, and the offsets to commit |
//! | `gathering.rs` | records become a batch |
//! | `recording.rs` | a batch is handed on, whatever it takes |
//! | `metrics.rs` | what is counted |

mod gathering;
mod membership;
mod metrics;
mod recording;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use common::{Clock, Now};
use producer::ports::HistoryWriter;
use rdkafka::{
    Message,
    consumer::{Consumer, StreamConsumer},
    error::KafkaError,
    message::BorrowedMessage,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::spawn_blocking,
    time::{Instant, sleep, sleep_until},
};

use crate::{client, error::OpenError, sealing::Sealer, settings::Settings, topics::Topics};
use gathering::{Gathering, Kind, NotTaken};
use membership::{Change, Membership};
use recording::{Recorded, Recording};

pub use metrics::FeedMetrics;

/// How often offsets are committed while there is progress.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// After a failure of the consumer, how long until the next try.
const RETRY: Duration = Duration::from_secs(1);
/// How long another process may try to open an alert that this one cannot.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(5);
/// An alert is left out of the history once nobody could open it for so long since it was
/// written, and this process for so long since it tried first.
const UNOPENED_FOR: Duration = Duration::from_secs(10 * 60);
const TRIED_FOR: Duration = Duration::from_secs(30);
/// How long the batch under way may take at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Feeds the history of one process.
pub struct HistoryFeed {
    settings: Settings,
    topics: Topics,
    sealer: Arc<Sealer>,
    writer: Arc<dyn HistoryWriter>,
    clock: Arc<dyn Clock>,
    metrics: FeedMetrics,
    /// The alert that this process could not open, and when it tried first.
    unopened: Option<(u64, Duration)>,
}

/// Why a membership ended.
enum End {
    /// The process is to end.
    Stopped,
    /// Another process is to try what this one cannot open.
    LeftToOthers,
    /// The consumer must be made anew.
    Failed(String),
}

type GroupConsumer = StreamConsumer<Membership>;

impl HistoryFeed {
    /// A feed of topics that are [prepared](crate::prepare).
    pub fn new(
        settings: &Settings,
        sealer: Arc<Sealer>,
        writer: Arc<dyn HistoryWriter>,
        clock: Arc<dyn Clock>,
        metrics: FeedMetrics,
    ) -> Self {
        Self {
            topics: Topics::new(settings),
            settings: settings.clone(),
            sealer,
            writer,
            clock,
            metrics,
            unopened: None,
        }
    }

    /// Feeds until `stop`, then waits for the batch under way, for a few seconds at most,
    /// and commits. Goes on by itself whatever happens to the brokers or to the writer;
    /// an error is one of the settings.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), OpenError> {
        let mut stop = pin!(stop);
        loop {
            let (changes, changed) = unbounded_channel();
            let consumer = self.join(changes)?;
            let end = self.session(&consumer, changed, stop.as_mut()).await;
            // It leaves the group, which takes a round trip; a panic there would have
            // ended the process.
            let left = spawn_blocking(move || drop(consumer));
            let pause = match end {
                End::Stopped => {
                    let _ = left.await;
                    return Ok(());
                }
                End::LeftToOthers => LEFT_TO_OTHERS,
                End::Failed(reason) => {
                    tracing::warn!("the history is read anew: {reason}");
                    RETRY
                }
            };
            tokio::select! {
                () = stop.as_mut() => return Ok(()),
                () = sleep(pause) => {}
            }
        }
    }

    fn join(&self, changes: UnboundedSender<Change>) -> Result<GroupConsumer, OpenError> {
        let membership = Membership::new(changes);
        let consumer: GroupConsumer = config(&self.settings).create_with_context(membership)?;
        consumer.subscribe(&[&self.topics.alerts, &self.topics.outcomes])?;
        Ok(consumer)
    }

    /// The work of one membership.
    async fn session(
        &mut self,
        consumer: &GroupConsumer,
        mut changes: UnboundedReceiver<Change>,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let mut gathering = Gathering::default();
        let mut recording = Recording::new(self.writer.clone(), self.metrics.clone());
        let mut commit_at = None;
        loop {
            if recording.is_idle() && !gathering.is_empty() {
                recording.begin(gathering.take());
            }
            // For a writer that is away nothing is read; the group is followed all the same.
            let is_held = recording.is_failing();
            if let Err(error) = consumer.context().hold(consumer, is_held) {
                return End::Failed(error.to_string());
            }
            tokio::select! {
                biased;
                () = stop.as_mut() => {
                    recording.finish_within(DRAIN, consumer.context()).await;
                    consumer.context().commit(consumer);
                    return End::Stopped;
                }
                Some(change) = changes.recv() => match change {
                    Change::Assigned(partitions) => gathering.assigned(&partitions, &self.topics),
                    Change::Revoked(partitions) => gathering.revoked(&partitions, &self.topics),
                },
                recorded = recording.next() => match recorded {
                    Recorded::All(positions) => {
                        consumer.context().reached(positions);
                        commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
                    }
                    Recorded::NotYet => {}
                },
                () = until(commit_at), if commit_at.is_some() => {
                    commit_at = None;
                    consumer.context().commit(consumer);
                }
                found = consumer.recv(), if is_held || !gathering.is_full() => match found {
                    Ok(message) => {
                        if let Err(end) = self.read(&mut gathering, &message) {
                            return end;
                        }
                    }
                    Err(KafkaError::MessageConsumptionFatal(code)) => {
                        return End::Failed(code.to_string());
                    }
                    // librdkafka goes on by itself, and has said why on another line.
                    Err(error) => tracing::debug!(%error, "the history's consumer"),
                },
            }
        }
    }

    /// Takes a record in.
    fn read(
        &mut self,
        gathering: &mut Gathering,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), End> {
        let Some(kind) = Kind::of(message.topic(), &self.topics) else {
            return Ok(());
        };
        let reason = match gathering.take_in(kind, message, &self.sealer) {
            Ok(()) => return Ok(()),
            Err(NotTaken::Unreadable(reason)) => reason.to_string(),
            Err(NotTaken::Unopened(reason)) => {
                if !self.is_given_up(message) {
                    tracing::error!(
                        offset = message.offset(),
                        "an alert cannot be opened, and another process is to try: {reason}"
                    );
                    return Err(End::LeftToOthers);
                }
                gathering.pass_over(kind, message);
                reason.to_string()
            }
        };
        self.metrics.left_out.inc();
        tracing::error!(
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            "a record is left out of the history: {reason}"
        );
        Ok(())
    }

    /// Whether nobody will open that record any more.
    fn is_given_up(&mut self, message: &BorrowedMessage<'_>) -> bool {
        let Now { mono, utc } = self.clock.now();
        let offset = message.offset() as u64;
        let since = match self.unopened {
            Some((known, since)) if known == offset => since,
            _ => mono,
        };
        self.unopened = Some((offset, since));
        let written_at = message.timestamp().to_millis().unwrap_or_default();
        let age = utc.since(common::UtcMillis(written_at));
        age >= UNOPENED_FOR && mono.saturating_sub(since) >= TRIED_FOR
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn config(settings: &Settings) -> rdkafka::ClientConfig {
    let mut config = client::consumer(settings, &settings.history_group());
    config
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "1000")
        .set("queued.max.messages.kbytes", "16384");
    config
}
