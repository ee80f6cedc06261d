//! How fast a lane goes, and how lanes share the requests in flight.

use super::*;

#[test]
fn a_lane_sends_its_burst_and_then_keeps_its_pace() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive((1..=6).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.accept_all(), [1, 2, 3, 4]);
    assert_eq!(bench.pass_to_next_wake(), seconds(1));
    assert_eq!(bench.accept_all(), [5]);
    assert_eq!(bench.pass_to_next_wake(), seconds(1));
    assert_eq!(bench.accept_all(), [6]);
}

#[test]
fn parts_and_retries_count_towards_the_pace() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive([normal(1, "a")]);
    for _ in 0..4 {
        bench.answer_of_parts(accepted(), 5);
    }
    assert!(bench.sends.is_empty());
    bench.pass_to_next_wake();
    assert_eq!(bench.sends[0].part, 4);
}

#[test]
fn a_lane_that_went_idle_does_not_begin_anew_with_a_full_burst() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive((1..=4).map(|sequence| normal(sequence, "a")));
    bench.accept_all();
    bench.receive([normal(5, "a")]);
    assert!(bench.sends.is_empty());
}

#[test]
fn a_lane_is_forgotten_once_its_burst_is_whole_again() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive((1..=4).map(|sequence| normal(sequence, "a")));
    bench.accept_all();
    assert_eq!(bench.engine.counts().lanes, 1);
    assert_eq!(bench.pass_to_next_wake(), seconds(4));
    assert_eq!(bench.engine.counts().lanes, 0);
    assert_eq!(bench.engine.next_wake(), None);
}

#[test]
fn a_lane_without_a_pace_is_forgotten_at_once() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.accept_all();
    assert_eq!(bench.engine.counts(), Counts::default());
}

#[test]
fn no_more_requests_are_under_way_than_allowed_and_lanes_take_turns() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight: 2,
        ..unlimited()
    });
    bench.receive((1..=3).map(|sequence| normal(sequence, "a")));
    bench.receive((11..=13).map(|sequence| normal(sequence, "b")));
    bench.receive((21..=23).map(|sequence| normal(sequence, "c")));
    assert_eq!(bench.sends.len(), 2);
    assert_eq!(bench.engine.counts().in_flight, 2);
    assert_eq!(bench.accept_all(), [1, 11, 21, 2, 12, 22, 3, 13, 23]);
}

#[test]
fn a_lane_with_a_high_one_goes_before_lanes_without() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight: 1,
        ..unlimited()
    });
    bench.receive([
        normal(1, "a"),
        normal(2, "b"),
        normal(3, "c"),
        normal(4, "d"),
    ]);
    bench.receive([high(5, "d")]);
    assert_eq!(bench.accept_all(), [1, 5, 2, 3, 4]);
}

#[test]
fn no_request_begins_while_too_many_outcomes_are_not_recorded() {
    let settings = EngineSettings {
        max_unrecorded_attempts: 2,
        ..unlimited()
    };
    let mut bench = Bench::new(settings);
    bench.disk_is_slow = true;
    bench.receive((1..=4).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.accept_all(), [1, 2]);
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 1,
    });
    assert_eq!(bench.accept_all(), [3]);
}

#[test]
fn no_request_begins_while_for_a_second_no_outcome_has_been_recorded() {
    let mut bench = Bench::new(unlimited());
    bench.disk_is_slow = true;
    bench.receive((1..=9).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.answer(accepted()), 1);
    bench.pass(Duration::from_millis(999));
    assert_eq!(bench.answer(accepted()), 2);
    // One of them is recorded, so the disk is only slow.
    let one = || Event::Recorded {
        settlements: 1,
        attempts: 1,
    };
    bench.tell(one());
    bench.pass(Duration::from_millis(999));
    assert_eq!(bench.answer(accepted()), 3);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.answer(accepted()), 4);
    assert!(bench.sends.is_empty());
    bench.pass(seconds(60));
    assert!(bench.sends.is_empty());
    bench.tell(one());
    assert_eq!(bench.accept_all(), [5, 6, 7, 8, 9]);
}
