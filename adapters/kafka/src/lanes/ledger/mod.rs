//! The state of one partition, as its owner knows it. It decides without doing: told
//! what was read, what became of deliveries and what is on record, it answers what to
//! hand over, what to write, and from where the next owner has to read. It has no clock
//! and no I/O.
//!
//! Whoever keeps it
//!
//! - makes it of what an earlier owner left ([`Ledger::new`]);
//! - tells it of each record read, in order ([`Ledger::read`]), while it
//!   [has room](Ledger::has_room);
//! - writes what it [plans](Plan) for settlements, controls and chores, one plan at a time,
//!   and tells it of the acknowledgements ([`Ledger::apply`]). Nothing counts before.
//!
//! Memory is bounded by what the consumer holds and by two buffers; of what is parked
//! the index alone is in memory (`parked.rs`, about 50 bytes each), and of what has ended
//! out of order one number (`track.rs`, about 50 bytes each, at most 50,000 of them or what
//! ends in ten seconds).

mod apply;
mod chores;
mod control;
mod ended;
mod entry;
mod handing;
mod line;
mod load;
mod parked;
mod plan;
mod settle;
mod track;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use common::{DestinationId, Severity, UtcMillis, wire::Place};
use consumer::{
    domain::{LeaseKey, Position},
    ports::ParkedLane,
};

pub use control::Replay;
pub use ended::Since;
pub use entry::{Content, Delivery, Fold, Locked};
pub use handing::Next;
pub use load::{LoadedRow, Start};
pub use plan::{Ack, Plan};
pub use track::Reading;
pub(crate) use writes::wait_part;
pub use writes::{DeadLetter, OutcomeWrite, RowState, RowWrite, Write};

use crate::lanes::spill::Slot;
use control::Controls;
use ended::Ended;
use entry::{Entry, Stage};
use line::Line;
use parked::{Parked, Shelved};
use track::Track;

/// One of the topics that bring deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feed {
    /// `T.high`.
    High,
    /// `T`.
    Main,
}

impl Feed {
    /// Both.
    pub const ALL: [Feed; 2] = [Feed::High, Feed::Main];

    pub(crate) const fn index(self) -> usize {
        match self {
            Feed::High => 0,
            Feed::Main => 1,
        }
    }
}

/// The state of one partition.
#[derive(Debug)]
pub struct Ledger {
    tracks: [Track; 2],
    live: BTreeMap<Place, Entry>,
    parked: Parked,
    /// Members of digests on record, but for the leads.
    folded: HashMap<Place, Member>,
    line: Line,
    has_said_caught_up: bool,
    /// Of what has ended: what may be read again.
    ended: Ended,
    /// Of what has ended: rows to be buried, with the outcomes that say so.
    burials: VecDeque<(Place, u64)>,
    controls: Controls,
    /// Read though their alert is cancelled: to be withdrawn.
    doomed: BTreeSet<Place>,
    /// Those that cannot be opened, the oldest first.
    locked: BTreeSet<(UtcMillis, Place)>,
    /// Cancelled, and the consumer is to be told.
    untold: Vec<LeaseKey>,
    /// Requests under way, or ended and not recorded.
    sending: HashMap<Place, u32>,
    /// The end of `T.outcomes`, as far as this owner has written it.
    outcomes: u64,
    /// Where high deliveries are read.
    high: Feed,
    freed: Vec<Slot>,
}

/// A member of a digest.
#[derive(Clone, Copy, Debug)]
struct Member {
    shelved: Shelved,
    key: LeaseKey,
}

/// From where the next owner has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// `T.high`.
    pub high: Reading,
    /// `T`.
    pub main: Reading,
    /// `T.control`.
    pub control: u64,
    /// `T.outcomes`.
    pub outcomes: u64,
}

impl Ledger {
    /// Whether more of a topic should be read.
    pub fn has_room(&self, feed: Feed) -> bool {
        self.line.has_room(feed)
    }

    /// Takes in a delivery that was read, whose message takes so many bytes.
    pub fn read(
        &mut self,
        feed: Feed,
        offset: u64,
        place: Place,
        delivery: Delivery,
        bytes: usize,
        now: Duration,
    ) {
        let track = &mut self.tracks[feed.index()];
        let early = track.was_there(offset);
        let key = delivery.lease.key();
        if !track.read(offset, Some(place), now) || self.knows(feed, offset, key) {
            return;
        }
        let LeaseKey {
            destination,
            severity,
            ..
        } = key;
        let is_cancelled = self.controls.is_cancelled(place);
        let weight = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let entry = Entry {
            content: Content::Memory(delivery.into()),
            destination,
            severity,
            progress: Default::default(),
            stage: if is_cancelled {
                Stage::Doomed
            } else {
                Stage::Line
            },
            has_row: false,
            feed: Some(feed),
            open: Some(offset),
            weight: if is_cancelled { 0 } else { weight },
            early: early && !is_cancelled,
        };
        self.live.insert(place, entry);
        if is_cancelled {
            self.doomed.insert(place);
        } else {
            self.line.push(place, severity, early);
            self.line.hold(feed, weight);
        }
    }

    /// Takes in a delivery that was read and cannot be opened, and lies in that slot. It
    /// waits for an owner that can, for a day.
    pub fn read_locked(
        &mut self,
        feed: Feed,
        offset: u64,
        place: Place,
        locked: Locked,
        slot: Slot,
        now: Duration,
    ) {
        let key = locked.key(place);
        let track = &mut self.tracks[feed.index()];
        if !track.read(offset, Some(place), now) || self.knows(feed, offset, key) {
            self.freed.push(slot);
            return;
        }
        let mut entry = Entry {
            content: Content::Disk(slot),
            destination: key.destination,
            severity: key.severity,
            progress: Default::default(),
            stage: Stage::Doomed,
            has_row: false,
            feed: Some(feed),
            open: Some(offset),
            weight: 0,
            early: false,
        };
        if self.controls.is_cancelled(place) {
            self.doomed.insert(place);
        } else {
            self.locked.insert((locked.accepted_at, place));
            entry.stage = Stage::Locked(locked);
        }
        self.live.insert(place, entry);
    }

    /// Whether a delivery just read is on record already.
    fn knows(&mut self, feed: Feed, offset: u64, key: LeaseKey) -> bool {
        let place = place_of(key);
        let track = &mut self.tracks[feed.index()];
        if let Some(outcome) = self.ended.remove(place) {
            track.close(offset);
            track.ended(place, outcome);
            return true;
        }
        let is_known = if let Some(entry) = self.live.get_mut(&place) {
            entry.feed = Some(feed);
            true
        } else if let Some(member) = self.folded.get_mut(&place) {
            member.shelved.feed = Some(feed);
            true
        } else {
            self.parked.was_read(key, feed)
        };
        if is_known {
            track.close(offset);
        }
        is_known
    }

    /// Takes note of a message that is none of ours, or cannot be read. It holds the
    /// checkpoint until it is [dealt with](Self::dealt_with).
    pub fn read_foreign(&mut self, feed: Feed, offset: u64, now: Duration) {
        self.tracks[feed.index()].read(offset, None, now);
    }

    /// A message that is none of ours was adopted or put among the dead letters.
    pub fn dealt_with(&mut self, feed: Feed, offset: u64) {
        self.tracks[feed.index()].close(offset);
    }

    /// All of a topic has been read that was there at the assignment.
    pub fn read_to_the_end(&mut self, feed: Feed) {
        self.tracks[feed.index()].read_to_the_end();
    }

    /// The offset of a topic that is read next.
    pub fn next_offset(&self, feed: Feed) -> u64 {
        self.tracks[feed.index()].next()
    }

    /// What is parked, by lane and severity.
    pub fn parked(&self) -> Vec<ParkedLane> {
        self.parked.lanes()
    }

    /// The parked deliveries of one lane and severity that follow `after`, in order.
    pub fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Place>,
        room: usize,
    ) -> Vec<(Place, Slot)> {
        self.parked.after(destination, severity, after, room)
    }

    /// A request begins.
    pub fn begins(&mut self, place: Place) {
        *self.sending.entry(place).or_default() += 1;
    }

    /// From where the next owner has to read.
    pub fn checkpoint(&mut self) -> Checkpoint {
        self.ended.prune(&self.tracks);
        self.controls.forget(&self.tracks, |sequence| {
            let alert = alert_range(sequence);
            let mut entries = self.live.range(alert);
            entries.any(|(_, entry)| matches!(entry.stage, Stage::Doomed))
        });
        let [high, main] = &self.tracks;
        let needed = [
            high.first_outcome(),
            main.first_outcome(),
            self.ended.first_outcome(),
            self.burials.iter().map(|(_, outcome)| *outcome).min(),
            self.controls.first_outcome(),
        ];
        Checkpoint {
            high: high.checkpoint(),
            main: main.checkpoint(),
            control: self.controls.checkpoint(),
            outcomes: needed.into_iter().flatten().min().unwrap_or(self.outcomes),
        }
    }

    /// What need not stay on disk any more.
    pub fn take_freed(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.freed)
    }
}

/// All places of an alert.
fn alert_range(sequence: u64) -> std::ops::RangeInclusive<Place> {
    let first = Place {
        sequence,
        ordinal: 0,
    };
    let last = Place {
        sequence,
        ordinal: u32::MAX,
    };
    first..=last
}

/// The place of a delivery.
pub fn place_of(key: LeaseKey) -> Place {
    Place {
        sequence: key.position.sequence,
        ordinal: key.position.ordinal,
    }
}

/// The same in the consumer's words.
pub fn position_of(place: Place) -> Position {
    Position {
        sequence: place.sequence,
        ordinal: place.ordinal,
    }
}
