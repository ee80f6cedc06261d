use std::collections::BTreeMap;

use common::{
    Severity::{High, Low, Normal},
    UtcMillis,
};

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
    fn with_room_for(capacity: usize) -> Self {
        Self {
            handoff: Handoff::new(vec![], [None; 3], capacity),
            disk: BTreeMap::new(),
        }
    }

    /// After a restart with what `self` has on disk.
    fn restarted(self, capacity: usize) -> Self {
        let last = Severity::BY_URGENCY.map(|severity| self.last_of(severity));
        Self {
            handoff: Handoff::new(vec![], last, capacity),
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
        let sequence = self.disk.len() as u64 + 1;
        let deliveries = (0..count).map(|n| delivery(n, 1)).collect();
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
                    let (positions, to) = self.read(from, room);
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

    fn read(&self, from: ReadFrom, room: usize) -> (Vec<Position>, ReadTo) {
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

    /// That every delivery has come, each once, in order within its severity.
    fn assert_came(&self, positions: &[Position]) {
        for severity in Severity::BY_URGENCY {
            let of_it =
                |position: &&Position| self.disk[&position.sequence].alert.severity == severity;
            let came: Vec<_> = positions.iter().filter(of_it).copied().collect();
            let expected: Vec<_> = self
                .disk
                .iter()
                .filter(|(_, accepted)| accepted.alert.severity == severity)
                .flat_map(|(sequence, accepted)| {
                    (0..accepted.deliveries.len()).map(|n| Position {
                        sequence: *sequence,
                        ordinal: n as u32,
                    })
                })
                .collect();
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
    assert_eq!(queue.handoff.lock().in_memory, 0);
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
    for seed in 0..500 {
        let mut random = noise(seed);
        let mut queue = Queue::with_room_for(random(12) as usize);
        for _ in 0..random(8) {
            queue.commit(
                Severity::BY_URGENCY[random(3) as usize],
                1 + u128::from(random(6)),
            );
        }
        queue = queue.restarted(random(12) as usize);
        let mut came = vec![];
        for _ in 0..100 {
            if random(2) == 0 {
                queue.commit(
                    Severity::BY_URGENCY[random(3) as usize],
                    1 + u128::from(random(6)),
                );
            } else {
                came.extend(queue.receive(1 + random(7) as usize).into_iter().flatten());
            }
        }
        while let Some(positions) = queue.receive(5) {
            came.extend(positions);
        }
        queue.assert_came(&came);
    }
}

#[test]
fn caught_up_is_not_held_up_by_what_came_later_into_the_same_line() {
    let mut queue = Queue::with_room_for(100);
    queue.commit(Normal, 1);
    let mut queue = queue.restarted(100);
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
