//! What ends: whether it ended as it may, and soon enough.

use std::time::Duration;

use consumer::{application::engine::Event, domain::LeaseKey};

use crate::{queue::State, service::Content, world::World};

/// Nothing is on its way for longer: 72 hours, a last chance, and what restarts and
/// clocks that are set add to it.
const LONGEST_WAY: Duration = Duration::from_secs(84 * 3600);
/// A delivery is dead for its age after so long at the earliest: in one process, and
/// in all.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const MAX_AGE_IN_ALL: Duration = Duration::from_secs(72 * 3600);

impl World {
    /// Nothing is on its way for ever.
    pub(crate) fn look_at_the_oldest(&mut self) {
        self.most_unfinished = self.most_unfinished.max(self.queue.unfinished());
        if let Some(sequence) = self.queue.unfinished_from(0) {
            let age = self.now - self.queue.row(sequence).accepted_at;
            assert!(
                age <= LONGEST_WAY + self.set_by,
                "{sequence} has not ended after {age:?}"
            );
        }
    }

    /// These were cancelled, and the process is told.
    pub(crate) fn tell_cancelled(&mut self, keys: Vec<LeaseKey>) {
        for key in &keys {
            self.fading
                .push_back((key.position.sequence, self.decisions));
        }
        self.tell(Event::Cancelled(keys));
    }

    /// Forgets what is cancelled once all that was decided before is written.
    pub(crate) fn let_fade(&mut self) {
        for _ in 0..self.fading.len() {
            let Some((sequence, _)) = self.fading.pop_front_if(|(_, at)| *at <= self.writes) else {
                return;
            };
            if self.promises.is_open(sequence) {
                self.fading.push_back((sequence, self.decisions));
            } else {
                self.conclude(sequence);
            }
        }
    }

    /// The process is no more, and with it what it had begun.
    pub(crate) fn conclude_all(&mut self, open: Vec<u64>) {
        let fading = std::mem::take(&mut self.fading);
        let fading = fading.into_iter().map(|(sequence, _)| sequence);
        for sequence in fading.chain(self.queue.untold()).chain(open) {
            self.conclude(sequence);
        }
    }

    /// Looks at the end of a delivery, if it is one, and forgets it.
    pub(crate) fn conclude(&mut self, sequence: u64) {
        if self.promises.is_open(sequence) {
            return;
        }
        let Some(row) = self.queue.forget(sequence) else {
            return;
        };
        let story = self.promises.end(sequence);
        let place = &self.places[&row.lease.destination.id];
        let is_well = match (row.state, row.content) {
            (State::Delivered, Content::Good(parts)) => story.has_all(parts),
            (State::Dead, _) if row.reason.starts_with("given up after") => {
                self.dead_of_age += 1;
                let age = self.now - row.accepted_at;
                let is_old = age + self.set_by >= MAX_AGE_IN_ALL
                    || age.min(self.now - self.began) >= MAX_AGE;
                is_old && (place.is_hopeless() || story.condemned)
            }
            (State::Dead, Content::Good(_)) => story.condemned,
            (State::Dead, Content::Bad | Content::Impossible) => true,
            (State::Cancelled, _) => true,
            _ => false,
        };
        assert!(
            is_well,
            "{sequence} ({:?}, {:?}) ended {:?}: {}",
            row.content, place.character, row.state, row.reason
        );
        self.dead += u64::from(row.state == State::Dead);
        self.cancelled += u64::from(row.state == State::Cancelled);
        self.mark(sequence);
    }

    /// Makes the run's fingerprint depend on this.
    pub(crate) fn mark(&mut self, number: u64) {
        let mixed = self.fingerprint ^ number ^ (self.now.as_nanos() as u64).rotate_left(32);
        self.fingerprint = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} deliveries in {} h: {} dead, {} of them of age, {} cancelled, {} folded, \
             {} digests taken apart, {} sent twice, {} crashes with at most {} requests \
             unrecorded, at most {} in memory and {} on their way",
            self.queue.next_sequence(),
            self.now.as_secs() / 3600,
            self.dead,
            self.dead_of_age,
            self.cancelled,
            self.queue.folded,
            self.queue.taken_apart,
            self.promises.repeated,
            self.crashes,
            self.promises.worst_crash,
            self.most_held,
            self.most_unfinished,
        )
    }
}
