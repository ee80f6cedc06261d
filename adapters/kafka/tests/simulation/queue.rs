//! The queue as topics and a ledger, held beside what is true.

use std::{collections::HashMap, sync::Arc, time::Duration};

use common::{
    DestinationId, Severity,
    wire::{OutcomePart, Place},
};
use consumer::{
    domain::{Digest, Lease, LeaseKey, Outcome, Position, Progress, Settlement, Unfolded},
    ports::{ParkedLane, Received},
};
use kafka::lanes::ledger::{Feed, Next, RowState, place_of};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    log::{Control, Log, Message, Owner},
    model,
    service::Content,
};

pub(crate) use crate::model::{Row, State};

/// The topics, their owner, and what is true.
pub(crate) struct Queue {
    truth: model::Queue,
    log: Log,
    owner: Option<Owner>,
    now: Duration,
    rng: Xoshiro256PlusPlus,
    pub(crate) folded: u64,
    pub(crate) taken_apart: u64,
    deaths: u32,
    repetitions: u64,
    compactions: u32,
}

/// From where records are looked for.
#[derive(Clone, Copy)]
struct Cursor {
    outcomes: u64,
    state: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            truth: model::Queue::default(),
            log: Log::default(),
            owner: None,
            now: Duration::ZERO,
            rng: Xoshiro256PlusPlus::seed_from_u64(7),
            folded: 0,
            taken_apart: 0,
            deaths: 0,
            repetitions: 0,
            compactions: 0,
        }
    }
}

impl Queue {
    pub(crate) fn accept(&mut self, lease: Lease, content: Content, now: Duration) {
        self.log.publish(&lease);
        self.truth.accept(lease, content, now);
        if self.rng.random_bool(0.01) {
            self.publish_again();
        }
    }

    /// The fan-out begins again where it had committed.
    fn publish_again(&mut self) {
        for feed in Feed::ALL {
            let back = self.rng.random_range(0..40);
            let from = self.log.feed(feed).end().saturating_sub(back);
            let again: Vec<Message> = self
                .log
                .feed(feed)
                .from(from)
                .map(|(_, message)| message.clone())
                .collect();
            self.repetitions += again.len() as u64;
            for message in again {
                self.log.feed_mut(feed).push(message);
            }
        }
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.truth.next_sequence()
    }

    pub(crate) fn row(&self, sequence: u64) -> &Row {
        self.truth.row(sequence)
    }

    pub(crate) fn waits(&self, sequence: u64) -> bool {
        self.truth.waits(sequence)
    }

    pub(crate) fn forget(&mut self, sequence: u64) -> Option<Row> {
        self.truth.forget(sequence)
    }

    /// A person's wish reaches the process that has the partition; without one it would
    /// wait in its topic.
    pub(crate) fn cancel(&mut self, sequence: u64) -> Option<(DestinationId, bool)> {
        let owner = self.owner.as_mut()?;
        let severity = self.truth.severity(sequence)?;
        self.log.control.push(Control::Cancel {
            sequence,
            severity,
            last: 0,
        });
        while owner.control(&mut self.log).unwrap() {}
        self.truth.cancel(sequence)
    }

    pub(crate) fn untold(&mut self) -> Vec<u64> {
        self.truth.untold()
    }

    pub(crate) fn unfinished_from(&self, sequence: u64) -> Option<u64> {
        self.truth.unfinished_from(sequence)
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.truth.unfinished()
    }

    pub(crate) fn digest(&self, lead: u64) -> Option<(&Arc<Digest>, &[LeaseKey])> {
        self.truth.digest(lead)
    }

    pub(crate) fn take_unfolded(&mut self) -> Vec<Unfolded> {
        self.truth.take_unfolded()
    }

    pub(crate) fn begins(&mut self, delivery: LeaseKey) {
        if let Some(owner) = &mut self.owner {
            owner.ledger.begins(place_of(delivery));
        }
    }

    /// Now and then chores are done, offsets committed, topics cleaned.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.now = now;
        let Some(owner) = &mut self.owner else {
            return;
        };
        if self.rng.random_bool(0.002) {
            owner.chores(&mut self.log, now).unwrap();
        }
        if self.rng.random_bool(0.002) {
            owner.commit(&mut self.log);
        }
        if self.rng.random_bool(0.000_2) {
            self.log.delete_old();
            self.log.compact();
            self.compactions += 1;
        }
    }

    pub(crate) fn gone(&mut self) {
        self.owner = None;
        // Nobody heard of them.
        self.truth.take_unfolded();
    }

    /// Another process takes the partition over.
    pub(crate) fn restart(&mut self) -> Vec<ParkedLane> {
        let expected = self.truth.restart();
        let mut owner = Owner::begin(&self.log);
        while owner.control(&mut self.log).unwrap() {}
        let parked = owner.ledger.parked();
        assert_eq!(sorted(&parked), sorted(&expected), "what is parked");
        self.owner = Some(owner);
        parked
    }

    pub(crate) fn receive(&mut self, room: usize) -> Option<Received> {
        loop {
            let owner = self.owner.as_mut()?;
            let most = self.rng.random_range(1..100);
            let is_more = owner.read(&self.log, most, self.now);
            match owner.ledger.next(room) {
                Next::Leases(leases) => {
                    for lease in &leases {
                        self.check(lease);
                    }
                    return Some(Received::Leases(leases));
                }
                Next::Cancelled(keys) => {
                    self.truth.told(&keys);
                    return Some(Received::Cancelled(keys));
                }
                Next::CaughtUp => {
                    self.truth.assert_caught_up();
                    return Some(Received::CaughtUp);
                }
                Next::Wait if is_more => {}
                Next::Wait => return None,
            }
        }
    }

    /// That what is handed over is what is true.
    fn check(&mut self, lease: &Lease) {
        let sequence = lease.position.sequence;
        self.truth.hand_over(sequence);
        let row = self.truth.row(sequence);
        assert_eq!(lease.progress, row.lease.progress, "{sequence}");
        assert_eq!(lease.digest, row.lease.digest, "{sequence}");
        assert_eq!(lease.alert.message, row.lease.alert.message);
    }

    pub(crate) fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Vec<Lease> {
        let expected = self.truth.unpark(destination, severity, after, room);
        let Some(owner) = &self.owner else {
            return expected;
        };
        let after = after.map(|position| Place {
            sequence: position.sequence,
            ordinal: position.ordinal,
        });
        let leases = owner.unpark(destination, severity, after, room);
        let known = |leases: &[Lease]| -> Vec<(Position, Progress)> {
            let leases = leases.iter();
            leases
                .map(|lease| (lease.position, lease.progress))
                .collect()
        };
        assert_eq!(known(&leases), known(&expected), "what is fetched");
        leases
    }

    /// Settles; where the process dies of it, after any number of records.
    pub(crate) fn write(&mut self, batch: &[Settlement], dies: bool) -> Vec<(usize, Vec<u64>)> {
        let Some(owner) = &mut self.owner else {
            return Vec::new();
        };
        let (outcomes, state) = (self.log.outcomes.end(), self.log.state.end());
        let most = 3 * batch.len() as u64 + 2;
        owner.life = dies.then(|| self.rng.random_range(0..most));
        let settled = owner.settle(&mut self.log, batch);
        let ended = match settled {
            Ok(unfolded) => {
                let all = batch.iter().enumerate();
                let ended = all.map(|(index, one)| (index, self.truth.settle(one)));
                let ended = ended.collect();
                assert_eq!(unfolded, self.truth.unfolded(), "folds that were not made");
                ended
            }
            Err(_) => {
                self.deaths += 1;
                self.settle_what_was_written(batch, Cursor { outcomes, state })
            }
        };
        (self.folded, self.taken_apart) = (self.truth.folded, self.truth.taken_apart);
        ended
    }

    /// Of a batch in the middle of which the process died, what is on record counts. Each of
    /// several settlements of one delivery has records of its own, one after the other.
    fn settle_what_was_written(
        &mut self,
        batch: &[Settlement],
        begin: Cursor,
    ) -> Vec<(usize, Vec<u64>)> {
        let mut cursors: HashMap<Place, Cursor> = HashMap::new();
        let mut ended = Vec::new();
        for (index, settlement) in batch.iter().enumerate() {
            let place = place_of(settlement.lease);
            let cursor = cursors.get(&place).copied().unwrap_or(begin);
            if let Some(next) = self.written(settlement, cursor) {
                cursors.insert(place, next);
                ended.push((index, self.truth.settle(settlement)));
            } else if let Outcome::Folded { members, .. } = &settlement.outcome {
                for member in members {
                    let place = place_of(*member);
                    let cursor = cursors.get(&place).copied().unwrap_or(begin);
                    if self.was_set_aside(place, cursor) {
                        self.truth.set_aside(*member);
                    }
                }
            }
        }
        ended
    }

    /// Where a settlement counts of which the first records were written after the cursor:
    /// what follows those.
    fn written(&self, settlement: &Settlement, cursor: Cursor) -> Option<Cursor> {
        let place = place_of(settlement.lease);
        let number = settlement.attempt.as_ref().map(|attempt| attempt.number);
        let has_row = |is_it: fn(&RowState) -> bool| {
            let mut rows = self.log.state.from(cursor.state);
            let (offset, _) = rows.find(|(_, (other, row))| {
                *other == place
                    && row.as_ref().is_some_and(|row| {
                        is_it(&row.state) && number.is_none_or(|one| one == row.progress.attempts)
                    })
            })?;
            Some(Cursor {
                state: offset + 1,
                ..cursor
            })
        };
        match &settlement.outcome {
            Outcome::PartSent => has_row(|state| matches!(state, RowState::Queued)),
            Outcome::Waiting(_) => has_row(|state| {
                matches!(
                    state,
                    RowState::Waiting(_) | RowState::Leads { wait: Some(_), .. }
                )
            }),
            Outcome::Parked | Outcome::TakenApart => {
                has_row(|state| matches!(state, RowState::Parked))
            }
            Outcome::Folded { .. } => has_row(|state| matches!(state, RowState::Leads { .. })),
            Outcome::Delivered | Outcome::Dead { .. } | Outcome::Cancelled => {
                let mut records = self.log.outcomes.from(cursor.outcomes);
                let (offset, _) = records.find(|(_, record)| {
                    let attempt = record.attempt.as_ref().map(|attempt| attempt.number);
                    let is_end = matches!(
                        record.outcome,
                        OutcomePart::Delivered | OutcomePart::Dead { .. } | OutcomePart::Cancelled
                    );
                    record.place == place && is_end && attempt == number
                })?;
                Some(Cursor {
                    outcomes: offset + 1,
                    ..cursor
                })
            }
        }
    }

    /// Whether a member of a fold that was not made, or not whole, counts as parked.
    fn was_set_aside(&self, place: Place, cursor: Cursor) -> bool {
        self.log.state.from(cursor.state).any(|(_, (other, row))| {
            let row = row.as_ref().map(|row| &row.state);
            *other == place && matches!(row, Some(RowState::Parked | RowState::Folded { .. }))
        })
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} deaths within a write, {} repetitions, {} compactions, checkpoint at {} of {} \
             and {} of {}",
            self.deaths,
            self.repetitions,
            self.compactions,
            self.log.committed.main.offset,
            self.log.feed(Feed::Main).end(),
            self.log.committed.outcomes,
            self.log.outcomes.end(),
        )
    }
}

fn sorted(lanes: &[ParkedLane]) -> Vec<(DestinationId, Severity, u64)> {
    let lanes = lanes.iter();
    let mut lanes: Vec<_> = lanes
        .map(|lane| (lane.destination, lane.severity, lane.count))
        .collect();
    lanes.sort();
    lanes
}
