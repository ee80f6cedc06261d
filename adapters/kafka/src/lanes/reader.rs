//! Reading one partition number of the topics that concern its lanes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer, stream_consumer::StreamPartitionQueue},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::ledger::{Checkpoint, Reading};
use crate::{
    client::{self, Events, blocking},
    settings::Settings,
    topics::Topics,
};
use common::wire::{Place, VERSION};

/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) type LaneConsumer = StreamConsumer<Events>;

/// A client for one partition number from its assignment to its revocation. It is no
/// member of the group: what it reads it is told.
pub(super) struct Reader {
    consumer: Arc<LaneConsumer>,
    partition: i32,
    /// Serves what concerns the client and no topic.
    serving: JoinHandle<()>,
}

/// One topic, from some offset on.
pub(super) struct Stream(StreamPartitionQueue<Events>);

/// What comes next.
pub(super) enum Found<'a> {
    Message(BorrowedMessage<'a>),
    /// There is no more for now.
    End,
}

/// Where a topic's partition begins and ends as of now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    pub(super) first: u64,
    pub(super) end: u64,
}

/// The metadata of a committed offset.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    v: u32,
    #[serde(default)]
    place: Option<Place>,
    outcomes: u64,
}

impl Noted {
    /// Nothing, where it is of another version, or somebody else's.
    fn read(text: &str) -> Option<Self> {
        let noted: Option<Self> = serde_json::from_str(text).ok();
        noted.filter(|noted| noted.v == VERSION)
    }
}

/// For `fuzz/`: what is read is written so that it is read again.
#[cfg(feature = "fuzzing")]
pub fn read_noted(text: &str) {
    let Some(noted) = Noted::read(text) else {
        return;
    };
    let written = serde_json::to_string(&noted).unwrap_or_default();
    let again = Noted::read(&written);
    assert!(
        again.is_some_and(|again| again.place == noted.place && again.outcomes == noted.outcomes)
    );
}

impl Reader {
    pub(super) fn open(settings: &Settings, partition: i32) -> KafkaResult<Self> {
        let mut config = client::consumer(settings, &settings.group);
        config
            .set("enable.partition.eof", "true")
            // What is fetched ahead of each topic: memory is bounded by partitions.
            .set("queued.max.messages.kbytes", "1024")
            .set("fetch.message.max.bytes", "524288")
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.error.backoff.ms", "100");
        // It joins no group, so nothing of a group concerns it.
        for key in ["group.protocol", "group.instance.id"] {
            config.remove(key);
        }
        let consumer: LaneConsumer = config.create_with_context(Events::logged("lane"))?;
        let consumer = Arc::new(consumer);
        let serving = tokio::spawn({
            let consumer = Arc::clone(&consumer);
            async move {
                loop {
                    if let Err(error) = consumer.recv().await {
                        tracing::debug!(%error, "a lane's consumer");
                    }
                }
            }
        });
        Ok(Self {
            consumer,
            partition,
            serving,
        })
    }

    /// Where each topic begins and ends.
    pub(super) async fn extents<const N: usize>(
        &self,
        topics: [&str; N],
    ) -> KafkaResult<[Extent; N]> {
        let consumer = Arc::clone(&self.consumer);
        let (topics, partition) = (topics.map(str::to_owned), self.partition);
        blocking(move || {
            let mut extents = [Extent::default(); N];
            for (topic, extent) in topics.iter().zip(&mut extents) {
                let (first, end) = consumer.fetch_watermarks(topic, partition, ANSWER)?;
                *extent = Extent {
                    first: first.max(0) as u64,
                    end: end.max(0) as u64,
                };
            }
            Ok(extents)
        })
        .await
    }

    /// What the group has committed: the offset and what is noted with it.
    pub(super) async fn committed(&self, topics: &Topics) -> KafkaResult<Committed> {
        let consumer = Arc::clone(&self.consumer);
        let names = [&topics.high, &topics.deliveries, &topics.control].map(String::clone);
        let partition = self.partition;
        blocking(move || {
            let mut asked = TopicPartitionList::with_capacity(3);
            for name in &names {
                asked.add_partition(name, partition);
            }
            let answer = consumer.committed_offsets(asked, ANSWER)?;
            let mut of = [Position::default(); 3];
            for (name, position) in names.iter().zip(&mut of) {
                let Some(found) = answer.find_partition(name, partition) else {
                    continue;
                };
                found.error()?;
                if let Offset::Offset(offset) = found.offset() {
                    let noted = Noted::read(found.metadata());
                    *position = Position {
                        offset: Some(offset.max(0) as u64),
                        place: noted.as_ref().and_then(|noted| noted.place),
                        outcomes: noted.map(|noted| noted.outcomes),
                    };
                }
            }
            let [high, main, control] = of;
            Ok(Committed {
                high,
                main,
                control,
            })
        })
        .await
    }

    /// Topics, each from that offset on. All at once, since one that comes later has to
    /// wait until a broker has waited for news of the others.
    pub(super) fn streams<const N: usize>(
        &self,
        from: [(&str, u64); N],
    ) -> KafkaResult<[Stream; N]> {
        let mut positions = TopicPartitionList::with_capacity(N);
        let mut queues = Vec::with_capacity(N);
        for (topic, offset) in from {
            let queue = self.consumer.split_partition_queue(topic, self.partition);
            queues.push(queue.ok_or_else(|| KafkaError::Subscription(topic.to_owned()))?);
            positions.add_partition_offset(topic, self.partition, Offset::Offset(offset as i64))?;
        }
        self.consumer.incremental_assign(&positions)?;
        let streams = queues.into_iter().map(Stream).collect::<Vec<_>>();
        streams.try_into().map_err(|_| KafkaError::Canceled)
    }

    /// The client.
    pub(super) fn consumer(&self) -> Arc<LaneConsumer> {
        Arc::clone(&self.consumer)
    }

    /// Reads a topic no more.
    pub(super) fn close(&self, topic: &str) -> KafkaResult<()> {
        let mut position = TopicPartitionList::with_capacity(1);
        position.add_partition(topic, self.partition);
        self.consumer.incremental_unassign(&position)
    }
}

impl Drop for Reader {
    /// Ending a client waits for its threads, which is to hold nobody up. Its streams
    /// are dropped about now.
    fn drop(&mut self) {
        self.serving.abort();
        let consumer = Arc::clone(&self.consumer);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || {
                let began = Instant::now();
                while Arc::strong_count(&consumer) > 1 && began.elapsed() < ANSWER {
                    std::thread::sleep(Duration::from_millis(5));
                }
                drop(consumer);
            });
        }
    }
}

impl Stream {
    /// The next message, or the end each time it is reached. May be dropped while it
    /// waits. Other errors are of the client's connections, which it mends itself.
    pub(super) async fn next(&self) -> KafkaResult<Found<'_>> {
        match self.0.recv().await {
            Ok(message) => Ok(Found::Message(message)),
            Err(KafkaError::PartitionEOF(_)) => Ok(Found::End),
            Err(error) => Err(error),
        }
    }
}

/// What is committed of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset: Option<u64>,
    pub(super) place: Option<Place>,
    pub(super) outcomes: Option<u64>,
}

/// What is committed of the topics that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) high: Position,
    pub(super) main: Position,
    pub(super) control: Position,
}

impl Committed {
    /// From where to read, where the topics begin as `first` says: what was committed may
    /// have been deleted since.
    pub(super) fn checkpoint(&self, first: [u64; 4]) -> Checkpoint {
        let [high, main, control, outcomes] = first;
        let reading = |position: &Position, first: u64| Reading {
            offset: position.offset.unwrap_or(first).max(first),
            place: position.place,
        };
        // Where one of them has no note, somebody else has committed it.
        let noted = [self.high, self.main, self.control]
            .iter()
            .filter(|position| position.offset.is_some())
            .map(|position| position.outcomes.unwrap_or(0))
            .min();
        Checkpoint {
            high: reading(&self.high, high),
            main: reading(&self.main, main),
            control: self.control.offset.unwrap_or(control).max(control),
            outcomes: noted.unwrap_or(0).max(outcomes),
        }
    }
}

/// What is to be committed for one partition.
pub(super) fn positions(
    list: &mut TopicPartitionList,
    topics: &Topics,
    partition: i32,
    checkpoint: &Checkpoint,
) -> KafkaResult<()> {
    let control = Reading {
        offset: checkpoint.control,
        place: None,
    };
    let readings = [
        (&topics.high, checkpoint.high),
        (&topics.deliveries, checkpoint.main),
        (&topics.control, control),
    ];
    for (topic, reading) in readings {
        let noted = Noted {
            v: VERSION,
            place: reading.place,
            outcomes: checkpoint.outcomes,
        };
        let mut position = list.add_partition(topic, partition);
        position.set_offset(Offset::Offset(reading.offset as i64))?;
        // Noted has nothing that JSON cannot say.
        position.set_metadata(serde_json::to_string(&noted).unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64, outcomes: Option<u64>) -> Position {
        Position {
            offset: Some(offset),
            place: None,
            outcomes,
        }
    }

    #[test]
    fn what_is_committed_comes_back() {
        let topics = Topics::new(&Settings::default());
        let place = Some(Place {
            sequence: 7,
            ordinal: 2,
        });
        let checkpoint = Checkpoint {
            high: Reading {
                offset: 3,
                place: None,
            },
            main: Reading { offset: 9, place },
            control: 1,
            outcomes: 5,
        };
        let mut list = TopicPartitionList::new();
        positions(&mut list, &topics, 4, &checkpoint).unwrap();
        let main = list.find_partition(&topics.deliveries, 4).unwrap();
        assert_eq!(main.offset(), Offset::Offset(9));
        assert_eq!(main.metadata(), r#"{"v":1,"place":[7,2],"outcomes":5}"#);
        let noted: Noted = serde_json::from_str(main.metadata()).unwrap();
        assert_eq!((noted.place, noted.outcomes), (place, 5));
    }

    #[test]
    fn without_notes_all_outcomes_are_read() {
        let none = Committed {
            high: Position::default(),
            main: Position::default(),
            control: Position::default(),
        };
        let first = none.checkpoint([1, 2, 3, 4]);
        assert_eq!((first.high.offset, first.main.offset), (1, 2));
        assert_eq!((first.control, first.outcomes), (3, 4));
        // The first consumers committed what they had read, and nothing else.
        let theirs = Committed {
            main: position(50, None),
            ..none
        };
        assert_eq!(theirs.checkpoint([0; 4]).outcomes, 0);
        let ours = Committed {
            high: position(5, Some(70)),
            main: position(50, Some(60)),
            ..none
        };
        assert_eq!(ours.checkpoint([0; 4]).outcomes, 60);
    }

    #[test]
    fn what_was_deleted_since_is_passed_over() {
        let committed = Committed {
            high: position(5, Some(7)),
            main: position(50, Some(7)),
            control: position(1, Some(7)),
        };
        let checkpoint = committed.checkpoint([10, 10, 10, 10]);
        assert_eq!(checkpoint.high.offset, 10);
        assert_eq!(checkpoint.main.offset, 50);
        assert_eq!((checkpoint.control, checkpoint.outcomes), (10, 10));
    }
}
