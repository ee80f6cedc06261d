//! What has ended, of that which is still to be read.

use std::collections::{BTreeMap, HashMap};

use common::{
    Severity,
    wire::{OutcomePart, OutcomeRecord, Place},
};

use super::{Feed, track::Track};

/// What the outcomes after a checkpoint say: each delivery's last word counts. About 60
/// bytes each.
#[derive(Debug, Default)]
pub struct Since {
    /// Whether it has ended, and the outcome that says so.
    last: HashMap<Place, (Word, u64)>,
    /// The last replay of each, by its offset in the topic of controls, with the offset
    /// of its outcome.
    replays: HashMap<Place, (u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Ended,
    Replayed,
}

impl Since {
    /// Takes note of the outcome at that offset; the offsets come in order.
    pub fn note(&mut self, offset: u64, outcome: &OutcomeRecord) {
        let word = match outcome.outcome {
            OutcomePart::Delivered | OutcomePart::Dead { .. } | OutcomePart::Cancelled => {
                Word::Ended
            }
            OutcomePart::Replayed { control, .. } => {
                self.replays.insert(outcome.place, (control, offset));
                Word::Replayed
            }
            OutcomePart::PartSent
            | OutcomePart::Waiting(_)
            | OutcomePart::Parked
            | OutcomePart::Folded
            | OutcomePart::TakenApart => return,
        };
        self.last.insert(outcome.place, (word, offset));
        if word == Word::Ended
            && let Some(digest) = &outcome.digest
        {
            for member in &digest.members {
                self.last.insert(*member, (word, offset));
            }
        }
    }

    /// The offset of the outcome that ended it, where its last word is that it has.
    pub(super) fn end_of(&self, place: Place) -> Option<u64> {
        match self.last.get(&place) {
            Some((Word::Ended, offset)) => Some(*offset),
            _ => None,
        }
    }

    /// Whether its last word is that it was replayed.
    pub(super) fn is_replayed(&self, place: Place) -> bool {
        matches!(self.last.get(&place), Some((Word::Replayed, _)))
    }

    /// All that have ended, with the offsets of the outcomes that say so.
    pub(super) fn ended(&self) -> impl Iterator<Item = (Place, u64)> {
        let words = self.last.iter();
        words.filter_map(|(place, (word, offset))| {
            (*word == Word::Ended).then_some((*place, *offset))
        })
    }

    /// The last replay of each, by its offset in the topic of controls, with the offset
    /// of its outcome.
    pub(super) fn replays(&self) -> impl Iterator<Item = (Place, u64, u64)> {
        let replays = self.replays.iter();
        replays.map(|(place, (control, outcome))| (*place, *control, *outcome))
    }
}

/// Those that have ended and may be read again, with the offset of the outcome that says
/// so.
#[derive(Debug, Default)]
pub(super) struct Ended {
    by_place: BTreeMap<Place, u64>,
}

impl Ended {
    pub(super) fn insert(&mut self, place: Place, outcome: u64) {
        self.by_place.insert(place, outcome);
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<u64> {
        self.by_place.remove(&place)
    }

    /// Forgets those that will not be read again: topics are read in the order of places.
    pub(super) fn prune(&mut self, tracks: &[Track; 2]) {
        let unread = tracks.iter().filter(|track| !track.is_past_the_end());
        let Some(reading) = unread.map(Track::highest).min() else {
            return self.by_place.clear();
        };
        while self
            .by_place
            .first_key_value()
            .is_some_and(|(place, _)| Some(*place) <= reading)
        {
            self.by_place.pop_first();
        }
    }

    pub(super) fn first_outcome(&self) -> Option<u64> {
        self.by_place.values().min().copied()
    }
}

impl Feed {
    /// Where a delivery of that severity comes from, if high ones come from there.
    pub(super) fn of(severity: Severity, high: Feed) -> Self {
        match severity {
            Severity::High => high,
            Severity::Normal | Severity::Low => Feed::Main,
        }
    }
}
