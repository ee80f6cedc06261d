//! What happened, for those who follow it: durable format, version 1.
//!
//! A row of `feed` tells what one commit changed. Its body is a byte, the version (1),
//! then for each event
//!
//! | field | form |
//! |---|---|
//! | what: 1 waiting, 3 delivered, 4 dead, 5 cancelled, 6 digested, 8 queued again, 9 the alert was accepted | 1 byte |
//! | when, as what is to be added to the time of the event before (first: to 0) | varint, zigzag |
//! | the alert's sequence number | varint |
//! | the delivery's place in it; not with 9 | varint |
//!
//! A varint is as in [`common::packed`]; zigzag is `2n` for `n`, `-2n - 1` below zero.

use common::{
    UtcMillis,
    packed::{Damaged, Input, put_varint},
    wire::Place,
};
use producer::ports::DeliveryState;

const VERSION: u8 = 1;
const ACCEPTED: u8 = 9;

/// How many events are kept.
pub(super) const KEPT: i64 = 1_000_000;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: UtcMillis,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The alert of that sequence number was accepted.
    Accepted(u64),
    /// A delivery has another state.
    Changed(Place, Change),
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Waiting = 1,
    Delivered = 3,
    Dead = 4,
    Cancelled = 5,
    Digested = 6,
    QueuedAgain = 8,
}

impl Change {
    pub(super) fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Change::Waiting,
            3 => Change::Delivered,
            4 => Change::Dead,
            5 => Change::Cancelled,
            6 => Change::Digested,
            8 => Change::QueuedAgain,
            _ => return None,
        })
    }

    /// The state that it shows.
    pub(super) fn state(self) -> DeliveryState {
        match self {
            Change::Waiting => DeliveryState::Waiting,
            Change::Delivered => DeliveryState::Delivered,
            Change::Dead => DeliveryState::Dead,
            Change::Cancelled => DeliveryState::Cancelled,
            Change::Digested => DeliveryState::Digested,
            Change::QueuedAgain => DeliveryState::Queued,
        }
    }
}

impl Entry {
    pub(super) fn sequence(&self) -> u64 {
        match self.what {
            What::Accepted(sequence) => sequence,
            What::Changed(place, _) => place.sequence,
        }
    }
}

/// The body of a row.
pub(super) fn pack(entries: &[Entry]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + entries.len() * 8);
    body.push(VERSION);
    let mut time = 0_i64;
    for entry in entries {
        let (code, place) = match entry.what {
            What::Accepted(sequence) => (ACCEPTED, (sequence, None)),
            What::Changed(place, change) => (change as u8, (place.sequence, Some(place.ordinal))),
        };
        body.push(code);
        put_varint(&mut body, zigzag(entry.at.0.wrapping_sub(time)));
        time = entry.at.0;
        put_varint(&mut body, place.0);
        if let Some(ordinal) = place.1 {
            put_varint(&mut body, u64::from(ordinal));
        }
    }
    body
}

/// The events of a row, in order. One of a kind that a later version knows is the end of
/// what can be read.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<Entry>, Damaged> {
    let mut input = Input::new(body);
    let mut entries = Vec::new();
    let [version] = input.array()?;
    if version != VERSION {
        return Ok(entries);
    }
    let mut time = 0_i64;
    while !input.is_at_end() {
        let [code] = input.array()?;
        time = time.wrapping_add(unzigzag(input.varint()?));
        let sequence = input.varint()?;
        let what = match Change::of_code(code) {
            Some(change) => {
                let ordinal = input.varint()? as u32;
                What::Changed(Place { sequence, ordinal }, change)
            }
            None if code == ACCEPTED => What::Accepted(sequence),
            None => break,
        };
        entries.push(Entry {
            at: UtcMillis(time),
            what,
        });
    }
    Ok(entries)
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let place = |sequence, ordinal| Place { sequence, ordinal };
        let entry = |at, what| Entry {
            at: UtcMillis(at),
            what,
        };
        let told = [
            entry(1_795_392_000_000, What::Accepted(0)),
            entry(1_795_391_999_990, What::Accepted(300)),
            entry(i64::MAX, What::Changed(place(300, 70_000), Change::Waiting)),
            entry(
                i64::MIN,
                What::Changed(place(u64::MAX, u32::MAX), Change::Dead),
            ),
            entry(0, What::Changed(place(1, 0), Change::QueuedAgain)),
        ];
        let body = pack(&told);
        assert_eq!(unpack(&body).unwrap(), told);
        assert!(unpack(&body[..body.len() - 1]).is_err());
        assert_eq!(unpack(&pack(&[])).unwrap(), []);
    }

    #[test]
    fn an_event_takes_few_bytes() {
        let told: Vec<_> = (0..1_000)
            .map(|n| Entry {
                at: UtcMillis(1_795_392_000_000 + n / 10),
                what: What::Changed(
                    Place {
                        sequence: 10_000_000 + n as u64,
                        ordinal: 0,
                    },
                    Change::Delivered,
                ),
            })
            .collect();
        assert!(pack(&told).len() < 7_100);
    }

    #[test]
    fn what_a_later_version_wrote_is_passed_over() {
        assert_eq!(unpack(&[2, 1, 1, 1]).unwrap(), []);
        let mut body = pack(&[Entry {
            at: UtcMillis(5),
            what: What::Accepted(7),
        }]);
        body.extend_from_slice(&[77, 0, 0]);
        assert_eq!(unpack(&body).unwrap().len(), 1);
    }
}
