//! Whatever happens in whatever order, and wherever owners die: the next one finds each
//! delivery that has not ended, once, and none that has.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use common::{
    Severity, UtcMillis,
    wire::{OutcomePart, Place},
};
use consumer::domain::{Lease, Outcome, Settlement};
use kafka::lanes::ledger::{Feed, Next, Replay, place_of};
use proptest::prelude::*;

use crate::{
    fixtures::{delivered, folded, lease, parked, settled, waiting},
    log::{Control, Died, Log, Message, Owner, delivery},
};

#[derive(Clone, Debug)]
enum Op {
    /// The fan-out publishes an alert with so many deliveries of that severity.
    Publish(u32, u8),
    /// It publishes some again.
    Repeat(u8),
    /// Somebody else writes into the topic.
    Foreign,
    Receive(u8),
    /// The consumer settles some of what it has.
    Settle(u8, u8),
    Fold(u8),
    Cancel(u8),
    Replay(u8),
    Chores(u8),
    Commit,
    Compact,
    /// The owner dies after so many more records.
    DieAfter(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..4_u32, 0..3_u8).prop_map(|(count, severity)| Op::Publish(count, severity)),
        1 => (1..9_u8).prop_map(Op::Repeat),
        1 => Just(Op::Foreign),
        4 => (1..9_u8).prop_map(Op::Receive),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Op::Settle(which, how)),
        2 => any::<u8>().prop_map(Op::Fold),
        1 => any::<u8>().prop_map(Op::Cancel),
        1 => any::<u8>().prop_map(Op::Replay),
        2 => (0..12_u8).prop_map(Op::Chores),
        2 => Just(Op::Commit),
        1 => Just(Op::Compact),
        2 => (0..6_u8).prop_map(Op::DieAfter),
    ]
}

struct World {
    log: Log,
    owner: Owner,
    now: Duration,
    published: BTreeMap<Place, Lease>,
    sequence: u64,
    /// What the consumer has.
    held: BTreeMap<Place, Lease>,
    /// What this consumer was handed, and what of it was cancelled.
    handed: BTreeSet<Place>,
    foreign: Vec<(Feed, u64)>,
}

impl World {
    fn new() -> Self {
        let log = Log::default();
        Self {
            owner: Owner::begin(&log),
            log,
            now: Duration::ZERO,
            published: BTreeMap::new(),
            sequence: 0,
            held: BTreeMap::new(),
            handed: BTreeSet::new(),
            foreign: Vec::new(),
        }
    }

    fn act(&mut self, op: &Op) -> Result<(), Died> {
        match *op {
            Op::Publish(count, severity) => self.publish(count, severity),
            Op::Repeat(back) => {
                let feed = &mut self.log.feeds[usize::from(back % 2)];
                let from = feed.end().saturating_sub(back.into());
                let again: Vec<Message> = feed.from(from).map(|(_, one)| one.clone()).collect();
                let ours = |message: &Message| matches!(message, Message::Ours(..));
                for message in again.into_iter().filter(ours) {
                    feed.push(message);
                }
            }
            Op::Foreign => {
                let feed = self.log.feed_mut(Feed::Main);
                self.foreign.push((Feed::Main, feed.push(Message::Foreign)));
            }
            Op::Receive(room) => self.receive(room.into()),
            Op::Settle(which, how) => {
                let batch = self.batch(which, how);
                self.settle(&batch)?;
            }
            Op::Fold(which) => {
                if let Some(fold) = self.fold(which) {
                    self.settle(&[fold])?;
                }
            }
            Op::Cancel(which) => {
                self.cancel(which);
                while self.owner.control(&mut self.log)? {}
            }
            Op::Replay(which) => {
                self.replay(which);
                while self.owner.control(&mut self.log)? {}
            }
            Op::Chores(seconds) => {
                self.now += Duration::from_secs(seconds.into());
                self.owner.chores(&mut self.log, self.now)?;
            }
            Op::Commit => {
                let before = self.log.committed;
                self.owner.commit(&mut self.log);
                let after = self.log.committed;
                assert!(after.main.offset >= before.main.offset);
                assert!(after.high.offset >= before.high.offset);
                assert!(after.control >= before.control);
                assert!(after.outcomes >= before.outcomes, "{before:?} {after:?}");
            }
            Op::Compact => self.log.compact(),
            Op::DieAfter(records) => self.owner.life = Some(records.into()),
        }
        Ok(())
    }

    fn publish(&mut self, count: u32, severity: u8) {
        let severity = [Severity::Low, Severity::Normal, Severity::High][usize::from(severity)];
        for ordinal in 0..count {
            let address = ["a", "b"][(self.sequence as usize + ordinal as usize) % 2];
            let lease = lease(self.sequence, ordinal, severity, address);
            self.log.publish(&lease);
            self.published.insert(place_of(lease.key()), lease);
        }
        self.sequence += 1;
    }

    fn receive(&mut self, room: usize) {
        self.owner.read(&self.log, room, self.now);
        self.foreign.retain(|(feed, offset)| {
            // Adopted, some time after it was read.
            let is_read = self.owner.ledger.checkpoint().main.offset >= *offset;
            if is_read {
                self.owner.ledger.dealt_with(*feed, *offset);
            }
            !is_read
        });
        match self.owner.ledger.next(room) {
            Next::Leases(leases) => {
                assert!(leases.len() <= room);
                for lease in leases {
                    let place = place_of(lease.key());
                    let is_again = lease.progress.replayed_at.is_some();
                    assert!(self.handed.insert(place) || is_again, "{place} came twice");
                    assert!(!self.ended().contains(&place), "{place} had ended");
                    self.held.insert(place, lease);
                }
            }
            Next::Cancelled(keys) => {
                for key in keys {
                    self.held.remove(&place_of(key));
                }
            }
            Next::CaughtUp | Next::Wait => {}
        }
    }

    fn batch(&self, which: u8, how: u8) -> Vec<Settlement> {
        let mut some: Vec<Lease> = self.held.values().cloned().collect();
        for lane in self.owner.ledger.parked() {
            some.extend(self.owner.unpark(lane.destination, lane.severity, None, 2));
        }
        let some = some.iter().enumerate();
        let chosen = some.filter(|(index, _)| (which >> (index % 8)) & 1 == 1);
        chosen
            .map(|(index, lease)| {
                let is_digest = self.held.contains_key(&place_of(lease.key()))
                    && self.held[&place_of(lease.key())].digest.is_some();
                match (usize::from(how) + index) % 6 {
                    0 => settled(lease, Some(1), Outcome::Dead { reason: "x".into() }),
                    1 => waiting(lease),
                    2 if is_digest => settled(lease, Some(1), Outcome::TakenApart),
                    2 | 3 if !is_digest => parked(lease),
                    4 => settled(lease, Some(1), Outcome::PartSent),
                    _ => delivered(lease),
                }
            })
            .collect()
    }

    fn fold(&self, which: u8) -> Option<Settlement> {
        let mut some: Vec<Lease> = self.held.values().cloned().collect();
        for lane in self.owner.ledger.parked() {
            some.extend(self.owner.unpark(lane.destination, lane.severity, None, 2));
        }
        some.retain(|lease| lease.digest.is_none() && &*lease.destination.address == "a");
        some.truncate(usize::from(which % 4) + 2);
        (some.len() > 1).then(|| folded(&some))
    }

    fn settle(&mut self, batch: &[Settlement]) -> Result<(), Died> {
        for settlement in batch.iter().filter(|one| one.attempt.is_some()) {
            self.owner.ledger.begins(place_of(settlement.lease));
        }
        let unfolded = self.owner.settle(&mut self.log, batch)?;
        for settlement in batch {
            let place = place_of(settlement.lease);
            match &settlement.outcome {
                Outcome::Folded { digest, members } if unfolded.is_empty() => {
                    let lead = self.published[&place].clone();
                    for member in members {
                        self.held.remove(&place_of(*member));
                    }
                    let digest = Some(digest.clone());
                    self.held.insert(place, Lease { digest, ..lead });
                }
                Outcome::Folded { members, .. } => {
                    for member in members {
                        self.held.remove(&place_of(*member));
                    }
                }
                Outcome::Waiting(_) | Outcome::PartSent => {
                    let kept = self.published[&place].clone();
                    self.held.entry(place).or_insert(kept);
                }
                _ => {
                    self.held.remove(&place);
                }
            }
        }
        Ok(())
    }

    fn cancel(&mut self, which: u8) {
        let sequence = u64::from(which) % self.sequence.max(1);
        let places = self.published.range(
            Place {
                sequence,
                ordinal: 0,
            }..Place {
                sequence: sequence + 1,
                ordinal: 0,
            },
        );
        if let Some((last, lease)) = places.last() {
            self.log.control.push(Control::Cancel {
                sequence,
                severity: lease.alert.severity,
                last: last.ordinal,
            });
        }
    }

    fn replay(&mut self, which: u8) {
        let ended: Vec<Place> = self.ended().into_iter().collect();
        if ended.is_empty() {
            return;
        }
        let place = ended[usize::from(which) % ended.len()];
        self.log.control.push(Control::Replay(Box::new(Replay {
            place,
            delivery: delivery(&self.published[&place]),
            attempts: 1,
            replayed_at: UtcMillis(1),
            repeated: false,
        })));
    }

    /// What has ended, as anybody can read on the log.
    fn ended(&self) -> BTreeSet<Place> {
        let mut ended = BTreeSet::new();
        for (_, record) in self.log.outcomes.from(0) {
            match record.outcome {
                OutcomePart::Delivered | OutcomePart::Dead { .. } | OutcomePart::Cancelled => {
                    ended.insert(record.place);
                    ended.extend(record.digest.iter().flat_map(|digest| &digest.members));
                }
                OutcomePart::Replayed { .. } => {
                    ended.remove(&record.place);
                }
                _ => {}
            }
        }
        ended
    }

    /// Another owner takes over.
    fn take_over(&mut self) {
        self.owner = Owner::begin(&self.log);
        self.held.clear();
        self.handed.clear();
        while self.owner.control(&mut self.log).unwrap() {}
        let ended = self.ended();
        let mut found = Vec::new();
        for lane in self.owner.ledger.parked() {
            let fetched = self
                .owner
                .unpark(lane.destination, lane.severity, None, usize::MAX);
            assert!(fetched.is_sorted_by_key(|lease| lease.position));
            found.extend(fetched.iter().map(|lease| place_of(lease.key())));
        }
        let (come, caught_up) = self.owner.receive_all(&self.log);
        // What was read though its alert is cancelled is neither here nor ended.
        self.owner.chores(&mut self.log, self.now).unwrap();
        assert!(caught_up);
        let rows = self.log.rows();
        for lease in &come {
            let place = place_of(lease.key());
            self.handed.insert(place);
            self.held.insert(place, lease.clone());
            match (&lease.digest, &rows.get(&place).map(|row| &row.state)) {
                (None, _) => found.push(place),
                (Some(_), Some(kafka::lanes::ledger::RowState::Leads { members, .. })) => {
                    found.extend(members.iter());
                }
                (Some(_), _) => panic!("{place} is a digest without a row"),
            }
        }
        let count = found.len();
        let found: BTreeSet<Place> = found.into_iter().collect();
        assert_eq!(found.len(), count, "something came twice");
        let all: BTreeSet<Place> = self.published.keys().copied().collect();
        let cancelled: BTreeSet<Place> = self.ended().difference(&ended).copied().collect();
        let expected: BTreeSet<Place> = &(&all - &ended) - &cancelled;
        assert_eq!(found, expected);
        for severity in Severity::BY_URGENCY {
            let fresh = come
                .iter()
                .filter(|lease| lease.alert.severity == severity && lease.digest.is_none())
                .filter(|lease| lease.progress == Default::default());
            let fresh: Vec<_> = fresh.map(|lease| lease.position).collect();
            assert!(fresh.is_sorted(), "{fresh:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_ends_twice(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for op in &ops {
            if world.act(op) == Err(Died) {
                world.take_over();
            }
        }
        world.take_over();
    }
}
