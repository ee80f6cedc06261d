//! What is held in memory, what is parked, and how it comes back in order.

use super::*;

fn small() -> EngineSettings {
    EngineSettings {
        lane_leases: 4,
        memory_leases: 20,
        ..unlimited()
    }
}

/// Brings what the engine asked for first.
fn unpark(bench: &mut Bench, leases: impl IntoIterator<Item = Lease>) {
    let (destination, severity, _, _) = bench.unparks.pop_front().expect("a fetch was asked for");
    bench.tell(Event::Unparked {
        destination,
        severity,
        leases: leases.into_iter().collect(),
    });
}

fn at(sequence: u64) -> Option<Position> {
    Some(Position {
        sequence,
        ordinal: 0,
    })
}

#[test]
fn a_full_lane_parks_what_comes_and_fetches_it_when_it_runs_low() {
    let mut bench = Bench::new(small());
    bench.receive((1..=7).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.parked(), [5, 6, 7]);
    assert_eq!(
        (bench.engine.counts().held, bench.engine.counts().parked),
        (4, 3)
    );
    bench.answer(accepted());
    assert!(bench.unparks.is_empty(), "two are still waiting");
    bench.answer(accepted());
    assert_eq!(
        bench.unparks,
        [(destination("a"), Severity::Normal, None, 2)]
    );
    unpark(&mut bench, [normal(5, "a"), normal(6, "a")]);
    assert_eq!(bench.engine.counts().parked, 1);
    bench.answer(accepted());
    bench.answer(accepted());
    assert_eq!(
        bench.unparks,
        [(destination("a"), Severity::Normal, at(6), 2)]
    );
}

#[test]
fn while_some_are_parked_newer_ones_of_that_severity_are_parked_too() {
    let mut bench = Bench::new(small());
    bench.receive((1..=5).map(|sequence| normal(sequence, "a")));
    bench.answer(accepted());
    bench.receive([normal(6, "a"), low(7, "a"), high(8, "a")]);
    assert_eq!(bench.parked(), [5, 6]);
    assert_eq!(bench.answer(accepted()), 2);
    assert_eq!(bench.sent(), 8);
}

#[test]
fn the_first_of_each_severity_is_held_however_full_memory_is() {
    let mut bench = Bench::new(EngineSettings {
        memory_leases: 1,
        ..unlimited()
    });
    bench.receive([
        normal(1, "a"),
        normal(2, "a"),
        normal(3, "a"),
        high(4, "a"),
        normal(5, "b"),
    ]);
    assert_eq!(bench.parked(), [2, 3]);
    assert_eq!(bench.engine.counts().held, 3);
}

#[test]
fn parked_ones_of_a_severity_come_as_soon_as_none_of_it_is_left_in_memory() {
    let mut bench = Bench::new(EngineSettings {
        memory_leases: 1,
        ..unlimited()
    });
    (1..=3).for_each(|sequence| bench.receive([normal(sequence, "a")]));
    assert!(bench.unparks.is_empty());
    bench.answer(accepted());
    assert_eq!(
        bench.unparks,
        [(destination("a"), Severity::Normal, None, 1)]
    );
}

#[test]
fn a_fetch_waits_until_everything_settled_before_it_is_recorded() {
    let mut bench = Bench::new(EngineSettings {
        memory_leases: 1,
        ..unlimited()
    });
    bench.disk_is_slow = true;
    (1..=3).for_each(|sequence| bench.receive([normal(sequence, "a")]));
    bench.answer(accepted());
    assert_eq!(bench.settled.len(), 2);
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 0,
    });
    assert!(bench.unparks.is_empty());
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 1,
    });
    assert_eq!(bench.unparks.len(), 1);
}

#[test]
fn a_fetch_that_brings_nothing_ends_the_matter() {
    let mut bench = Bench::new(small());
    bench.receive((1..=7).map(|sequence| normal(sequence, "a")));
    bench.accept_all();
    unpark(&mut bench, []);
    assert_eq!(bench.engine.counts(), Counts::default());
    bench.receive([normal(8, "a")]);
    assert_eq!(bench.sent(), 8);
}

#[test]
fn what_an_earlier_run_parked_is_fetched_after_everything_older_was_received() {
    let mut bench = Bench::before_catching_up(small());
    let parked = ParkedLane {
        destination: destination("a"),
        severity: Severity::Normal,
        count: 3,
    };
    bench.tell(Event::ParkedLanes(vec![parked]));
    assert_eq!(bench.engine.counts().parked, 3);
    // These an earlier run held in memory: older than the parked ones.
    bench.receive([normal(1, "a"), normal(2, "a")]);
    assert_eq!(bench.parked(), [1, 2]);
    assert!(bench.unparks.is_empty() && bench.sends.is_empty());
    bench.tell(Event::CaughtUp);
    assert_eq!(
        bench.unparks,
        [(destination("a"), Severity::Normal, None, 4)]
    );
    unpark(&mut bench, (1..=4).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.accept_all(), [1, 2, 3, 4]);
}

#[test]
fn what_was_tried_already_is_never_parked() {
    let mut bench = Bench::before_catching_up(small());
    let parked = ParkedLane {
        destination: destination("a"),
        severity: Severity::Normal,
        count: 3,
    };
    bench.tell(Event::ParkedLanes(vec![parked]));
    bench.receive([after_restart(
        normal(1, "a"),
        2,
        wait(5, Fault::Destination, false),
    )]);
    assert!(bench.parked().is_empty());
    bench.tell(Event::CaughtUp);
    bench.pass(seconds(5));
    assert_eq!(bench.sent(), 1);
}

#[test]
fn high_ones_overtake_parked_normal_ones_and_come_first_off_the_disk() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight: 1,
        ..small()
    });
    bench.receive((1..=6).map(|sequence| normal(sequence, "a")));
    bench.receive((11..=14).map(|sequence| high(sequence, "a")));
    assert_eq!(bench.parked(), [5, 6, 12, 13, 14]);
    assert_eq!(bench.answer(accepted()), 1);
    assert_eq!(bench.sent(), 11);
    let asked: Vec<_> = bench
        .unparks
        .iter()
        .map(|(_, severity, _, _)| *severity)
        .collect();
    assert_eq!(asked, [Severity::High]);
    unpark(&mut bench, [high(12, "a"), high(13, "a")]);
    assert_eq!(bench.answer(accepted()), 11);
    assert_eq!(bench.answer(accepted()), 12);
}

#[test]
fn memory_that_is_full_of_waiting_lanes_still_takes_in_and_parks() {
    let mut bench = Bench::new(EngineSettings {
        memory_leases: 2,
        ..unlimited()
    });
    bench.receive([normal(1, "a"), normal(2, "b")]);
    bench.answer(fails(Fault::Host));
    bench.answer(fails(Fault::Host));
    assert!(bench.engine.room() > 0);
    bench.receive([normal(3, "a")]);
    assert_eq!(bench.parked(), [3]);
}

#[test]
fn memory_that_is_full_of_lanes_about_to_send_takes_in_no_more() {
    let settings = EngineSettings {
        memory_leases: 2,
        max_in_flight: 1,
        ..unlimited()
    };
    let mut bench = Bench::new(settings);
    assert_eq!(bench.engine.room(), 2);
    bench.receive([normal(1, "a"), normal(2, "b")]);
    assert_eq!(bench.engine.room(), 0);
    bench.answer(accepted());
    assert_eq!(bench.engine.room(), 1);
}

/// The delivery of that ordinal, far behind in its alert.
fn tail(ordinal: u32) -> Lease {
    let mut lease = normal(1, &ordinal.to_string());
    lease.position.ordinal = 1000 + ordinal;
    lease
}

#[test]
fn memory_that_is_full_of_tails_takes_in_no_more_while_they_leave_fast() {
    const MEMORY: u32 = 200;
    let mut bench = Bench::new(EngineSettings {
        memory_leases: MEMORY as usize,
        max_in_flight_per_host: 4,
        ..unlimited()
    });
    bench.receive((0..MEMORY).map(tail));
    // Nothing is known of how fast they leave: what follows is taken in, to be parked.
    assert!(bench.engine.room() > 0);
    for ordinal in MEMORY..2 * MEMORY {
        bench.answer(accepted());
        bench.receive([tail(ordinal)]);
        bench.pass(Duration::from_millis(1));
    }
    assert_eq!(bench.engine.room(), 0);
    // Sending comes to a halt, and the engine asks to be woken to see it.
    let begun = bench.now.mono;
    while bench.engine.room() == 0 {
        assert!(bench.now.mono - begun < seconds(1));
        bench.pass_to_next_wake();
    }
    assert!(bench.parked().is_empty());
}

/// An engine whose memory and whose only host's line are full of tails, of one alert, and
/// behind whom as many sleep.
fn full_of_tails() -> Bench {
    let mut bench = Bench::new(EngineSettings {
        memory_leases: 8,
        max_in_flight_per_host: 2,
        ..unlimited()
    });
    bench.receive((0..20).map(tail));
    assert!(bench.engine.counts().parked > 0);
    assert_eq!(bench.under_way(), [1], "half of two are for tails");
    bench
}

#[test]
fn what_is_not_of_a_tail_is_sent_at_once_though_tails_fill_memory_and_stand_in_line() {
    let mut bench = full_of_tails();
    bench.receive([normal(2, "another")]);
    assert_eq!(bench.under_way(), [1, 2]);
}

#[test]
fn who_comes_behind_a_parked_tail_brings_it_off_the_disk_and_hurries_it_along() {
    let mut bench = full_of_tails();
    let behind = normal(2, "19");
    bench.receive([behind.clone()]);
    assert!(bench.parked().contains(&2));
    let (destination, ..) = *bench.unparks.back().expect("a fetch was asked for");
    assert_eq!(destination, behind.destination.id);
    bench.unparks.drain(..bench.unparks.len() - 1);
    unpark(&mut bench, [tail(19)]);
    let order = bench.sends.back().expect("a request is under way");
    assert_eq!(order.lease.position, tail(19).position);
    assert_eq!(bench.under_way().len(), 2);
}

#[test]
fn nothing_is_taken_in_while_too_much_that_is_parked_is_not_recorded() {
    let settings = EngineSettings {
        max_unrecorded_parks: 2,
        ..small()
    };
    let mut bench = Bench::new(settings);
    bench.disk_is_slow = true;
    bench.receive((1..=6).map(|sequence| normal(sequence, "a")));
    assert_eq!(bench.engine.room(), 0);
    bench.tell(Event::Recorded {
        settlements: 1,
        attempts: 0,
    });
    assert_eq!(bench.engine.room(), 1);
}

#[test]
fn as_many_as_a_lane_may_hold_step_aside_and_then_it_waits_for_them() {
    let mut bench = Bench::new(small());
    bench.receive((1..=4).map(|sequence| normal(sequence, "a")));
    for _ in 0..4 {
        bench.answer(fails(Fault::Payload));
    }
    bench.receive([normal(5, "a"), normal(6, "a")]);
    assert!(bench.sends.is_empty());
    assert_eq!(bench.parked(), [6]);
    bench.pass_to_next_wake();
    assert_eq!(bench.sends.len(), 1);
}

#[test]
fn a_hundred_thousand_busy_lanes_fit_in_a_hundred_megabytes() {
    // A busy lane: its struct, its entry in the map (with the map at worst half
    // empty), a queue of one, a timer, and one delivery with an
    // alert, a destination and a credential that it shares with nobody.
    let map_entry = 2 * (size_of::<DestinationId>() + size_of::<Box<Lane>>() + 1);
    let queue = size_of::<Held>();
    let timer = 2 * size_of::<(Duration, DestinationId)>();
    let shared = size_of::<Lease>()
        + size_of::<Alert>()
        + size_of::<Destination>()
        + size_of::<Credential>()
        + 4 * 2 * size_of::<usize>();
    let bytes = size_of::<Lane>() + map_entry + queue + timer + shared;
    assert!(bytes <= 1000, "{bytes} bytes a lane");
}
