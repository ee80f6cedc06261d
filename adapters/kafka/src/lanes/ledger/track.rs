//! One of the topics that feed the lanes: what of it was read, what of that is
//! unfinished, and from where the next owner has to read.

use std::{collections::BTreeMap, time::Duration};

use common::wire::Place;

/// A checkpoint lags at most so many records behind what was read, ...
pub(super) const MOST_BEHIND: u64 = 50_000;
/// ... and at most so long behind what was read when: a message that was adopted is
/// recognised within 100,000 alerts, if its adopter dies.
pub(super) const LONGEST_BEHIND: Duration = Duration::from_secs(10);

/// What is known of one partition of `T` or of `T.high`.
#[derive(Debug, Default)]
pub(super) struct Track {
    next: u64,
    /// Where the log ended when the partition was assigned.
    end: u64,
    /// The highest place read.
    highest: Option<Place>,
    /// What was read, neither has ended nor has a row, by offset. About 90 bytes each.
    open: BTreeMap<u64, Open>,
    /// What has ended though something before it is open, and the offset of the outcome
    /// that says so. About 50 bytes each.
    above: BTreeMap<Place, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    /// None of ours.
    place: Option<Place>,
    /// The highest place before it.
    before: Option<Place>,
    since: Duration,
}

/// From where the next owner reads a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The offset.
    pub offset: u64,
    /// The highest place before it.
    pub place: Option<Place>,
}

impl Track {
    /// A partition that is read from there on, and ended at `end` when it was assigned.
    pub(super) fn new(from: Reading, end: u64) -> Self {
        Self {
            next: from.offset,
            end,
            highest: from.place,
            ..Self::default()
        }
    }

    /// Takes note of a record, which is open until it is [closed](Self::close). `false`
    /// where its place says that it is a repetition; then it is not open.
    pub(super) fn read(&mut self, offset: u64, place: Option<Place>, now: Duration) -> bool {
        self.next = self.next.max(offset + 1);
        let before = self.highest;
        if place.is_some() && place <= before {
            self.prune();
            return false;
        }
        self.highest = self.highest.max(place);
        self.open.insert(
            offset,
            Open {
                place,
                before,
                since: now,
            },
        );
        true
    }

    /// Everything up to the end at the assignment has been read: what is missing of it
    /// are records that no reader sees.
    pub(super) fn read_to_the_end(&mut self) {
        self.next = self.next.max(self.end);
    }

    /// The offset that is read next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether all is read that was there at the assignment.
    pub(super) fn is_past_the_end(&self) -> bool {
        self.next >= self.end
    }

    /// Whether a record was there at the assignment.
    pub(super) fn was_there(&self, offset: u64) -> bool {
        offset < self.end
    }

    /// The highest place read.
    pub(super) fn highest(&self) -> Option<Place> {
        self.highest
    }

    /// What was read at `offset` has ended or has a row.
    pub(super) fn close(&mut self, offset: u64) {
        self.open.remove(&offset);
        self.prune();
    }

    /// The delivery of that place has ended, as the outcome at that offset says.
    pub(super) fn ended(&mut self, place: Place, outcome: u64) {
        if Some(place) > self.checkpoint().place {
            self.above.insert(place, outcome);
        }
    }

    /// From where the next owner reads.
    pub(super) fn checkpoint(&self) -> Reading {
        match self.open.first_key_value() {
            Some((offset, open)) => Reading {
                offset: *offset,
                place: open.before,
            },
            None => Reading {
                offset: self.next,
                place: self.highest,
            },
        }
    }

    /// The first outcome that the next owner must know of, to send nothing again that
    /// has ended above the checkpoint.
    pub(super) fn first_outcome(&self) -> Option<u64> {
        self.above.values().min().copied()
    }

    /// What holds the checkpoint too far behind, at most `most` of them.
    pub(super) fn laggards(&self, now: Duration, most: usize) -> Vec<(u64, Place)> {
        let is_behind = |offset: u64, open: &Open| {
            offset + MOST_BEHIND < self.next || open.since + LONGEST_BEHIND <= now
        };
        let behind = self
            .open
            .iter()
            .take_while(|(at, open)| is_behind(**at, open));
        behind
            .filter_map(|(offset, open)| Some((*offset, open.place?)))
            .take(most)
            .collect()
    }

    fn prune(&mut self) {
        let floor = self.checkpoint().place;
        while self
            .above
            .first_key_value()
            .is_some_and(|(place, _)| Some(*place) <= floor)
        {
            self.above.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sequence: u64) -> Option<Place> {
        Some(Place {
            sequence,
            ordinal: 0,
        })
    }

    fn track() -> Track {
        let from = Reading {
            offset: 10,
            place: place(100),
        };
        Track::new(from, 13)
    }

    fn at(offset: u64, sequence: u64) -> Reading {
        Reading {
            offset,
            place: place(sequence),
        }
    }

    #[test]
    fn the_checkpoint_is_the_lowest_open_offset_with_the_highest_place_before_it() {
        let mut track = track();
        assert_eq!(track.checkpoint(), at(10, 100));
        for (offset, sequence) in [(10, 101), (11, 103), (12, 105)] {
            assert!(track.read(offset, place(sequence), Duration::ZERO));
        }
        assert_eq!(track.checkpoint(), at(10, 100));
        track.close(11);
        assert_eq!(track.checkpoint(), at(10, 100));
        track.close(10);
        assert_eq!(track.checkpoint(), at(12, 103));
        track.close(12);
        assert_eq!(track.checkpoint(), at(13, 105));
    }

    #[test]
    fn a_place_that_is_not_above_the_highest_is_a_repetition() {
        let mut track = track();
        assert!(!track.read(10, place(100), Duration::ZERO));
        assert!(track.read(11, place(102), Duration::ZERO));
        assert!(!track.read(12, place(101), Duration::ZERO));
        track.close(11);
        assert_eq!(track.checkpoint(), at(13, 102));
    }

    #[test]
    fn a_message_of_others_holds_the_checkpoint_and_has_no_place() {
        let mut track = track();
        assert!(track.read(10, None, Duration::ZERO));
        assert!(track.read(11, place(101), Duration::ZERO));
        track.close(11);
        assert_eq!(track.checkpoint(), at(10, 100));
        track.close(10);
        assert_eq!(track.checkpoint(), at(12, 101));
    }

    #[test]
    fn the_outcomes_of_what_ended_above_the_checkpoint_are_needed_until_it_has_passed() {
        let mut track = track();
        for (offset, sequence) in [(10, 101), (11, 102), (12, 103)] {
            track.read(offset, place(sequence), Duration::ZERO);
        }
        for (offset, sequence, outcome) in [(12, 103, 7), (11, 102, 8)] {
            track.close(offset);
            track.ended(place(sequence).unwrap(), outcome);
        }
        assert_eq!(track.first_outcome(), Some(7));
        track.close(10);
        track.ended(place(101).unwrap(), 9);
        assert_eq!(track.first_outcome(), None);
        assert_eq!(track.checkpoint(), at(13, 103));
    }

    #[test]
    fn what_is_too_far_behind_or_too_old_lags() {
        let mut track = track();
        let begun = Duration::from_secs(1);
        track.read(10, place(101), begun);
        track.read(11, place(102), begun);
        assert!(track.laggards(begun, 9).is_empty());
        let late = begun + LONGEST_BEHIND;
        assert_eq!(track.laggards(late, 1), [(10, place(101).unwrap())]);
        track.read(10 + MOST_BEHIND, place(103), begun);
        assert_eq!(track.laggards(begun, 9), [(10, place(101).unwrap())]);
    }

    #[test]
    fn all_is_read_that_was_there_once_the_end_was_reached() {
        let mut track = track();
        assert!(!track.is_past_the_end());
        track.read(11, place(101), Duration::ZERO);
        assert!(!track.is_past_the_end());
        track.read_to_the_end();
        assert!(track.is_past_the_end());
        assert!(track.was_there(12) && !track.was_there(13));
    }
}
