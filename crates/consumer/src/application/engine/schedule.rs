//! When each lane has its turn: those that may send wait in line, those that may
//! not yet wait for their time. A lane is in one of the two, or in neither.
//!
//! Lanes line up for their host, and hosts take turns: the urgent lines first and
//! often, and within a severity each host in turn, whatever the number of its
//! lanes. A host without room (all its requests in flight, or its breaker open)
//! stands by, with its lanes in line, and joins in again when it has room.
//!
//! Entries are never searched for: an entry counts only while its lane still says
//! that it is there, else it is dropped when it comes up.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use common::{DestinationId, Severity};

use super::hosts::{Host, HostId, Hosts};
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

    /// The rank of a lane in which something is in a hurry: no tail then.
    pub(super) fn hurried(self, is_in_a_hurry: bool) -> Self {
        let is_tail = self.is_tail && !is_in_a_hurry;
        Self { is_tail, ..self }
    }

    /// Whether it is served only when lanes of that other rank have had their turns.
    pub(super) fn goes_behind(self, other: Self) -> bool {
        self.line() < other.line()
    }

    /// All ranks, in the order in which they are served.
    pub(super) fn by_urgency() -> impl Iterator<Item = Self> {
        let severities = Severity::BY_URGENCY.into_iter();
        severities.flat_map(|severity| [false, true].map(|is_tail| Self { severity, is_tail }))
    }

    /// The number of its line.
    pub(super) fn line(self) -> usize {
        usize::from(self.severity.code()) * 2 + usize::from(!self.is_tail)
    }
}

/// Where a lane waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is in flight, or waits for deliveries.
    #[default]
    Nowhere,
    /// In the line of that host and rank.
    InLine(HostId, Rank, u64),
    /// For that time.
    Until(Duration),
}

/// Turns that the lanes of each rank get in a round, by [`Rank::line`]: the urgent
/// go first and the others still move.
const TURNS: [u32; 6] = [1, 1, 2, 4, 8, 16];

/// The hosts with their lines, and the timers.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) hosts: Hosts,
    /// Requests in flight that one host may have; at least 1.
    most_a_host: usize,
    /// The hosts whose turn it will be, by [`Rank::line`].
    rings: [VecDeque<HostId>; 6],
    turns_left: [u32; 6],
    /// Lanes in line that sending will soon come to.
    moving: usize,
    next_stamp: u64,
    timers: BinaryHeap<Reverse<(Duration, DestinationId)>>,
}

impl Schedule {
    pub(super) fn new(most_a_host: usize) -> Self {
        Self {
            hosts: Hosts::default(),
            most_a_host: most_a_host.max(1),
            rings: Default::default(),
            turns_left: TURNS,
            moving: 0,
            next_stamp: 0,
            timers: BinaryHeap::new(),
        }
    }

    /// How many lanes in line may be sent to soon: of each host that is well, as
    /// many as it may have requests in flight.
    pub(super) fn moving(&self) -> usize {
        self.moving
    }

    /// Whether another request to that host may begin.
    pub(super) fn has_room(&self, host: Option<HostId>) -> bool {
        host.and_then(|host| self.hosts.get(host))
            .is_none_or(|host| host.has_room(self.most_a_host))
    }

    /// Whether a further lane of that host would only stand and wait, whatever its
    /// rank: its breaker is not closed, or its lines are as long as it may have
    /// requests in flight.
    pub(super) fn is_congested(&self, host: HostId) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|host| !host.is_closed() || host.in_line() >= self.most_a_host)
    }

    /// Whether a further lane of that rank would: those in line that it goes before
    /// do not keep it waiting.
    pub(super) fn is_congested_for(&self, host: HostId, rank: Rank) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|host| !host.is_closed() || host.in_line_before(rank) >= self.most_a_host)
    }

    /// Puts a lane in line; it keeps its place where it stands there already.
    pub(super) fn line_up(
        &mut self,
        id: DestinationId,
        host_id: HostId,
        rank: Rank,
        place: &mut Place,
    ) {
        if matches!(place, Place::InLine(host, line, _) if (*host, *line) == (host_id, rank)) {
            return;
        }
        self.leave(place);
        let Some(host) = self.hosts.get_mut(host_id) else {
            return;
        };
        self.next_stamp += 1;
        *place = Place::InLine(host_id, rank, self.next_stamp);
        self.moving -= moving(host, self.most_a_host);
        host.standing[rank.line()] += 1;
        self.moving += moving(host, self.most_a_host);
        host.lines[rank.line()].push_back((id, self.next_stamp));
        self.join(host_id);
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
        if let Place::InLine(host, rank, _) = place
            && let Some(host) = self.hosts.get_mut(*host)
        {
            self.moving -= moving(host, self.most_a_host);
            let standing = &mut host.standing[rank.line()];
            *standing = standing.saturating_sub(1);
            self.moving += moving(host, self.most_a_host);
            if host.in_line() == 0 {
                // Only entries that no longer count are left.
                host.lines.iter_mut().for_each(VecDeque::clear);
            }
        }
        *place = Place::Nowhere;
    }

    /// Changes a host, by which it may get room or lose it.
    pub(super) fn change<T>(
        &mut self,
        id: HostId,
        change: impl FnOnce(&mut Host) -> T,
    ) -> Option<T> {
        let host = self.hosts.get_mut(id)?;
        self.moving -= moving(host, self.most_a_host);
        let answer = change(host);
        self.moving += moving(host, self.most_a_host);
        self.join(id);
        Some(answer)
    }

    /// Lets a host take part in the turns if it has room and lanes in line.
    fn join(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(id) else {
            return;
        };
        for rank in Rank::by_urgency() {
            let line = rank.line();
            let waits = !host.in_ring[line] && !host.lines[line].is_empty();
            if waits && host.has_room_for(rank, self.most_a_host) {
                host.in_ring[line] = true;
                self.rings[line].push_back(id);
            }
        }
    }

    /// The lane whose turn it is, and with what. It stays in line until it leaves.
    pub(super) fn next_in_line(
        &mut self,
        place_of: impl Fn(DestinationId) -> Place,
    ) -> Option<(DestinationId, Rank)> {
        loop {
            for rank in Rank::by_urgency() {
                let line = rank.line();
                while self.turns_left[line] > 0 {
                    let Some(id) = self.rings[line].pop_front() else {
                        break;
                    };
                    if let Some(lane) = self.first_of(id, rank, &place_of) {
                        self.turns_left[line] -= 1;
                        return Some((lane, rank));
                    }
                }
            }
            // Every ring is empty or has had its turns.
            if self.rings.iter().all(VecDeque::is_empty) {
                return None;
            }
            self.turns_left = TURNS;
        }
    }

    /// The first lane in a host's line, if it has room; the host goes to the end of
    /// the ring if there are more.
    fn first_of(
        &mut self,
        id: HostId,
        rank: Rank,
        place_of: impl Fn(DestinationId) -> Place,
    ) -> Option<DestinationId> {
        let line = rank.line();
        let host = self.hosts.get_mut(id)?;
        host.in_ring[line] = false;
        if !host.has_room_for(rank, self.most_a_host) {
            return None;
        }
        let mut first = None;
        while first.is_none()
            && let Some((lane, stamp)) = host.lines[line].pop_front()
        {
            let counts = place_of(lane) == Place::InLine(id, rank, stamp);
            first = counts.then_some(lane);
        }
        if !host.lines[line].is_empty() {
            host.in_ring[line] = true;
            self.rings[line].push_back(id);
        }
        first
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

/// How many of a host's lanes in line sending will soon come to.
fn moving(host: &Host, most: usize) -> usize {
    if host.is_closed() {
        host.in_line().min(most)
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use common::{ChannelKind, Destination};

    use super::*;

    /// Lanes whose numbers are below a thousand share one host; each thousand is
    /// another one.
    struct Lanes {
        schedule: Schedule,
        places: HashMap<DestinationId, Place>,
    }

    impl Lanes {
        fn new() -> Self {
            Self::with(1000)
        }

        fn with(most_a_host: usize) -> Self {
            Self {
                schedule: Schedule::new(most_a_host),
                places: HashMap::new(),
            }
        }

        fn host(&mut self, id: u64) -> HostId {
            let host = format!("https://{}", id / 1000);
            let destination = Destination::new(ChannelKind::SLACK, &host, "");
            self.schedule.hosts.enter(&destination)
        }

        fn line_up(&mut self, id: u64, severity: Severity) {
            self.line_up_at(id, severity, 0);
        }

        fn line_up_at(&mut self, id: u64, severity: Severity, ordinal: u32) {
            let host = self.host(id);
            let id = DestinationId(id);
            let next = Position {
                sequence: 1,
                ordinal,
            };
            let rank = Rank::of(severity, [next]);
            self.schedule
                .line_up(id, host, rank, self.places.entry(id).or_default());
        }

        fn wait_until(&mut self, id: u64, due: u64) {
            let id = DestinationId(id);
            let due = Duration::from_secs(due);
            self.schedule
                .wait_until(id, due, self.places.entry(id).or_default());
        }

        fn take_turn(&mut self) -> Option<u64> {
            Some(self.take_ranked_turn()?.0)
        }

        fn take_ranked_turn(&mut self) -> Option<(u64, Rank)> {
            let (id, rank) = self.schedule.next_in_line(|id| self.places[&id])?;
            self.schedule.leave(self.places.get_mut(&id).unwrap());
            Some((id.0, rank))
        }

        fn begin(&mut self) -> Option<u64> {
            let (id, rank) = self.take_ranked_turn()?;
            let host = self.host(id);
            self.schedule.change(host, |host| host.begin(rank.is_tail));
            Some(id)
        }

        fn end(&mut self, id: u64) {
            let host = self.host(id);
            self.schedule.change(host, |host| host.end(false));
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
    fn tails_leave_half_of_a_hosts_requests_to_others() {
        let mut lanes = Lanes::with(10);
        (0..20).for_each(|n| lanes.line_up_at(n, Severity::High, FIRST));
        assert_eq!(std::iter::from_fn(|| lanes.begin()).count(), 5);
        lanes.line_up(100, Severity::Low);
        lanes.line_up_at(1000, Severity::Normal, FIRST);
        assert_eq!(lanes.begin(), Some(1000), "of another host");
        assert_eq!(lanes.begin(), Some(100));
        assert_eq!(lanes.begin(), None);
        let host = lanes.host(0);
        lanes.schedule.change(host, |host| host.end(true));
        assert_eq!(lanes.begin(), Some(5));
        assert_eq!(lanes.begin(), None);
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
        assert_eq!(lanes.schedule.moving(), 2);
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

    #[test]
    fn hosts_take_turns_however_many_lanes_each_has_in_line() {
        let mut lanes = Lanes::new();
        (1..=100).for_each(|id| lanes.line_up(id, Severity::Normal));
        lanes.line_up(1001, Severity::Normal);
        lanes.line_up(2001, Severity::Normal);
        let turns: Vec<_> = (0..5).filter_map(|_| lanes.take_turn()).collect();
        assert_eq!(turns, [1, 1001, 2001, 2, 3]);
    }

    #[test]
    fn a_host_with_all_its_requests_in_flight_stands_by_until_one_ends() {
        let mut lanes = Lanes::with(2);
        (1..=4).for_each(|id| lanes.line_up(id, Severity::Normal));
        lanes.line_up(1001, Severity::Normal);
        assert_eq!(lanes.schedule.moving(), 3);
        let begun: Vec<_> = std::iter::from_fn(|| lanes.begin()).collect();
        assert_eq!(begun, [1, 1001, 2]);
        lanes.end(1);
        assert_eq!(lanes.begin(), Some(3));
        assert_eq!(lanes.begin(), None);
    }

    #[test]
    fn a_host_is_congested_for_those_alone_who_go_behind_its_lines() {
        let mut lanes = Lanes::with(2);
        lanes.line_up_at(1, Severity::Normal, FIRST);
        lanes.line_up_at(2, Severity::Normal, FIRST);
        let host = lanes.host(1);
        let congested = |lanes: &Lanes| {
            let ranks =
                Rank::by_urgency().filter(|rank| lanes.schedule.is_congested_for(host, *rank));
            ranks
                .map(|rank| (rank.severity, rank.is_tail))
                .collect::<Vec<_>>()
        };
        let from_normal_tails_on = [
            (Severity::Normal, true),
            (Severity::Low, false),
            (Severity::Low, true),
        ];
        assert_eq!(congested(&lanes), from_normal_tails_on);
        assert!(lanes.schedule.is_congested(host));
        lanes.take_turn();
        assert_eq!(congested(&lanes), []);
    }

    #[test]
    fn an_open_breaker_keeps_the_lanes_of_its_host_in_line_and_lets_one_probe_go() {
        let mut lanes = Lanes::new();
        (1..=3).for_each(|id| lanes.line_up(id, Severity::Normal));
        let host = lanes.host(1);
        let second = Duration::from_secs(1);
        lanes.schedule.change(host, |host| {
            (0..5).for_each(|lane| {
                host.failed(DestinationId(lane), Duration::ZERO, "refused");
            });
            host.breaker_mut().unwrap().open(Duration::ZERO, second);
        });
        assert_eq!((lanes.begin(), lanes.schedule.moving()), (None, 0));
        assert!(lanes.schedule.is_congested(host));
        lanes.schedule.change(host, |host| {
            let breaker = host.breaker_mut().unwrap();
            assert!(breaker.ripen(second));
        });
        assert_eq!(lanes.take_turn(), Some(1));
        lanes
            .schedule
            .change(host, |host| host.breaker_mut().unwrap().begin());
        assert_eq!(lanes.take_turn(), None);
        lanes.schedule.change(host, |host| host.succeeded(second));
        assert_eq!([lanes.take_turn(), lanes.take_turn()], [Some(2), Some(3)]);
    }
}
