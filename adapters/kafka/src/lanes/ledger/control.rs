//! What a person wants done: cancelling, replaying.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::{
    Severity, UtcMillis,
    wire::{OutcomePart, Place},
};
use consumer::domain::{LeaseKey, Progress};

use super::{
    Feed, Ledger, alert_range,
    chores::withdrawal,
    entry::{Content, Delivery, Entry, Stage},
    plan::{Kind, Plan},
    position_of,
    track::Track,
    writes::{OutcomeWrite, RowState, RowWrite, Write},
};

/// A delivery to be sent once more.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its first place.
    pub place: Place,
    /// What to send.
    pub delivery: Delivery,
    /// Attempts that had ended.
    pub attempts: u32,
    /// When it was replayed.
    pub replayed_at: UtcMillis,
    /// Whether the service had it already.
    pub repeated: bool,
}

/// A cancelled alert of which something may still be to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    offset: u64,
    feed: Feed,
    last: Place,
}

/// A replay that an earlier owner made.
#[derive(Clone, Copy, Debug)]
struct Made {
    offset: u64,
    /// Its outcome is on record, and nothing else.
    is_pending: bool,
}

/// What is known of `T.control`.
#[derive(Debug, Default)]
pub(super) struct Controls {
    next: u64,
    /// Read and not done.
    open: BTreeSet<u64>,
    /// By sequence.
    remembered: BTreeMap<u64, Remembered>,
    /// Replays that an earlier owner made.
    made: HashMap<Place, Made>,
    /// The outcomes of replays that the next owner may read again.
    told: BTreeMap<u64, u64>,
}

impl Controls {
    /// Controls that are read from there on. Of replays made since: the delivery, the
    /// offset, that of the outcome, and whether that is all that is on record.
    pub(super) fn new(from: u64, made: impl Iterator<Item = (Place, u64, u64, bool)>) -> Self {
        let mut controls = Self {
            next: from,
            ..Self::default()
        };
        for (place, offset, outcome, is_pending) in made {
            controls.made.insert(place, Made { offset, is_pending });
            controls.told(offset, outcome);
        }
        controls
    }

    pub(super) fn checkpoint(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next)
    }

    /// The first outcome that the next owner must know of.
    pub(super) fn first_outcome(&self) -> Option<u64> {
        self.told.values().min().copied()
    }

    fn read(&mut self, offset: u64) {
        if offset >= self.next || self.open.contains(&offset) {
            self.open.insert(offset);
        }
        self.next = self.next.max(offset + 1);
    }

    pub(super) fn close(&mut self, offset: u64) {
        self.open.remove(&offset);
        let floor = self.checkpoint();
        self.told = self.told.split_off(&floor);
    }

    /// The outcome of a replay is on record.
    pub(super) fn told(&mut self, offset: u64, outcome: u64) {
        if offset >= self.checkpoint() {
            self.told.insert(offset, outcome);
        }
    }

    /// Whether what is read there is cancelled.
    pub(super) fn is_cancelled(&self, place: Place) -> bool {
        let remembered = self.remembered.get(&place.sequence);
        remembered.is_some_and(|cancelled| place <= cancelled.last)
    }

    /// A cancellation was carried out. It is remembered at first.
    pub(super) fn cancelled(&mut self, remembered: Remembered) {
        let before = self.remembered.insert(remembered.last.sequence, remembered);
        if let Some(before) = before.filter(|before| before.offset != remembered.offset) {
            self.close(before.offset);
        }
    }

    /// Forgets the alerts of which nothing is to be read any more, and nothing to be
    /// withdrawn.
    pub(super) fn forget(&mut self, tracks: &[Track; 2], is_doomed: impl Fn(u64) -> bool) {
        let mut done = Vec::new();
        self.remembered.retain(|sequence, cancelled| {
            let highest = tracks[cancelled.feed.index()].highest();
            let is_done = highest >= Some(cancelled.last) && !is_doomed(*sequence);
            if is_done {
                done.push(cancelled.offset);
            }
            !is_done
        });
        for offset in done {
            self.close(offset);
        }
    }
}

impl Ledger {
    /// Cancels what is here of an alert, and remembers it until its last delivery in
    /// this partition has been read. What a digest on record carries is not cancelled,
    /// nor what was replayed later.
    pub fn cancel(&mut self, offset: u64, sequence: u64, severity: Severity, last: u32) -> Plan {
        self.controls.read(offset);
        let mut plan = Plan::default();
        let is_later = |place: Place| {
            let replayed = self.controls.made.get(&place);
            replayed.is_some_and(|made| made.offset > offset)
        };
        for (place, entry) in self.live.range(alert_range(sequence)) {
            if matches!(entry.stage, Stage::Line | Stage::Out | Stage::Locked(_))
                && !is_later(*place)
            {
                let key = entry.key(*place);
                plan.add(Kind::Withdraws(key), [withdrawal(key, entry)], []);
            }
        }
        for key in self.parked.of_alert(sequence) {
            if let Some(shelved) = self.parked.get(key)
                && !is_later(super::place_of(key))
            {
                let write = OutcomeWrite {
                    key,
                    content: Content::Disk(shelved.slot),
                    attempt: None,
                    parts_sent: 0,
                    outcome: OutcomePart::Cancelled,
                    digest: None,
                };
                plan.add(Kind::Withdraws(key), [Write::Outcome(write)], []);
            }
        }
        let remembered = Remembered {
            offset,
            feed: Feed::of(severity, self.high),
            last: Place {
                sequence,
                ordinal: last,
            },
        };
        plan.add(Kind::Cancels(remembered), [], []);
        plan
    }

    /// Takes in a delivery that is to be sent once more, unless it is on its way, or
    /// this replay was made by an earlier owner.
    pub fn replay(&mut self, offset: u64, replay: Replay) -> Plan {
        self.controls.read(offset);
        let mut plan = Plan::default();
        let key = LeaseKey {
            position: position_of(replay.place),
            ..replay.delivery.lease.key()
        };
        let made = self.controls.made.get(&replay.place).copied();
        let made = made.filter(|made| made.offset >= offset);
        let is_told = made.is_some_and(|made| made.offset == offset && made.is_pending);
        if (made.is_some() && !is_told) || self.holds(key) {
            plan.add(Kind::PassesOver(offset), [], []);
            return plan;
        }
        let content = Content::Memory(replay.delivery.clone().into());
        let outcome = Write::Outcome(OutcomeWrite {
            key,
            content: content.clone(),
            attempt: None,
            parts_sent: 0,
            outcome: OutcomePart::Replayed {
                repeated: replay.repeated,
                control: offset,
            },
            digest: None,
        });
        let row = Write::Row(RowWrite {
            key,
            content,
            attempts: replay.attempts,
            parts_sent: 0,
            replayed_at: Some(replay.replayed_at),
            state: RowState::Queued,
        });
        let outcome = (!is_told).then_some(outcome);
        let kind = Kind::Replays {
            replay: Box::new(replay),
            offset,
            is_told: outcome.is_some(),
        };
        plan.add(kind, outcome, [row]);
        plan
    }

    /// Takes note of a control record that says nothing to this owner.
    pub fn pass_over(&mut self, offset: u64) {
        self.controls.read(offset);
        self.controls.close(offset);
    }

    /// Whether a delivery is on its way, or its request is.
    fn holds(&self, key: LeaseKey) -> bool {
        let place = super::place_of(key);
        self.live.contains_key(&place)
            || self.folded.contains_key(&place)
            || self.parked.get(key).is_some()
    }

    /// A replay is on record.
    pub(super) fn take_in(&mut self, replay: Replay) {
        let Replay {
            place,
            delivery,
            attempts,
            replayed_at,
            ..
        } = replay;
        if let Some(made) = self.controls.made.get_mut(&place) {
            made.is_pending = false;
        }
        // Its row is a new one.
        self.burials.retain(|(buried, _)| *buried != place);
        self.ended.remove(place);
        let key = delivery.lease.key();
        let entry = Entry {
            content: Content::Memory(delivery.into()),
            destination: key.destination,
            severity: key.severity,
            progress: Progress {
                attempts,
                replayed_at: Some(replayed_at),
                ..Progress::default()
            },
            stage: Stage::Line,
            has_row: true,
            feed: None,
            open: None,
            weight: 0,
            early: false,
        };
        self.live.insert(place, entry);
        self.line.again.push_back(place);
    }
}
