//! What became of alerts: the topics of alerts and of outcomes, handed to whoever writes
//! the history down.
//!
//! Every producer runs it; the group shares the partitions out among them. A batch is
//! handed on while the next one is read, so under load batches grow and without it nothing
//! waits. Offsets are committed after the writer has what is before them; they only say
//! where to begin, since the writer itself knows what it has (`PROTOCOL.md`, "History").
//!
//! While the writer is away nothing more is read, and the group is not left. An alert that
//! cannot be opened here holds up the alerts after it, as it does in the fan-out, and for as
//! long at most; outcomes go on.
//!
//! | file | what it does |
//! |---|---|
//! | `membership.rs` | which partitions this process has, and the offsets to commit |
//! | `ends.rs` | where the topics end: how far it is behind, and whether they are the ones recorded |
//! | `gathering.rs` | records become a batch |
//! | `recording.rs` | a batch is handed on, whatever it takes |
//! | `metrics.rs` | what is counted |

mod ends;
mod gathering;
mod membership;
mod metrics;
mod recording;

use std::{
    collections::HashMap,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use common::Clock;
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

use crate::{
    client,
    error::OpenError,
    sealer::Sealer,
    settings::Settings,
    topics::Topics,
    unopened::{CannotOpen, LEFT_TO_OTHERS},
};
use ends::{Ends, Measured, Progress};
use gathering::{Gathering, Kind, NotTaken};
use membership::{Change, Membership, Partition};
use recording::{Recorded, Recording};

pub use metrics::FeedMetrics;

/// How often offsets are committed while there is progress.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// After a failure of the consumer, how long until the next try.
const RETRY: Duration = Duration::from_secs(1);
/// Who cannot open an alert leaves the group no more often than this, so that outcomes
/// are recorded meanwhile where nobody can.
const LEAVE_EVERY: Duration = Duration::from_secs(30);
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
    unopened: CannotOpen,
    /// When this process last left the group for an alert that it cannot open.
    left_at: Option<Instant>,
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

/// What became of a record.
#[derive(PartialEq, Eq)]
enum Taken {
    /// It was taken in, or left out.
    Yes,
    /// It may be opened by another process, and nothing more of its topic is read here.
    LeftToOthers,
}

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;
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
            unopened: CannotOpen::default(),
            left_at: None,
        }
    }

    /// Feeds until `stop`, then waits for the batch under way, for a few seconds at most,
    /// and commits. Goes on by itself whatever happens to the brokers or to the writer;
    /// an error is one of the settings.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), OpenError> {
        let mut stop = pin!(stop);
        let ends = Ends::new(&self.settings, self.metrics.clone())?;
        loop {
            let (changes, changed) = unbounded_channel();
            let consumer = self.join(changes)?;
            let end = self.session(&consumer, changed, &ends, stop.as_mut()).await;
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
        ends: &Ends,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let mut gathering = Gathering::default();
        let mut recording = Recording::new(self.writer.clone(), self.metrics.clone());
        let mut progress = Progress::default();
        // Nothing is recorded before what is assigned has been compared with what is.
        let mut checking: Option<Later<HashMap<Partition, i64>>> = None;
        let mut measuring: Option<Later<Measured>> = None;
        let mut commit_at = None;
        let mut leave_at = None;
        loop {
            if recording.is_idle() && checking.is_none() && !gathering.is_empty() {
                recording.begin(gathering.take());
            }
            // For a writer that is away nothing is read; the group is followed all the same.
            let is_held = recording.is_failing() || checking.is_some();
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
                Some(change) = changes.recv() => {
                    if self.follow(change, &mut gathering, &mut progress) {
                        checking = Some(self.check(ends, consumer));
                    }
                }
                mut recorded = done(&mut checking) => {
                    checking = None;
                    let mine = consumer.context().mine();
                    recorded.retain(|partition, _| mine.contains(partition));
                    progress.reached(&recorded);
                    measuring = Some(Box::pin(ends.clone().measure_later(mine)));
                }
                recorded = recording.next() => match recorded {
                    Recorded::All(positions) => {
                        progress.reached(&positions);
                        consumer.context().reached(positions);
                        commit_at.get_or_insert_with(|| Instant::now() + COMMIT_EVERY);
                    }
                    Recorded::NotYet => {}
                },
                () = until(commit_at), if commit_at.is_some() => {
                    commit_at = None;
                    consumer.context().commit(consumer);
                }
                measured = done(&mut measuring) => {
                    if let Some(topic) = progress.compare(&measured, &self.topics, &self.metrics) {
                        return End::Failed(format!("the topic {topic} is shorter than what was read of it"));
                    }
                    let mine = consumer.context().mine();
                    measuring = Some(Box::pin(ends.clone().measure_later(mine)));
                }
                () = until(leave_at), if leave_at.is_some() => {
                    recording.finish_within(DRAIN, consumer.context()).await;
                    consumer.context().commit(consumer);
                    self.left_at = Some(Instant::now());
                    return End::LeftToOthers;
                }
                found = consumer.recv(), if is_held || !gathering.is_full() => match found {
                    Ok(message) => {
                        // It may be of what was assigned just before it came.
                        while let Ok(change) = changes.try_recv() {
                            if self.follow(change, &mut gathering, &mut progress) {
                                checking = Some(self.check(ends, consumer));
                            }
                        }
                        if self.read(&mut gathering, &message, consumer) == Taken::LeftToOthers {
                            let again = self.left_at.map(|left_at| left_at + LEAVE_EVERY);
                            leave_at = Some(again.unwrap_or_else(Instant::now));
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

    /// Takes note of what this process has from now on, or no more; answers whether that is to
    /// be compared with what is recorded.
    fn follow(&self, change: Change, gathering: &mut Gathering, progress: &mut Progress) -> bool {
        match change {
            Change::Assigned(partitions) => {
                gathering.assigned(&partitions, &self.topics);
                true
            }
            Change::Revoked(partitions) => {
                gathering.revoked(&partitions, &self.topics);
                progress.revoked(&partitions);
                false
            }
        }
    }

    fn check(&self, ends: &Ends, consumer: &GroupConsumer) -> Later<HashMap<Partition, i64>> {
        let mine = consumer.context().mine();
        Box::pin(ends.clone().check(self.writer.clone(), mine))
    }

    /// Takes a record in.
    fn read(
        &mut self,
        gathering: &mut Gathering,
        message: &BorrowedMessage<'_>,
        consumer: &GroupConsumer,
    ) -> Taken {
        let partition = (message.topic().to_owned(), message.partition());
        let Some(kind) = Kind::of(message.topic(), &self.topics) else {
            return Taken::Yes;
        };
        if consumer.context().is_set_aside(&partition) {
            // It was on its way.
            return Taken::Yes;
        }
        let reason = match gathering.take_in(kind, message, &self.sealer) {
            Ok(()) => return Taken::Yes,
            Err(NotTaken::Unreadable(reason)) => reason.to_string(),
            Err(NotTaken::Unopened(reason)) => {
                let written_at = message.timestamp().to_millis().unwrap_or_default();
                let now = self.clock.now();
                if !self.unopened.is_given_up(now, written_at, &reason) {
                    tracing::error!(
                        offset = message.offset(),
                        "an alert cannot be opened, and the history of those after it waits for a process that can, for ten minutes at most: {reason}"
                    );
                    if let Err(error) = consumer.context().set_aside(consumer, &partition) {
                        tracing::warn!(%error, "the topic of alerts is read all the same");
                    }
                    return Taken::LeftToOthers;
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
        Taken::Yes
    }
}

async fn done<T>(work: &mut Option<Later<T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
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
    // Nobody waits for the history as for a delivery, and under load most fetches would
    // bring two or three records: the brokers spent half of their time on them.
    client::set_unless_given(&mut config, "fetch.min.bytes", "65536");
    client::set_unless_given(&mut config, "fetch.wait.max.ms", "50");
    config
}
