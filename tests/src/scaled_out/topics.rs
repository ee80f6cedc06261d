//! What the topics say: which alerts were accepted, in which order, and what became of their
//! deliveries.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use common::{
    AlertId,
    wire::{AlertChunk, AlertRecord, Hidden, OutcomePart, OutcomeRecord, Place},
};
use kafka::{
    Keyring, Sealer, Settings, Topics,
    records::{accepted_alert, join, open_part},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use uuid::Uuid;

use crate::harness::{State, StoredAlert, StoredDelivery, wait_for};

/// Longer than brokers take to answer, also while one of them is away.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// What is on record about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When the record was written, in milliseconds since 1970.
    pub at: i64,
    /// Whether it says that the delivery has ended.
    pub is_end: bool,
    /// How the delivery stands by it.
    pub state: State,
}

/// Reads the topics of alerts and of outcomes, and goes on where it stopped.
pub struct TopicReader {
    consumer: BaseConsumer,
    sealer: Sealer,
    alerts_topic: String,
    /// The next offset of each partition.
    next: BTreeMap<(String, i32), i64>,
    chunks: HashMap<Uuid, Vec<Hidden>>,
    ids: HashSet<AlertId>,
    /// By sequence number.
    alerts: BTreeMap<u64, StoredAlert>,
    outcomes: HashMap<Place, Vec<Recorded>>,
}

impl TopicReader {
    /// A reader of those topics, which are there, from their beginning.
    pub fn new(settings: &Settings, keys: &str) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            .set("group.id", "reader-of-its-own")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let topics = Topics::new(settings);
        let mut lines = vec![(topics.alerts.clone(), 0)];
        let partitions = 0..i32::from(settings.partitions);
        lines.extend(partitions.map(|partition| (topics.outcomes.clone(), partition)));
        let mut all = TopicPartitionList::new();
        for (topic, partition) in &lines {
            all.add_partition_offset(topic, *partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&all).expect("topics that are there");
        let ring = Keyring::from_environment(keys).expect("keys");
        Self {
            consumer,
            sealer: Sealer::new(settings.format, ring).expect("keys for the format"),
            alerts_topic: topics.alerts,
            next: lines.into_iter().map(|line| (line, 0)).collect(),
            chunks: HashMap::new(),
            ids: HashSet::new(),
            alerts: BTreeMap::new(),
            outcomes: HashMap::new(),
        }
    }

    /// Reads on to the end of each topic as of now.
    pub fn read(&mut self) {
        let lines: Vec<_> = self.next.keys().cloned().collect();
        for (topic, partition) in lines {
            let end = wait_for("a broker that says how far a topic goes", PATIENCE, || {
                let ends = self.consumer.fetch_watermarks(&topic, partition, PATIENCE);
                ends.ok().map(|(_, end)| end)
            });
            while self.next[&(topic.clone(), partition)] < end {
                self.take_next();
            }
        }
    }

    /// Takes the next record of any of them.
    fn take_next(&mut self) {
        let message = wait_for("a topic's next record", PATIENCE, || {
            // An error is one of a broker that is away, and tried again.
            let message = self.consumer.poll(POLL)?.ok()?;
            Some(message.detach())
        });
        let line = (message.topic().to_owned(), message.partition());
        self.next.insert(line, message.offset() + 1);
        self.take(&message);
    }

    /// The alerts that were accepted, in their order, each delivery as its last record says.
    pub fn stored(&self) -> Vec<StoredAlert> {
        let mut stored: Vec<StoredAlert> = self.alerts.values().cloned().collect();
        for alert in &mut stored {
            for (ordinal, delivery) in (0..).zip(&mut alert.deliveries) {
                let place = place(alert.sequence, ordinal);
                if let Some(last) = self.outcomes.get(&place).and_then(|all| all.last()) {
                    delivery.state = last.state;
                }
            }
        }
        stored
    }

    /// What is on record about a delivery, by its alert's sequence and its place in it.
    pub fn recorded(&self, sequence: i64, ordinal: u32) -> &[Recorded] {
        let found = self.outcomes.get(&place(sequence, ordinal));
        found.map_or(&[], Vec::as_slice)
    }

    /// How many deliveries were accepted.
    pub fn accepted(&self) -> usize {
        self.alerts
            .values()
            .map(|alert| alert.deliveries.len())
            .sum()
    }

    /// How many of them have ended.
    pub fn ended(&self) -> usize {
        let of = |alert: &StoredAlert| {
            let ordinals = 0..alert.deliveries.len() as u32;
            ordinals
                .filter(|ordinal| {
                    let all = self.recorded(alert.sequence, *ordinal);
                    all.iter().any(|one| one.is_end)
                })
                .count()
        };
        self.alerts.values().map(of).sum()
    }

    fn take(&mut self, message: &rdkafka::message::OwnedMessage) {
        let Some(payload) = message.payload() else {
            return;
        };
        if message.topic() == self.alerts_topic {
            let record: AlertRecord = serde_json::from_slice(payload).expect("an alert's record");
            self.alert(message.offset(), &record);
        } else {
            let record: OutcomeRecord = serde_json::from_slice(payload).expect("an outcome");
            let at = message.timestamp().to_millis().unwrap_or(record.at.0);
            self.outcome(at, &record);
        }
    }

    fn alert(&mut self, offset: i64, record: &AlertRecord) {
        let part = open_part(record, &self.sealer).expect("our key");
        let parts = match record.chunk {
            None => vec![part],
            Some(AlertChunk { set, number, of }) => {
                let parts = self.chunks.entry(set).or_default();
                parts.push(part);
                if number < of {
                    return;
                }
                self.chunks.remove(&set).unwrap_or_default()
            }
        };
        // The first one with an id counts.
        if !self.ids.insert(record.alert_id) {
            return;
        }
        let body = join(&parts).expect("an alert's body");
        let accepted = accepted_alert(record, &body);
        let deliveries = accepted.deliveries.iter().map(|delivery| StoredDelivery {
            channel: delivery.destination.address.to_string(),
            state: State::Open,
            attempts: 0,
            wait: None,
        });
        let alert = StoredAlert {
            sequence: offset,
            id: record.alert_id.0,
            text: accepted.alert.text(),
            deliveries: deliveries.collect(),
        };
        self.alerts.insert(offset.unsigned_abs(), alert);
    }

    fn outcome(&mut self, at: i64, record: &OutcomeRecord) {
        let (is_end, state) = match record.outcome {
            OutcomePart::Delivered => (true, State::Delivered),
            OutcomePart::Dead { .. } => (true, State::Dead),
            OutcomePart::Cancelled => (true, State::Dead),
            OutcomePart::PartSent
            | OutcomePart::Waiting(_)
            | OutcomePart::Parked
            | OutcomePart::Folded
            | OutcomePart::TakenApart
            | OutcomePart::Replayed { .. } => (false, State::Open),
        };
        let recorded = Recorded { at, is_end, state };
        let members = record.digest.iter().flat_map(|digest| &digest.members);
        for place in members.chain([&record.place]) {
            self.outcomes.entry(*place).or_default().push(recorded);
        }
    }
}

fn place(sequence: i64, ordinal: u32) -> Place {
    Place {
        sequence: sequence.unsigned_abs(),
        ordinal,
    }
}

impl fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicReader")
            .field("alerts", &self.alerts.len())
            .finish_non_exhaustive()
    }
}
