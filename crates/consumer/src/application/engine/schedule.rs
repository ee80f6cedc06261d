//! When each lane has its turn: those that may send wait in line, those that may
//! not yet wait for their time. A lane is in one of the two, or in neither.
//!
//! Entries are never searched for: an entry counts only while its lane still says
//! that it is there, else it is dropped when it comes up.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use common::{DestinationId, Severity};

use crate::domain::Position;

/// With what a lane lines up: the severity of its next delivery, and whether that
/// is among the first of its alert. An alert to a hundred thousand lines up with as
/// many lanes at once; what is accepted after it goes before its tail, or it would
/// hold up everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    pub(super) severity: Severity,
    pub(super) is_tail: bool,
}

/// Deliveries of an alert, in its own order, that are not its tail.
const FIRST: u32 = 64;

impl Rank {
    /// A lane's rank, where these deliveries of that severity wait in it.
    pub(super) fn of(severity: Severity, waiting: impl IntoIterator<Item = Position>) -> Self {
        let mut waiting = waiting.into_iter().peekable();
        let is_tail = waiting.peek().is_some() && waiting.all(|position| position.ordinal >= FIRST);
        Self { severity, is_tail }
    }

    /// All ranks, in the order in which they are served.
    fn by_urgency() -> impl Iterator<Item = Self> {
        let severities = Severity::BY_URGENCY.into_iter();
        severities.flat_map(|severity| [false, true].map(|is_tail| Self { severity, is_tail }))
    }

    /// The number of its line.
    fn line(self) -> usize {
        usize::from(self.severity.code()) * 2 + usize::from(!self.is_tail)
    }
}

/// Where a lane waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is in flight, or waits for deliveries.
    #[default]
    Nowhere,
    /// In the line of that rank.
    InLine(Rank, u64),
    /// For that time.
    Until(Duration),
}

/// Turns that the lanes of each rank get in a round, by [`Rank::line`]: the urgent
/// go first and the others still move.
const TURNS: [u32; 6] = [1, 1, 2, 4, 8, 16];

/// The requests in flight that belong to tails. Not all may: a tail that gets no
/// answers, or as many as the machine can take, would hold up what comes after it.
#[derive(Debug)]
struct Tails {
    in_flight: usize,
    most: usize,
}

/// The lines and the timers.
#[derive(Debug)]
pub(super) struct Schedule {
    lines: [VecDeque<(DestinationId, u64)>; 6],
    turns_left: [u32; 6],
    in_line: usize,
    tails: Tails,
    next_stamp: u64,
    timers: BinaryHeap<Reverse<(Duration, DestinationId)>>,
}

impl Schedule {
    /// An empty one, for so many requests in flight, of which half may be of tails.
    pub(super) fn new(max_in_flight: usize) -> Self {
        Self {
            tails: Tails {
                in_flight: 0,
                most: (max_in_flight / 2).max(1),
            },
            lines: Default::default(),
            turns_left: TURNS,
            in_line: 0,
            next_stamp: 0,
            timers: BinaryHeap::new(),
        }
    }

    /// How many lanes may send now.
    pub(super) fn in_line(&self) -> usize {
        self.in_line
    }

    /// Puts a lane in line; it keeps its place where it stands there already.
    pub(super) fn line_up(&mut self, id: DestinationId, rank: Rank, place: &mut Place) {
        if matches!(place, Place::InLine(line, _) if *line == rank) {
            return;
        }
        self.leave(place);
        self.next_stamp += 1;
        *place = Place::InLine(rank, self.next_stamp);
        self.in_line += 1;
        self.lines[rank.line()].push_back((id, self.next_stamp));
    }

    /// Lets a lane wait for a time.
    pub(super) fn wait_until(&mut self, id: DestinationId, due: Duration, place: &mut Place) {
        if *place == Place::Until(due) {
            return;
        }
        self.leave(place);
        *place = Place::Until(due);
        self.timers.push(Reverse((due, id)));
    }

    /// Takes a lane out of wherever it waits.
    pub(super) fn leave(&mut self, place: &mut Place) {
        if matches!(place, Place::InLine(..)) {
            self.in_line -= 1;
        }
        *place = Place::Nowhere;
    }

    /// Takes note that a request of that rank begins.
    pub(super) fn begin(&mut self, rank: Rank) {
        self.tails.in_flight += usize::from(rank.is_tail);
    }

    /// Takes note that a request has ended, which belonged to a tail or not.
    pub(super) fn end(&mut self, was_tail: bool) {
        self.tails.in_flight -= usize::from(was_tail);
    }

    /// The lane whose turn it is, and with what. It stays in line until it leaves.
    pub(super) fn next_in_line(
        &mut self,
        place_of: impl Fn(DestinationId) -> Place,
    ) -> Option<(DestinationId, Rank)> {
        if self.in_line == 0 {
            self.lines.iter_mut().for_each(VecDeque::clear);
            return None;
        }
        let has_room = self.tails.in_flight < self.tails.most;
        loop {
            let ranks = || Rank::by_urgency().filter(|rank| has_room || !rank.is_tail);
            for rank in ranks() {
                let line = rank.line();
                while self.turns_left[line] > 0 {
                    let Some((id, stamp)) = self.lines[line].pop_front() else {
                        break;
                    };
                    if place_of(id) == Place::InLine(rank, stamp) {
                        self.turns_left[line] -= 1;
                        return Some((id, rank));
                    }
                }
            }
            if ranks().all(|rank| self.lines[rank.line()].is_empty()) {
                return None;
            }
            // Every line has had its turns.
            self.turns_left = TURNS;
        }
    }

    /// The time that the next lane waits for.
    pub(super) fn next_due(
        &mut self,
        place_of: impl Fn(DestinationId) -> Place,
    ) -> Option<Duration> {
        while let Some(Reverse((due, id))) = self.timers.peek() {
            if place_of(*id) == Place::Until(*due) {
                return Some(*due);
            }
            self.timers.pop();
        }
        None
    }

    /// A lane whose time has come. It keeps its place until it gets another.
    pub(super) fn pop_due(
        &mut self,
        now: Duration,
        place_of: impl Fn(DestinationId) -> Place,
    ) -> Option<DestinationId> {
        loop {
            let next = self.timers.peek()?;
            if next.0.0 > now {
                return None;
            }
            let Reverse((due, id)) = self.timers.pop()?;
            if place_of(id) == Place::Until(due) {
                return Some(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    struct Lanes {
        schedule: Schedule,
        places: HashMap<DestinationId, Place>,
    }

    impl Lanes {
        fn new() -> Self {
            Self {
                schedule: Schedule::new(1000),
                places: HashMap::new(),
            }
        }

        fn line_up(&mut self, id: u64, severity: Severity) {
            self.line_up_at(id, severity, 0);
        }

        fn line_up_at(&mut self, id: u64, severity: Severity, ordinal: u32) {
            let id = DestinationId(id);
            let next = Position {
                sequence: 1,
                ordinal,
            };
            let rank = Rank::of(severity, [next]);
            self.schedule
                .line_up(id, rank, self.places.entry(id).or_default());
        }

        fn wait_until(&mut self, id: u64, due: u64) {
            let id = DestinationId(id);
            let due = Duration::from_secs(due);
            self.schedule
                .wait_until(id, due, self.places.entry(id).or_default());
        }

        fn take_turn(&mut self) -> Option<u64> {
            let (id, rank) = self.schedule.next_in_line(|id| self.places[&id])?;
            self.schedule.begin(rank);
            self.schedule.leave(self.places.get_mut(&id).unwrap());
            Some(id.0)
        }

        fn pop_due(&mut self, now: u64) -> Option<u64> {
            let now = Duration::from_secs(now);
            self.schedule
                .pop_due(now, |id| self.places[&id])
                .map(|id| id.0)
        }
    }

    #[test]
    fn lanes_of_one_severity_take_turns_in_the_order_in_which_they_lined_up() {
        let mut lanes = Lanes::new();
        (1..=3).for_each(|id| lanes.line_up(id, Severity::Normal));
        lanes.line_up(1, Severity::Normal);
        let turns: Vec<_> = std::iter::from_fn(|| lanes.take_turn()).collect();
        assert_eq!(turns, [1, 2, 3]);
    }

    #[test]
    fn urgent_lanes_go_first_and_the_others_still_move() {
        let mut lanes = Lanes::new();
        lanes.line_up(1, Severity::Low);
        (100..200).for_each(|id| lanes.line_up(id, Severity::High));
        let turns: Vec<_> = std::iter::from_fn(|| lanes.take_turn()).collect();
        assert_eq!(turns.len(), 101);
        assert_eq!(turns.iter().position(|id| *id == 1), Some(16));
    }

    #[test]
    fn what_comes_after_an_alert_to_very_many_goes_before_its_tail() {
        let mut lanes = Lanes::new();
        (0..100).for_each(|n| lanes.line_up_at(u64::from(n), Severity::Normal, n));
        lanes.line_up(1000, Severity::Normal);
        lanes.line_up(2000, Severity::Low);
        let turns: Vec<_> = std::iter::from_fn(|| lanes.take_turn()).collect();
        let turn_of = |id| turns.iter().position(|turn| *turn == id).unwrap();
        assert!(turn_of(1000) < turn_of(99));
        assert!(turn_of(2000) < turn_of(99), "a lower severity still moves");
        assert_eq!(turns.len(), 102);
    }

    #[test]
    fn tails_leave_half_of_the_requests_in_flight_to_others() {
        let mut lanes = Lanes::new();
        (0..600).for_each(|n| lanes.line_up_at(n, Severity::High, FIRST));
        let turns = std::iter::from_fn(|| lanes.take_turn()).count();
        assert_eq!(turns, 500);
        lanes.line_up(1000, Severity::Low);
        assert_eq!(lanes.take_turn(), Some(1000));
        assert_eq!(lanes.take_turn(), None);
        lanes.schedule.end(true);
        assert_eq!(lanes.take_turn(), Some(500));
    }

    #[test]
    fn a_lane_is_no_tail_when_something_else_waits_in_it() {
        let at = |ordinal| Position {
            sequence: 1,
            ordinal,
        };
        assert!(Rank::of(Severity::Low, [at(FIRST)]).is_tail);
        assert!(!Rank::of(Severity::Low, [at(FIRST), at(0)]).is_tail);
        assert!(!Rank::of(Severity::Low, []).is_tail);
    }

    #[test]
    fn a_lane_that_becomes_urgent_changes_the_line_and_has_one_turn() {
        let mut lanes = Lanes::new();
        lanes.line_up(1, Severity::Normal);
        lanes.line_up(2, Severity::Low);
        lanes.line_up(2, Severity::High);
        assert_eq!(lanes.schedule.in_line(), 2);
        assert_eq!(lanes.take_turn(), Some(2));
        assert_eq!(lanes.take_turn(), Some(1));
        assert_eq!(lanes.take_turn(), None);
    }

    #[test]
    fn a_lane_comes_due_at_its_last_time_only() {
        let mut lanes = Lanes::new();
        lanes.wait_until(1, 10);
        lanes.wait_until(1, 5);
        assert_eq!(
            lanes.schedule.next_due(|id| lanes.places[&id]),
            Some(Duration::from_secs(5))
        );
        assert_eq!(lanes.pop_due(4), None);
        assert_eq!(lanes.pop_due(5), Some(1));
        lanes.line_up(1, Severity::Low);
        assert_eq!(lanes.pop_due(20), None);
        assert_eq!(lanes.schedule.next_due(|id| lanes.places[&id]), None);
    }
}
