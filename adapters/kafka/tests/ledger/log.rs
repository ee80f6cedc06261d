//! One partition of Kafka's topics as a model, and an owner of it that may die between
//! any two records.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use common::{
    AlertId, Severity, UtcMillis,
    wire::{DigestPart, OutcomePart, OutcomeRecord, Place, VERSION},
};
use consumer::{
    domain::{Lease, Progress, Settlement, Unfolded},
    ports::ParkedLane,
};
use kafka::lanes::{
    ledger::{
        Ack, Checkpoint, Content, Delivery, Feed, Ledger, LoadedRow, Next, OutcomeWrite, Plan,
        Reading, Replay, RowState, RowWrite, Since, Start, Write, place_of,
    },
    spill::{Slot, Spill},
};

/// What is on the brokers.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) feeds: [Topic<Message>; 2],
    pub(crate) state: Topic<(Place, Option<Row>)>,
    pub(crate) outcomes: Topic<OutcomeRecord>,
    pub(crate) control: Topic<Control>,
    pub(crate) dead_letters: Vec<(Place, String)>,
    pub(crate) committed: Checkpoint,
    now: UtcMillis,
}

/// One partition of a topic, from which the oldest records may have been deleted.
#[derive(Clone, Debug)]
pub(crate) struct Topic<T> {
    first: u64,
    records: VecDeque<T>,
}

impl<T> Default for Topic<T> {
    fn default() -> Self {
        Self {
            first: 0,
            records: VecDeque::new(),
        }
    }
}

impl<T> Topic<T> {
    /// Where the next record goes.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Answers where it went.
    pub(crate) fn push(&mut self, record: T) -> u64 {
        self.records.push_back(record);
        self.end() - 1
    }

    pub(crate) fn get(&self, offset: u64) -> Option<&T> {
        self.records.get(offset.checked_sub(self.first)? as usize)
    }

    /// Those that are left from there on, with their offsets.
    pub(crate) fn from(&self, offset: u64) -> impl Iterator<Item = (u64, &T)> {
        let skipped = offset.saturating_sub(self.first) as usize;
        (self.first.max(offset)..).zip(self.records.iter().skip(skipped))
    }

    /// Deletes all before that offset.
    pub(crate) fn delete_before(&mut self, offset: u64) {
        while self.first < offset && self.records.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// A record of `T` or `T.high`.
#[derive(Clone)]
pub(crate) enum Message {
    Ours(Place, Delivery),
    Foreign,
}

/// A record of `T.control`.
#[derive(Clone)]
pub(crate) enum Control {
    Cancel {
        sequence: u64,
        severity: Severity,
        last: u32,
    },
    Replay(Box<Replay>),
}

/// A row of `T.state`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) delivery: Delivery,
    pub(crate) progress: Progress,
    pub(crate) state: RowState,
}

impl Default for Log {
    fn default() -> Self {
        let beginning = Reading {
            offset: 0,
            place: None,
        };
        Self {
            feeds: Default::default(),
            state: Topic::default(),
            outcomes: Topic::default(),
            control: Topic::default(),
            dead_letters: Vec::new(),
            committed: Checkpoint {
                high: beginning,
                main: beginning,
                control: 0,
                outcomes: 0,
            },
            now: UtcMillis(1_800_000_000_000),
        }
    }
}

impl Log {
    /// The fan-out publishes a delivery, perhaps not for the first time.
    pub(crate) fn publish(&mut self, lease: &Lease) {
        let feed = match lease.alert.severity {
            Severity::High => Feed::High,
            Severity::Normal | Severity::Low => Feed::Main,
        };
        let place = place_of(lease.key());
        self.feed_mut(feed)
            .push(Message::Ours(place, delivery(lease)));
    }

    pub(crate) fn feed_mut(&mut self, feed: Feed) -> &mut Topic<Message> {
        match feed {
            Feed::High => &mut self.feeds[0],
            Feed::Main => &mut self.feeds[1],
        }
    }

    pub(crate) fn feed(&self, feed: Feed) -> &Topic<Message> {
        match feed {
            Feed::High => &self.feeds[0],
            Feed::Main => &self.feeds[1],
        }
    }

    /// Keeps the last row of each place, and no tombstone.
    pub(crate) fn compact(&mut self) {
        let rows = self.rows().into_iter();
        self.state = Topic {
            first: 0,
            records: rows.map(|(place, row)| (place, Some(row))).collect(),
        };
    }

    /// Deletes what nobody has to read any more.
    pub(crate) fn delete_old(&mut self) {
        let Checkpoint {
            high,
            main,
            control,
            outcomes,
        } = self.committed;
        self.feeds[0].delete_before(high.offset);
        self.feeds[1].delete_before(main.offset);
        self.control.delete_before(control);
        self.outcomes.delete_before(outcomes);
    }

    /// The rows as a reader sees them.
    pub(crate) fn rows(&self) -> BTreeMap<Place, Row> {
        let mut rows = BTreeMap::new();
        for (_, (place, row)) in self.state.from(0) {
            match row {
                Some(row) => rows.insert(*place, row.clone()),
                None => rows.remove(place),
            };
        }
        rows
    }
}

pub(crate) fn delivery(lease: &Lease) -> Delivery {
    Delivery {
        lease: Lease {
            progress: Progress::default(),
            digest: None,
            ..lease.clone()
        },
        id: lease.delivery_id(),
        others: Default::default(),
    }
}

/// The owner died.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Died;

/// Who has the partition.
pub(crate) struct Owner {
    pub(crate) ledger: Ledger,
    spill: Spill,
    spilled: Vec<Row>,
    next: [u64; 2],
    next_control: u64,
    /// Records that it still writes before it dies.
    pub(crate) life: Option<u64>,
    /// What it found at the assignment.
    pub(crate) parked: Vec<ParkedLane>,
}

impl Owner {
    /// Takes over what is on the log.
    pub(crate) fn begin(log: &Log) -> Self {
        let mut since = Since::default();
        for (offset, outcome) in log.outcomes.from(log.committed.outcomes) {
            since.note(offset, outcome);
        }
        let mut spill = Spill::new(std::env::temp_dir());
        let mut spilled = Vec::new();
        let rows = log.rows().into_iter();
        let rows = rows.map(|(place, row)| LoadedRow {
            place,
            delivery: Ok(row.delivery.clone()),
            progress: row.progress,
            state: row.state.clone(),
            slot: put(&mut spill, &mut spilled, row),
        });
        let rows = rows.collect();
        let start = Start {
            checkpoint: log.committed,
            high_end: log.feeds[0].end(),
            main_end: log.feeds[1].end(),
            outcomes_end: log.outcomes.end(),
            since,
            high: Feed::High,
        };
        let ledger = Ledger::new(start, rows);
        let mut owner = Self {
            parked: ledger.parked(),
            ledger,
            spill,
            spilled,
            next: [log.committed.high.offset, log.committed.main.offset],
            next_control: log.committed.control,
            life: None,
        };
        for feed in Feed::ALL {
            if owner.next[index(feed)] == log.feed(feed).end() {
                owner.ledger.read_to_the_end(feed);
            }
        }
        owner
    }

    /// Reads up to so many records of each topic; answers whether there is more.
    pub(crate) fn read(&mut self, log: &Log, most: usize, now: Duration) -> bool {
        let mut is_more = false;
        for feed in Feed::ALL {
            for _ in 0..most {
                let next = self.next[index(feed)];
                if next == log.feed(feed).end() || !self.ledger.has_room(feed) {
                    break;
                }
                match log.feed(feed).get(next).unwrap() {
                    Message::Ours(place, delivery) => {
                        let delivery = delivery.clone();
                        self.ledger.read(feed, next, *place, delivery, 500, now);
                    }
                    Message::Foreign => self.ledger.read_foreign(feed, next, now),
                }
                self.next[index(feed)] += 1;
            }
            is_more |= self.next[index(feed)] < log.feed(feed).end();
        }
        is_more
    }

    /// Carries out what a person wants; answers whether anything was wanted.
    pub(crate) fn control(&mut self, log: &mut Log) -> Result<bool, Died> {
        let Some(control) = log.control.get(self.next_control).cloned() else {
            return Ok(false);
        };
        let offset = self.next_control;
        self.next_control += 1;
        let plan = match control {
            Control::Cancel {
                sequence,
                severity,
                last,
            } => self.ledger.cancel(offset, sequence, severity, last),
            Control::Replay(replay) => self.ledger.replay(offset, *replay),
        };
        self.carry_out(log, plan).map(|()| true)
    }

    pub(crate) fn settle(
        &mut self,
        log: &mut Log,
        settlements: &[Settlement],
    ) -> Result<Vec<Unfolded>, Died> {
        let mut unfolded = Vec::new();
        let mut done = 0;
        while done < settlements.len() {
            let (mut plan, count) = self.ledger.plan(&settlements[done..]);
            unfolded.append(&mut plan.unfolded);
            self.carry_out(log, plan)?;
            done += count;
        }
        Ok(unfolded)
    }

    pub(crate) fn chores(&mut self, log: &mut Log, now: Duration) -> Result<(), Died> {
        let plan = self.ledger.chores(now, log.now);
        self.carry_out(log, plan)
    }

    pub(crate) fn commit(&mut self, log: &mut Log) {
        log.committed = self.ledger.checkpoint();
    }

    pub(crate) fn unpark(
        &self,
        destination: common::DestinationId,
        severity: Severity,
        after: Option<Place>,
        room: usize,
    ) -> Vec<Lease> {
        let found = self.ledger.unpark(destination, severity, after, room);
        found
            .into_iter()
            .map(|(_, slot)| {
                let row = self.spilled_row(slot);
                Lease {
                    progress: Progress {
                        wait: None,
                        ..row.progress
                    },
                    ..row.delivery.lease.clone()
                }
            })
            .collect()
    }

    /// Everything that is at hand, reading all there is; whether it has caught up.
    pub(crate) fn receive_all(&mut self, log: &Log) -> (Vec<Lease>, bool) {
        let (mut all, mut caught_up) = (Vec::new(), false);
        loop {
            let is_more = self.read(log, 7, Duration::ZERO);
            match self.ledger.next(5) {
                Next::Leases(leases) => all.extend(leases),
                Next::CaughtUp => caught_up = true,
                Next::Cancelled(_) => {}
                Next::Wait if is_more => {}
                Next::Wait => return (all, caught_up),
            }
        }
    }

    fn carry_out(&mut self, log: &mut Log, plan: Plan) -> Result<(), Died> {
        let mut first = Vec::new();
        for write in &plan.first {
            first.push(Some(self.write(log, write)?));
        }
        let mut then = Vec::new();
        for write in &plan.then {
            then.push(Some(self.write(log, write)?));
        }
        assert!(self.ledger.apply(plan, &first, &then));
        for slot in self.ledger.take_freed() {
            self.spill.free(slot);
        }
        Ok(())
    }

    fn write(&mut self, log: &mut Log, write: &Write) -> Result<Ack, Died> {
        if let Some(life) = &mut self.life {
            *life = life.checked_sub(1).ok_or(Died)?;
        }
        Ok(match write {
            Write::Outcome(write) => {
                let record = self.outcome(write, log.now);
                Ack {
                    offset: log.outcomes.push(record),
                    slot: None,
                }
            }
            Write::Row(write) => {
                let row = self.row(write);
                let is_kept = row.state.is_kept_on_disk();
                let record = (place_of(write.key), Some(row.clone()));
                Ack {
                    offset: log.state.push(record),
                    slot: is_kept.then(|| put(&mut self.spill, &mut self.spilled, row)),
                }
            }
            Write::Tombstone(place) => Ack {
                offset: log.state.push((*place, None)),
                slot: None,
            },
            Write::DeadLetter(letter) => {
                let delivery = self.delivery(&letter.content);
                let place = place_of(delivery.lease.key());
                log.dead_letters.push((place, letter.reason.clone()));
                Ack {
                    offset: 0,
                    slot: None,
                }
            }
        })
    }

    fn delivery(&self, content: &Content) -> Delivery {
        match content {
            Content::Memory(delivery) => (**delivery).clone(),
            Content::Disk(slot) => self.spilled_row(*slot).delivery.clone(),
        }
    }

    fn outcome(&self, write: &OutcomeWrite, at: UtcMillis) -> OutcomeRecord {
        let delivery = self.delivery(&write.content);
        let names_members = matches!(
            write.outcome,
            OutcomePart::Folded
                | OutcomePart::Delivered
                | OutcomePart::Dead { .. }
                | OutcomePart::Cancelled
        );
        OutcomeRecord {
            v: VERSION,
            place: place_of(write.key),
            alert_id: AlertId(Default::default()),
            delivery_id: delivery.id,
            destination_id: write.key.destination,
            severity: write.key.severity,
            at,
            parts_sent: write.parts_sent,
            attempt: write.attempt.clone(),
            outcome: write.outcome.clone(),
            digest: write.digest.as_ref().map(|fold| DigestPart {
                id: fold.digest.id.0,
                members: match names_members {
                    true => fold.members.to_vec(),
                    false => Vec::new(),
                },
                by_severity: fold.digest.members,
            }),
        }
    }

    fn row(&self, write: &RowWrite) -> Row {
        let known = match &write.content {
            Content::Memory(_) => Progress::default(),
            Content::Disk(slot) => self.spilled_row(*slot).progress,
        };
        Row {
            delivery: self.delivery(&write.content),
            progress: Progress {
                attempts: write.attempts.max(known.attempts),
                parts_sent: write.parts_sent.max(known.parts_sent),
                wait: None,
                replayed_at: write.replayed_at.or(known.replayed_at),
            },
            state: write.state.clone(),
        }
    }

    fn spilled_row(&self, slot: Slot) -> &Row {
        let found = self.spill.find(slot).unwrap().read().unwrap();
        let index = u64::from_be_bytes(found.try_into().unwrap());
        &self.spilled[index as usize]
    }
}

fn put(spill: &mut Spill, spilled: &mut Vec<Row>, row: Row) -> Slot {
    spilled.push(row);
    let index = spilled.len() as u64 - 1;
    spill.put(&index.to_be_bytes()).unwrap()
}

fn index(feed: Feed) -> usize {
    match feed {
        Feed::High => 0,
        Feed::Main => 1,
    }
}
