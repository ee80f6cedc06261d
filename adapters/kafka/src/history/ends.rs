//! Where the topics end: how far the history is behind, and whether they are the topics
//! that it was made of.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use producer::ports::{HistoryWriter, RecordError, Recorded};
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::time::sleep;

use super::{membership::Partition, metrics::FeedMetrics};
use crate::{
    client::{self, Events, blocking},
    error::OpenError,
    settings::Settings,
    topics::Topics,
};

/// How long one question to the cluster may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often the ends are asked for.
const EVERY: Duration = Duration::from_secs(10);
/// After a failure, how long until the next try.
const RETRY: Duration = Duration::from_secs(1);
/// How often it is looked whether topics that must not be recorded are others by now.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Asks where the topics end.
#[derive(Clone)]
pub(super) struct Ends {
    asking: Arc<BaseConsumer<Events>>,
    topics: Topics,
    metrics: FeedMetrics,
}

/// The first record of a partition and the one after its last.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: i64,
    end: i64,
}

/// Where the partitions of this process end.
pub(super) struct Measured(HashMap<Partition, Range>);

#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Store(#[from] RecordError),
    /// What is recorded is of alerts that the topic never had.
    #[error(
        "the history is made of {recorded} records of the topic {topic}, which has {end}: it was deleted and made anew, or lost records. Nothing is recorded, since new alerts would be taken for those of before. Empty the history's tables (PROTOCOL.md, \"History\", says how) or use the old topics; it goes on by itself then"
    )]
    OtherTopic {
        topic: String,
        recorded: u64,
        end: i64,
    },
}

impl Ends {
    pub(super) fn new(settings: &Settings, metrics: FeedMetrics) -> Result<Self, OpenError> {
        let context = Events::logged("history's ends");
        let asking = client::reader(settings).create_with_context(context)?;
        Ok(Self {
            asking: Arc::new(asking),
            topics: Topics::new(settings),
            metrics,
        })
    }

    /// Waits a while, then asks until it is answered.
    pub(super) async fn measure_later(self, partitions: Vec<Partition>) -> Measured {
        sleep(EVERY).await;
        loop {
            match self.measured(partitions.clone()).await {
                Ok(measured) => return measured,
                Err(error) => tracing::debug!(%error, "the ends of the topics are unknown"),
            }
            sleep(EVERY).await;
        }
    }

    /// Compares the topics with what is recorded, and goes on only once they are those that
    /// it was made of: records of other topics would be passed over, as if they had been
    /// recorded. A partition of outcomes that ends before what is recorded of it is another
    /// one, and is recorded from its beginning; of alerts nothing can be, since what is on
    /// record is known by their places.
    ///
    /// Answers from where each of `partitions` is not recorded.
    pub(super) async fn check(
        self,
        writer: Arc<dyn HistoryWriter>,
        partitions: Vec<Partition>,
    ) -> HashMap<Partition, i64> {
        let mut told = String::new();
        loop {
            let checked = self.check_once(&*writer, &partitions).await;
            let is_other = matches!(checked, Err(CheckError::OtherTopic { .. }));
            self.metrics.other_topics.set(i64::from(is_other));
            let error = match checked {
                Ok(recorded) => return recorded,
                Err(error) => error,
            };
            let line = error.to_string();
            if line != told {
                match is_other {
                    true => tracing::error!("{line}"),
                    false => tracing::warn!("the history waits, and nothing of it is lost: {line}"),
                }
                told = line;
            }
            sleep(if is_other { LOOK_AGAIN } else { RETRY }).await;
        }
    }

    async fn check_once(
        &self,
        writer: &dyn HistoryWriter,
        partitions: &[Partition],
    ) -> Result<HashMap<Partition, i64>, CheckError> {
        // Asked for first: a topic only grows meanwhile.
        let recorded = writer.recorded().await?;
        let alerts = (self.topics.alerts.clone(), 0);
        let wanted = partitions.iter().chain([&alerts]).cloned().collect();
        let Measured(ranges) = self.measured(wanted).await?;
        if let (Some(next), Some(range)) = (recorded.alerts, ranges.get(&alerts))
            && place(next) > range.end
        {
            return Err(CheckError::OtherTopic {
                topic: alerts.0,
                recorded: next,
                end: range.end,
            });
        }
        let mut from = HashMap::new();
        for partition in partitions {
            let Some(range) = ranges.get(partition) else {
                continue;
            };
            let mut next = self.recorded_of(partition, &recorded).unwrap_or_default();
            if place(next) > range.end {
                tracing::error!(
                    topic = partition.0,
                    partition = partition.1,
                    recorded = next,
                    end = range.end,
                    "the topic was deleted and made anew, or lost records, since the history was made of it; it is recorded from its beginning"
                );
                self.metrics.begun_anew.inc();
                writer.begin_anew(partition.1.unsigned_abs(), next).await?;
                next = 0;
            }
            from.insert(partition.clone(), place(next).max(range.first));
        }
        Ok(from)
    }

    fn recorded_of(&self, (topic, partition): &Partition, recorded: &Recorded) -> Option<u64> {
        match *topic == self.topics.alerts {
            true => recorded.alerts,
            false => recorded.outcomes.get(&partition.unsigned_abs()).copied(),
        }
    }

    async fn measured(&self, partitions: Vec<Partition>) -> Result<Measured, KafkaError> {
        let asking = Arc::clone(&self.asking);
        let ranges = blocking(move || {
            let partitions: BTreeSet<Partition> = partitions.into_iter().collect();
            let ranges = partitions.into_iter().map(|partition| {
                let (topic, number) = &partition;
                let (first, end) = asking.fetch_watermarks(topic, *number, ANSWER)?;
                Ok((partition, Range { first, end }))
            });
            ranges.collect::<Result<_, KafkaError>>()
        });
        Ok(Measured(ranges.await?))
    }
}

/// An offset, as librdkafka has it.
fn place(next: u64) -> i64 {
    i64::try_from(next).unwrap_or(i64::MAX)
}

/// How far what this process has is recorded.
#[derive(Default)]
pub(super) struct Progress(HashMap<Partition, i64>);

impl Progress {
    /// All before these offsets is recorded.
    pub(super) fn reached(&mut self, positions: &HashMap<Partition, i64>) {
        for (partition, offset) in positions {
            let known = self.0.entry(partition.clone()).or_insert(*offset);
            *known = (*known).max(*offset);
        }
    }

    /// It is another process's now.
    pub(super) fn revoked(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.0.remove(partition);
        }
    }

    /// Tells how far it is behind. Answers a topic that ends before what was recorded of it,
    /// where there is one.
    pub(super) fn compare(
        &self,
        Measured(ranges): &Measured,
        topics: &Topics,
        metrics: &FeedMetrics,
    ) -> Option<String> {
        let (mut alerts, mut outcomes) = (0, 0);
        for (partition, reached) in &self.0 {
            let Some(range) = ranges.get(partition) else {
                continue;
            };
            let behind = range.end - (*reached).max(range.first);
            if behind < 0 {
                return Some(partition.0.clone());
            }
            match partition.0 == topics.alerts {
                true => alerts += behind,
                false => outcomes += behind,
            }
        }
        metrics.behind(alerts, outcomes);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        Topics::new(&Settings {
            topic: "t".into(),
            ..Settings::default()
        })
    }

    fn partition(topic: &str, number: i32) -> Partition {
        (format!("t.{topic}"), number)
    }

    fn measured(ranges: &[(&str, i32, i64, i64)]) -> Measured {
        let ranges = ranges.iter().map(|(topic, number, first, end)| {
            let (first, end) = (*first, *end);
            (partition(topic, *number), Range { first, end })
        });
        Measured(ranges.collect())
    }

    #[test]
    fn what_is_behind_is_counted_by_topic_and_of_what_this_process_has() {
        let mut progress = Progress::default();
        let reached = [
            (partition("alerts", 0), 90),
            (partition("outcomes", 0), 5),
            (partition("outcomes", 1), 7),
            // Older ones were deleted meanwhile, unread.
            (partition("outcomes", 2), 0),
        ];
        progress.reached(&reached.into());
        progress.revoked(&[partition("outcomes", 1)]);
        let ends = measured(&[
            ("alerts", 0, 0, 100),
            ("outcomes", 0, 0, 9),
            ("outcomes", 1, 0, 1_000),
            ("outcomes", 2, 50, 60),
        ]);
        let metrics = FeedMetrics::default();
        assert_eq!(progress.compare(&ends, &topics(), &metrics), None);
        assert_eq!(metrics.is_behind(), (10, 14));
    }

    #[test]
    fn a_topic_that_ends_before_what_was_recorded_is_another() {
        let mut progress = Progress::default();
        progress.reached(&[(partition("outcomes", 3), 90)].into());
        let ends = measured(&[("outcomes", 3, 0, 89)]);
        let other = progress.compare(&ends, &topics(), &FeedMetrics::default());
        assert_eq!(other.as_deref(), Some("t.outcomes"));
    }
}
