use common::Severity;
use proptest::prelude::*;

use super::*;
use crate::{
    records::{
        alert_records,
        fixtures::{alert, sealer},
    },
    settings::Format,
};

const MINUTE: i64 = 60 * 1000;

/// A log as a list of records, each written a second after the one before.
#[derive(Default)]
struct Log(Vec<Vec<u8>>);

impl Log {
    fn publish(&mut self, records: &[AlertRecord]) {
        let json = |record| serde_json::to_vec(record).unwrap();
        self.0.extend(records.iter().map(json));
    }

    fn found(&self, offset: usize) -> Found<'_> {
        Found {
            offset: offset as u64,
            written_at: offset as i64 * 1000,
            payload: Some(&self.0[offset]),
        }
    }

    /// The alerts that a reader finds who begins at `from`: the offsets of the last and the
    /// first record of each.
    fn read_from(&self, from: u64) -> Vec<(u64, u64)> {
        let sealer = sealer(Format::Sealed);
        let mut reader = AlertLog::from(from);
        let first = reader.first() as usize;
        let reads = (first..self.0.len()).map(|offset| reader.read(self.found(offset), &sealer));
        let alerts = reads.filter_map(|read| match read {
            Read::Alert(alert) => Some((alert.sequence, alert.first)),
            _ => None,
        });
        alerts.collect()
    }
}

fn small(message: &str) -> Vec<AlertRecord> {
    let accepted = alert(Severity::Normal, message, 1);
    alert_records(&accepted, &sealer(Format::Sealed), 1_000_000)
}

/// An alert in three chunks or more.
fn long() -> Vec<AlertRecord> {
    let accepted = alert(Severity::Normal, "to many", 60);
    let records = alert_records(&accepted, &sealer(Format::Sealed), 5_000);
    assert!(records.len() >= 3);
    records
}

#[test]
fn an_alert_in_chunks_is_whole_with_its_last_and_holds_what_came_after_its_first() {
    let sealer = sealer(Format::Sealed);
    let (long, small) = (long(), small("between"));
    let mut log = Log::default();
    log.publish(&long[..1]);
    log.publish(&small);
    log.publish(&long[1..]);
    let mut reader = AlertLog::from(0);
    let last = log.0.len() - 1;
    for offset in 0..last {
        let read = reader.read(log.found(offset), &sealer);
        assert_eq!(matches!(read, Read::Alert(_)), offset == 1);
        assert_eq!(reader.needs(offset as u64 + 1), 0);
    }
    let Read::Alert(alert) = reader.read(log.found(last), &sealer) else {
        panic!("not whole with its last chunk");
    };
    assert_eq!(alert.sequence, last as u64);
    assert_eq!(alert.body.deliveries.len(), 60);
    assert_eq!(reader.needs(last as u64 + 1), last as u64 + 1);
}

#[test]
fn two_publications_of_one_alert_may_interleave_and_the_first_that_is_whole_counts() {
    let accepted = alert(Severity::Normal, "to many", 60);
    let sealer = sealer(Format::Sealed);
    let one = alert_records(&accepted, &sealer, 5_000);
    let other = alert_records(&accepted, &sealer, 5_000);
    let mut log = Log::default();
    for (one, other) in one.iter().zip(&other) {
        log.publish(std::slice::from_ref(other));
        log.publish(std::slice::from_ref(one));
    }
    let whole_at = log.0.len() as u64 - 2;
    assert_eq!(log.read_from(0), [(whole_at, 0)]);
}

#[test]
fn an_alert_that_comes_again_is_passed_over_wherever_the_reader_began() {
    let first = small("first");
    let mut log = Log::default();
    log.publish(&first);
    log.publish(&small("other"));
    log.publish(&first);
    log.publish(&small("last"));
    let sequences = |from| -> Vec<u64> { log.read_from(from).iter().map(|(s, _)| *s).collect() };
    assert_eq!(sequences(0), [0, 1, 3]);
    assert_eq!(sequences(1), [1, 3]);
    assert_eq!(sequences(2), [3]);
}

#[test]
fn chunks_whose_last_never_came_hold_nothing_after_ten_minutes_of_the_log() {
    let sealer = sealer(Format::Sealed);
    let long = long();
    let json = serde_json::to_vec(&long[0]).unwrap();
    let other = serde_json::to_vec(&small("later")[0]).unwrap();
    let found = |offset, minutes: i64, payload| Found {
        offset,
        written_at: minutes * MINUTE,
        payload: Some(payload),
    };
    let mut reader = AlertLog::from(0);
    reader.read(found(5, 0, &json), &sealer);
    reader.read(found(6, 10, &other), &sealer);
    assert_eq!(reader.needs(7), 5);
    reader.read(found(7, 11, &other), &sealer);
    assert_eq!(reader.needs(8), 8);
    let late = serde_json::to_vec(&long[1]).unwrap();
    let read = reader.read(found(8, 12, &late), &sealer);
    assert!(matches!(read, Read::Nothing), "{read:?}");
}

#[test]
fn what_cannot_be_opened_can_be_read_again_when_the_key_is_there() {
    let mut log = Log::default();
    log.publish(&small("sealed"));
    let without = Sealer::new(Format::Plain, sealing::Keyring::default()).unwrap();
    let mut reader = AlertLog::from(0);
    let read = reader.read(log.found(0), &without);
    assert!(
        matches!(read, Read::Unopened(Unopened::UnknownKey(_))),
        "{read:?}"
    );
    let read = reader.read(log.found(0), &sealer(Format::Sealed));
    assert!(matches!(read, Read::Alert(_)), "{read:?}");
}

#[test]
fn what_is_no_alert_is_told_from_one() {
    let sealer = sealer(Format::Sealed);
    let mut reader = AlertLog::from(0);
    for payload in [
        None,
        Some(&b"hello"[..]),
        Some(b"{\"v\":2}"),
        Some(b"{\"v\":1}"),
    ] {
        let found = Found {
            offset: 0,
            written_at: 0,
            payload,
        };
        let read = reader.read(found, &sealer);
        assert!(matches!(read, Read::Unreadable(_)), "{read:?}");
    }
}

/// What a producer does to the log in one step.
#[derive(Clone, Debug)]
enum Act {
    /// Publishes that alert, whole.
    Small(usize),
    /// Publishes the next chunk of that publication.
    Chunk(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4_usize).prop_map(Act::Small),
        (0..4_usize).prop_map(Act::Chunk),
    ];
    prop::collection::vec(act, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever takes over decides as the one before, or places would skip.
    #[test]
    fn every_reader_finds_the_same_alerts_wherever_it_began(acts in acts()) {
        let alerts: Vec<_> = (0..4).map(|n| small(&n.to_string())).collect();
        // Two publications each of two long alerts.
        let sealer = sealer(Format::Sealed);
        let accepted = [alert(Severity::High, "a", 60), alert(Severity::Low, "b", 60)];
        let sets: Vec<_> = (0..4)
            .map(|n| alert_records(&accepted[n / 2], &sealer, 5_000))
            .collect();
        let mut published = [0; 4];
        let mut log = Log::default();
        // Where each chunk's publication began.
        let mut began = [None; 4];
        let mut holds = Vec::new();
        for act in acts {
            holds.push(began.iter().flatten().min().copied().unwrap_or(log.0.len() as u64));
            match act {
                Act::Small(n) => log.publish(&alerts[n]),
                Act::Chunk(n) if published[n] < sets[n].len() => {
                    began[n].get_or_insert(log.0.len() as u64);
                    log.publish(&sets[n][published[n]..=published[n]]);
                    published[n] += 1;
                    if published[n] == sets[n].len() {
                        began[n] = None;
                    }
                }
                Act::Chunk(_) => {
                    holds.pop();
                }
            }
        }
        let all = log.read_from(0);
        for from in holds {
            // What began before was worked on when that was committed.
            let expected: Vec<_> = all.iter().copied().filter(|(_, f)| *f >= from).collect();
            prop_assert_eq!(log.read_from(from), expected);
        }
    }
}

#[test]
fn a_reader_of_everything_needs_nothing_from_before_and_tells_of_repetitions_too() {
    let mut log = Log::default();
    let one = small("node1 down");
    log.publish(&one);
    log.publish(&one);
    let mut reader = AlertLog::of_everything();
    assert_eq!(reader.first(), 0);
    let sealer = sealer(Format::Sealed);
    for offset in 0..2 {
        let read = reader.read(log.found(offset), &sealer);
        assert!(matches!(read, Read::Alert(_)), "{read:?}");
    }
}
