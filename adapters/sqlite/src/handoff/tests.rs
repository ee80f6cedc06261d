use std::{collections::BTreeMap, ops::Range};

use common::{
    Severity::{High, Low, Normal},
    UtcMillis,
};

use consumer::domain::Position;

use super::*;
use crate::{
    fixtures::{alert, delivery},
    packed::{pack_deliveries, unpack_deliveries},
};

/// A handoff and the disk that it reads from when it is behind.
struct Queue {
    handoff: Handoff,
    disk: BTreeMap<u64, AcceptedAlert>,
}

impl Queue {
    fn with_room_for(in_memory: usize) -> Self {
        Self::with(Room {
            in_memory,
            slice: 100,
        })
    }

    fn with(room: Room) -> Self {
        Self {
            handoff: Handoff::new(vec![], [None; 3], room),
            disk: BTreeMap::new(),
        }
    }

    /// After a restart with what `self` has on disk.
    fn restarted(self, room: Room) -> Self {
        let last = Severity::BY_URGENCY.map(|severity| self.last_of(severity));
        Self {
            handoff: Handoff::new(vec![], last, room),
            disk: self.disk,
        }
    }

    fn last_of(&self, severity: Severity) -> Option<u64> {
        let of_it = |(_, accepted): &(_, &AcceptedAlert)| accepted.alert.severity == severity;
        self.disk
            .iter()
            .filter(of_it)
            .map(|(sequence, _)| *sequence)
            .next_back()
    }

    fn commit(&mut self, severity: Severity, count: u128) -> u64 {
        self.commit_to(severity, 0..count)
    }

    fn commit_to(&mut self, severity: Severity, users: Range<u128>) -> u64 {
        let sequence = self.disk.len() as u64 + 1;
        let deliveries = users.map(|n| delivery(n, 1)).collect();
        let accepted = alert(severity, UtcMillis(0), deliveries);
        self.disk.insert(sequence, accepted.clone());
        self.handoff.push(sequence, accepted);
        sequence
    }

    /// What comes next, read from disk where need be; `None` where nothing does.
    fn receive(&self, room: usize) -> Option<Vec<Position>> {
        loop {
            match self.handoff.next(room) {
                Next::CaughtUp | Next::Cancelled(_) => {}
                Next::Leases(leases) => {
                    return Some(leases.iter().map(|lease| lease.position).collect());
                }
                Next::Read(from) => {
                    let severity = from.severity;
                    let (positions, to) = self.read(from);
                    self.handoff.resume(severity, to);
                    if !positions.is_empty() {
                        return Some(positions);
                    }
                }

                Next::Wait => return None,
                Next::Closed => panic!("closed"),
            }
        }
    }

    fn read(&self, from: ReadFrom) -> (Vec<Position>, ReadTo) {
        let room = from.room;
        let mut positions = vec![];
        let mut cursor = from.cursor;
        let mut next = from.opened.map(|opened| (opened.sequence, opened.next));
        while positions.len() < room {
            let is_next = |(sequence, accepted): &(&u64, &AcceptedAlert)| {
                **sequence > cursor && accepted.alert.severity == from.severity
            };
            let first = || self.disk.range(..=from.last).find(is_next);
            let Some((sequence, begin)) = next.take().or_else(|| Some((*first()?.0, 0))) else {
                cursor = cursor.max(from.last);
                break;
            };
            let accepted = &self.disk[&sequence];
            let end = accepted
                .deliveries
                .len()
                .min(begin + room - positions.len());
            positions.extend((begin..end).map(|n| Position {
                sequence,
                ordinal: n as u32,
            }));
            if end < accepted.deliveries.len() {
                let opened = Opened {
                    sequence,
                    alert: accepted.alert.clone(),
                    deliveries: unpack_deliveries(&pack_deliveries(&accepted.deliveries))
                        .unwrap()
                        .into(),
                    next: end,
                };
                return (
                    positions,
                    ReadTo {
                        cursor,
                        opened: Some(opened),
                    },
                );
            }
            cursor = sequence;
        }
        (
            positions,
            ReadTo {
                cursor,
                opened: None,
            },
        )
    }

    fn is_behind(&self, severity: Severity) -> bool {
        self.handoff.lock().lines[line_of(severity)]
            .behind
            .is_some()
    }

    /// That every delivery has come, each once, to each destination in order within
    /// its severity.
    fn assert_came(&self, positions: &[Position]) {
        for severity in Severity::BY_URGENCY {
            let mut came = vec![];
            for position in positions {
                let accepted = &self.disk[&position.sequence];
                if accepted.alert.severity == severity {
                    let delivery = &accepted.deliveries[position.ordinal as usize];
                    came.push((delivery.destination.id, *position));
                }
            }
            // Stable: what went to one destination stays in the order it came in.
            came.sort_by_key(|(destination, _)| *destination);
            let mut expected = vec![];
            for (sequence, accepted) in &self.disk {
                if accepted.alert.severity == severity {
                    for (delivery, ordinal) in accepted.deliveries.iter().zip(0..) {
                        let sequence = *sequence;
                        let position = Position { sequence, ordinal };
                        expected.push((delivery.destination.id, position));
                    }
                }
            }
            expected.sort_by_key(|(destination, _)| *destination);
            assert_eq!(came, expected, "{severity}");
        }
    }
}

#[test]
fn a_line_that_is_behind_catches_up_and_takes_from_the_writer_again() {
    let mut queue = Queue::with_room_for(4);
    let mut came = vec![];
    for _ in 0..3 {
        queue.commit(Normal, 2);
    }
    assert!(queue.is_behind(Normal));
    while let Some(positions) = queue.receive(3) {
        came.extend(positions);
    }
    assert!(!queue.is_behind(Normal));
    queue.commit(Normal, 1);
    assert!(!queue.is_behind(Normal));
    came.extend(queue.receive(3).unwrap());
    queue.assert_came(&came);
}

#[test]
fn what_is_committed_behind_the_boundary_waits_for_what_is_on_disk() {
    let mut queue = Queue::with_room_for(2);
    queue.commit(Normal, 2);
    queue.commit(Normal, 1);
    let mut came = queue.receive(2).unwrap();
    // Memory has room again, and the second is still on disk.
    queue.commit(Normal, 1);
    while let Some(positions) = queue.receive(2) {
        came.extend(positions);
    }
    queue.assert_came(&came);
}

#[test]
fn one_severity_behind_does_not_hold_up_a_more_urgent_one() {
    let mut queue = Queue::with_room_for(1);
    queue.commit(Low, 1);
    queue.commit(Low, 5);
    let urgent = queue.commit(High, 1);
    assert_eq!(queue.receive(10).unwrap()[0].sequence, urgent);
}

#[test]
fn an_alert_above_the_room_passes_in_chunks() {
    let mut queue = Queue::with_room_for(4);
    queue.commit(Normal, 10);
    let mut came = vec![];
    while let Some(positions) = queue.receive(3) {
        assert!(positions.len() <= 3);
        came.extend(positions);
    }
    queue.assert_came(&came);
    assert_eq!(queue.handoff.lock().held(false), 0);
}

/// Numbers that look random and are the same every time.
fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    }
}

#[test]
fn whatever_comes_and_goes_each_delivery_comes_once_and_in_order() {
    for seed in 0..2_000 {
        let mut random = noise(seed);
        let mut room = || Room {
            in_memory: random(12) as usize,
            slice: 1 + random(7) as usize,
        };
        let (first, second) = (room(), room());
        let mut commit = |queue: &mut Queue| {
            let severity = Severity::BY_URGENCY[random(3) as usize];
            let from = u128::from(random(4));
            queue.commit_to(severity, from..from + 1 + u128::from(random(9)));
            random(7)
        };
        let mut queue = Queue::with(first);
        while commit(&mut queue) > 0 {}
        queue = queue.restarted(second);
        let mut came = vec![];
        for _ in 0..60 {
            for _ in 0..commit(&mut queue) / 2 {
                came.extend(queue.receive(1 + seed as usize % 9).into_iter().flatten());
            }
        }
        while let Some(positions) = queue.receive(5) {
            came.extend(positions);
        }
        queue.assert_came(&came);
        let state = queue.handoff.lock();
        assert_eq!([state.held(false), state.held(true)], [0, 0]);
    }
}

#[test]
fn what_comes_after_an_alert_to_very_many_need_not_wait_for_its_last() {
    let mut queue = Queue::with(Room {
        in_memory: 10,
        slice: 4,
    });
    let everybody = queue.commit(Normal, 100);
    let mut came = queue.receive(4).unwrap();
    let later = queue.commit_to(Normal, 70..71);
    let next = queue.receive(4).unwrap();
    let at = |sequence, ordinal| Position { sequence, ordinal };
    let expected = [
        at(everybody, 70),
        at(later, 0),
        at(everybody, 4),
        at(everybody, 5),
    ];
    assert_eq!(next, expected, "behind what goes to the same destination");
    came.extend(next);
    while let Some(positions) = queue.receive(4) {
        came.extend(positions);
    }
    queue.assert_came(&came);
}

#[test]
fn caught_up_is_not_held_up_by_what_came_later_into_the_same_line() {
    let mut queue = Queue::with_room_for(100);
    queue.commit(Normal, 1);
    let mut queue = queue.restarted(Room {
        in_memory: 100,
        slice: 100,
    });
    let later = queue.commit(Normal, 3);
    // One read hands over the old one and a part of the new one.
    assert_eq!(queue.receive(2).unwrap().last().unwrap().sequence, later);
    assert!(matches!(queue.handoff.next(1), Next::CaughtUp));
    assert!(!matches!(queue.handoff.next(1), Next::CaughtUp));
}

#[test]
fn a_closed_handoff_says_so() {
    let mut queue = Queue::with_room_for(1);
    queue.commit(Normal, 1);
    queue.handoff.close();
    assert!(matches!(queue.handoff.next(1), Next::Closed));
}
