//! What goes wrong.

use std::{thread::sleep, time::Duration};

use rand::RngExt;

use super::Chaos;

/// Longer than a consumer's session with the brokers.
const PAST_THE_SESSION: Duration = Duration::from_secs(11);

/// A kind of fault, or of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `kill -9` of a producer, which is started again.
    ProducerKilled,
    /// `kill -9` of a consumer, which is started again after a while.
    ConsumerKilled,
    /// `kill -9` of a broker, which is started again.
    BrokerKilled,
    /// PostgreSQL is restarted.
    DatabaseRestarted,
    /// A consumer is stopped past its session, then goes on.
    ConsumerSuspended,
    /// One consumer more.
    ConsumerAdded,
    /// A consumer ends in order.
    ConsumerRemoved,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ProducerKilled,
        Self::ConsumerKilled,
        Self::BrokerKilled,
        Self::DatabaseRestarted,
        Self::ConsumerSuspended,
        Self::ConsumerAdded,
        Self::ConsumerRemoved,
    ];
}

impl Chaos {
    /// Lets it happen, and returns when what is to come back has come back.
    pub(super) fn happen(&mut self, kind: Kind) {
        match kind {
            Kind::ProducerKilled => {
                let number = self.rng.random_range(0..self.site.producers.len());
                let producer = &mut self.site.producers[number];
                producer.kill();
                producer.start();
            }
            Kind::ConsumerKilled => {
                let number = self.a_consumer();
                self.site.consumers[number].kill();
                self.note_stop();
                sleep(Duration::from_millis(self.rng.random_range(0..4_000)));
                self.site.consumers[number].start();
            }
            Kind::BrokerKilled => self.break_a_broker(),
            Kind::DatabaseRestarted => self.postgres.restart(),
            Kind::ConsumerSuspended => {
                let number = self.a_consumer();
                let consumer = &mut self.site.consumers[number];
                consumer.process().pause();
                self.note_stop();
                sleep(PAST_THE_SESSION);
                self.site.consumers[number].process().resume();
            }
            Kind::ConsumerAdded => {
                self.site.add_consumer();
            }
            Kind::ConsumerRemoved => {
                if self.site.consumers.len() > 2 {
                    let number = self.a_consumer();
                    self.site.consumers[number].stop();
                    self.site.consumers.remove(number);
                }
            }
        }
    }

    /// One broker at a time is away: the one before must be in sync again.
    fn break_a_broker(&mut self) {
        self.kafka.await_in_sync();
        let number = self.rng.random_range(1..=3);
        self.kafka.kill(number);
        self.note_stop();
        sleep(Duration::from_millis(self.rng.random_range(500..5_000)));
        self.kafka.start_again(number);
    }

    fn a_consumer(&mut self) -> usize {
        self.rng.random_range(0..self.site.consumers.len())
    }
}
