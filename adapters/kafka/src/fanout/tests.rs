//! What a reader of the topics of deliveries may rely on, whatever the interleaving of
//! those who believe that the fan-out is theirs.

use std::collections::{BTreeMap, VecDeque};

use common::{
    CredentialId, DestinationId, Severity,
    wire::{AlertBody, Hidden, Place, RecipientDelivery},
};
use proptest::prelude::*;

use super::{lines::Lines, progress::Progress};
use crate::{
    alert_log::WholeAlert,
    records::{
        alert_records,
        fixtures::{alert, sealer},
    },
    settings::Format,
    topics::partition_of,
};

const PARTITIONS: u16 = 3;

/// A topic's name, in short, and a partition.
type Line = (bool, i32);

/// The alert at `sequence`: whether it is high, and the addresses of its deliveries.
fn whole(sequence: u64, is_high: bool, addresses: &[u8]) -> WholeAlert {
    let severity = match is_high {
        true => Severity::High,
        false => Severity::Normal,
    };
    let accepted = alert(severity, "text", 0);
    let record = alert_records(&accepted, &sealer(Format::Sealed), 1_000_000).remove(0);
    let delivery = |address: &u8| RecipientDelivery {
        kind: "slack".into(),
        base_url: String::new(),
        address: address.to_string(),
        for_warnings: false,
        credential_id: CredentialId(1),
        token: Hidden::new("token"),
        users: Vec::new(),
    };
    WholeAlert {
        sequence,
        first: sequence,
        record,
        body: AlertBody {
            message: "text".into(),
            verbatim: false,
            targets: Vec::new(),
            deliveries: addresses.iter().map(delivery).collect(),
        },
    }
}

/// The topic of alerts.
type Log = Vec<(bool, Vec<u8>)>;

/// One who believes that the fan-out is theirs.
struct Writer {
    next: usize,
    lines: Lines,
    progress: Progress,
    /// Sent and not yet in the topics.
    under_way: BTreeMap<Line, VecDeque<Place>>,
}

impl Writer {
    fn from(committed: u64) -> Self {
        Self {
            next: committed as usize,
            lines: Lines::default(),
            progress: Progress::from(committed),
            under_way: BTreeMap::new(),
        }
    }

    fn read(&mut self, log: &Log) {
        if let Some((is_high, addresses)) = log.get(self.next)
            && self.lines.has_room()
        {
            let sequence = self.next as u64;
            let alert = whole(sequence, *is_high, addresses);
            self.progress.begin(sequence, sequence, addresses.len());
            self.lines.push(alert, Format::Sealed);
            self.next += 1;
            self.progress.read_to(self.next as u64);
        }
    }

    fn publish(&mut self) {
        let Some(turn) = self.lines.turn() else {
            return;
        };
        let destination = DestinationId::of("slack", "", &turn.delivery().address);
        let line = (
            turn.alert.record.severity == Severity::High,
            partition_of(destination, PARTITIONS),
        );
        let place = Place::from((turn.alert.sequence, turn.ordinal as u32));
        self.under_way.entry(line).or_default().push_back(place);
        self.lines.taken();
    }

    /// The broker takes the first that is under way in some line.
    fn land(&mut self, choice: usize, topics: &mut Topics) {
        let busy: Vec<Line> = self
            .under_way
            .iter()
            .filter(|(_, places)| !places.is_empty())
            .map(|(line, _)| *line)
            .collect();
        let Some(line) = busy.get(choice % busy.len().max(1)) else {
            return;
        };
        let Some(place) = self.under_way.get_mut(line).and_then(VecDeque::pop_front) else {
            return;
        };
        topics.entry(*line).or_default().push(place);
        self.progress.acknowledged(place.sequence);
    }

    fn is_done(&self, log: &Log) -> bool {
        self.next == log.len()
            && self.lines.is_empty()
            && self.under_way.values().all(VecDeque::is_empty)
    }
}

type Topics = BTreeMap<Line, Vec<Place>>;

#[derive(Clone, Debug)]
enum Act {
    Read(usize),
    Publish(usize),
    Land(usize, usize),
    /// The owner commits. Another's commit is refused.
    Commit,
    /// Another takes over; the one before goes on as if nothing had happened.
    TakeOver,
    /// One dies, with what it had under way.
    Die(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..4_usize).prop_map(Act::Read),
        12 => (0..4_usize).prop_map(Act::Publish),
        12 => (0..4_usize, 0..6_usize).prop_map(|(writer, line)| Act::Land(writer, line)),
        3 => Just(Act::Commit),
        1 => Just(Act::TakeOver),
        1 => (0..4_usize).prop_map(Act::Die),
    ];
    prop::collection::vec(act, 0..300)
}

/// What a reader takes who drops whatever is not above the highest place before it.
fn taken(places: &[Place]) -> Vec<Place> {
    let mut taken: Vec<Place> = Vec::new();
    for place in places {
        if taken.last().is_none_or(|highest| place > highest) {
            taken.push(*place);
        }
    }
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_the_interleaving_one_comparison_leaves_each_delivery_once_and_in_order(
        log in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(0..12_u8, 0..6)),
            0..24,
        ),
        acts in acts(),
    ) {
        let mut topics = Topics::new();
        let mut committed = 0;
        // The last one is the owner.
        let mut writers = vec![Writer::from(committed)];
        for act in acts {
            let count = writers.len();
            match act {
                Act::Read(writer) => writers[writer % count].read(&log),
                Act::Publish(writer) => writers[writer % count].publish(),
                Act::Land(writer, line) => writers[writer % count].land(line, &mut topics),
                Act::Commit => committed = writers[count - 1].progress.committable(),
                Act::TakeOver => writers.push(Writer::from(committed)),
                Act::Die(writer) => {
                    writers.remove(writer % count);
                    if writer % count == count - 1 {
                        writers.push(Writer::from(committed));
                    }
                }
            }
        }
        let owner = writers.last_mut().unwrap();
        for choice in 0.. {
            if owner.is_done(&log) {
                break;
            }
            owner.read(&log);
            owner.publish();
            owner.land(choice, &mut topics);
        }
        prop_assert_eq!(owner.progress.committable(), log.len() as u64);

        let mut expected = Topics::new();
        for (sequence, (is_high, addresses)) in log.iter().enumerate() {
            for (ordinal, address) in addresses.iter().enumerate() {
                let destination = DestinationId::of("slack", "", &address.to_string());
                let line = (*is_high, partition_of(destination, PARTITIONS));
                let place = Place::from((sequence as u64, ordinal as u32));
                expected.entry(line).or_default().push(place);
            }
        }
        let found: Topics = topics
            .iter()
            .map(|(line, places)| (*line, taken(places)))
            .collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_high_alert_does_not_wait_for_the_rest_of_a_long_one() {
    let mut lines = Lines::default();
    lines.push(whole(0, false, &[1; 100]), Format::Sealed);
    for _ in 0..10 {
        assert_eq!(lines.turn().unwrap().alert.sequence, 0);
        lines.taken();
    }
    lines.push(whole(1, true, &[1, 2]), Format::Sealed);
    for ordinal in 0..2 {
        let turn = lines.turn().unwrap();
        assert_eq!((turn.alert.sequence, turn.ordinal), (1, ordinal));
        lines.taken();
    }
    let turn = lines.turn().unwrap();
    assert_eq!((turn.alert.sequence, turn.ordinal), (0, 10));
}

#[test]
fn in_the_plain_format_all_have_one_order_since_they_have_one_topic() {
    let mut lines = Lines::default();
    lines.push(whole(0, false, &[1, 2]), Format::Plain);
    lines.push(whole(1, true, &[1]), Format::Plain);
    for expected in [0, 0, 1] {
        assert_eq!(lines.turn().unwrap().alert.sequence, expected);
        lines.taken();
    }
    assert!(lines.turn().is_none() && lines.is_empty());
}

#[test]
fn an_alert_that_concerns_nobody_has_no_turn() {
    let mut lines = Lines::default();
    lines.push(whole(0, false, &[]), Format::Sealed);
    assert!(lines.is_empty() && lines.has_room());
}
