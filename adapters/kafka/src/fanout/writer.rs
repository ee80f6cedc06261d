//! Publishing deliveries, in order and without a gap.

use std::{collections::VecDeque, sync::Arc};

use common::{
    DestinationId, UtcMillis,
    wire::{DeliveryRecord, OutcomePart, OutcomeRecord, Place, VERSION},
};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    acks::Acks,
    lines::{Lines, Turn},
};
use crate::{
    alert_log::WholeAlert,
    client,
    error::OpenError,
    records::{Outgoing, delivery_record},
    sealer::Sealer,
    sending::Served,
    settings::Settings,
    topics::{Topics, partition_of},
};

/// How many deliveries are published before anything else has a turn: a few milliseconds.
const SLICE: usize = 256;

/// The one who publishes, for as long as this process has the partition and nothing failed.
pub(super) struct Writer {
    producer: Served<Acks>,
    outputs: Outputs,
    lines: Lines,
    /// Dead letters, which come before all else and belong to the alerts at these sequences.
    dead: VecDeque<(u64, Outgoing)>,
    is_blocked: bool,
}

/// What deliveries are made into.
#[derive(Clone)]
pub(super) struct Outputs {
    pub(super) topics: Topics,
    pub(super) partitions: u16,
    pub(super) sealer: Arc<Sealer>,
}

impl Writer {
    /// A writer whose progress begins at `offset`.
    pub(super) fn begin(
        config: &ClientConfig,
        outputs: Outputs,
        offset: u64,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            producer: Served::start(config, Acks::from(offset))?,
            outputs,
            lines: Lines::default(),
            dead: VecDeque::new(),
            is_blocked: false,
        })
    }

    pub(super) fn acks(&self) -> &Arc<Acks> {
        self.producer.context()
    }

    /// Whether another alert may be read.
    pub(super) fn has_room(&self) -> bool {
        self.lines.has_room()
    }

    /// Whether there is something to publish and room for it.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_blocked && (!self.lines.is_empty() || !self.dead.is_empty())
    }

    /// There is room again.
    pub(super) fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Takes an alert in, later than all before.
    pub(super) fn push(&mut self, alert: WholeAlert) {
        let deliveries = alert.body.deliveries.len();
        self.acks()
            .progress()
            .begin(alert.sequence, alert.first, deliveries);
        self.lines.push(alert, self.outputs.sealer.format());
    }

    /// Takes a record of the topic of alerts in that is no alert.
    pub(super) fn bury(&mut self, offset: u64, letter: Outgoing) {
        self.acks().progress().begin(offset, offset, 1);
        self.dead.push_back((offset, letter));
    }

    /// Publishes what is waiting: a slice of it, or until there is no room.
    pub(super) fn publish(&mut self, now: UtcMillis) {
        for _ in 0..SLICE {
            if !self.acks().has_room() {
                return self.block();
            }
            let done = match (self.dead.front(), self.lines.turn()) {
                (Some((offset, letter)), _) => self.bury_now(*offset, letter).map(|()| {
                    self.dead.pop_front();
                }),
                (None, Some(turn)) => self.send_turn(&turn, now).map(|()| self.lines.taken()),
                (None, None) => return,
            };
            if let Err(error) = done {
                match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => self.block(),
                    _ => self.acks().fail(error.to_string()),
                }
                return;
            }
        }
    }

    /// What is too long to be kept is named without its value.
    fn bury_now(&self, offset: u64, letter: &Outgoing) -> Result<(), KafkaError> {
        match self.send(offset, letter) {
            Err(error) if is_too_large(&error) => self.send(offset, &letter.without_payload()),
            sent => sent,
        }
    }

    fn block(&mut self) {
        self.is_blocked = true;
        self.acks().want_room();
    }

    fn send_turn(&self, turn: &Turn, now: UtcMillis) -> Result<(), KafkaError> {
        let place = Place {
            sequence: turn.alert.sequence,
            ordinal: turn.ordinal as u32,
        };
        let outputs = &self.outputs;
        let (destination, record) = delivery_record(
            &turn.alert.record,
            &turn.alert.body,
            turn.delivery(),
            place,
            &outputs.sealer,
        );
        let partition = partition_of(destination, outputs.partitions);
        let key = outputs.sealer.lane_key(destination);
        let delivery = Outgoing::delivery(&outputs.topics, partition, &key, &record);
        let sent = self.send(place.sequence, &delivery);
        match sent {
            Err(error) if is_too_large(&error) => {
                let outcome = too_large(&record, destination, now, delivery.size());
                let topic = &outputs.topics.outcomes;
                let gtid = &record.meta.gtid;
                let outcome = Outgoing::json(topic, partition, Some(key), &outcome, gtid);
                tracing::error!(%place, gtid, "a delivery is too long for Kafka, and dead");
                self.send(place.sequence, &outcome)
            }
            sent => sent,
        }
    }

    fn send(&self, sequence: u64, outgoing: &Outgoing) -> Result<(), KafkaError> {
        self.acks().sent();
        let producer = self.producer.producer();
        let sent = producer.send(outgoing.to_base(sequence as usize));
        sent.map_err(|(error, _)| {
            self.acks().unsent();
            error
        })
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

/// The end of a delivery that no topic takes. Producers refuse such an alert where they know
/// the limits; here it must not hold up those behind it.
fn too_large(
    record: &DeliveryRecord,
    destination: DestinationId,
    now: UtcMillis,
    bytes: usize,
) -> OutcomeRecord {
    let meta = &record.meta;
    OutcomeRecord {
        v: VERSION,
        place: meta.place,
        alert_id: meta.alert_id,
        delivery_id: meta.delivery_id,
        destination_id: destination,
        severity: meta.severity,
        at: now,
        parts_sent: 0,
        attempt: None,
        outcome: OutcomePart::Dead {
            reason: format!(
                "its message of {bytes} bytes is longer than Kafka takes: raise kafka.message.max.bytes and max.message.bytes of the topics"
            ),
        },
        digest: None,
    }
}

/// A producer that stops rather than leave a gap, and gives nothing up.
pub(super) fn config(settings: &Settings) -> ClientConfig {
    let mut config = client::producer(settings);
    config
        .set("enable.gapless.guarantee", "true")
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.messages", "50000")
        .set("queue.buffering.max.kbytes", "32768");
    config
}
