//! What many lanes have in common: their host, their credential.

use super::*;

/// A lane each to one host, all of whose requests are under way and fail.
pub(super) fn host_down(lanes: u64) -> Bench {
    let mut bench = Bench::new(unlimited());
    bench.receive((1..=lanes).map(|n| normal(n, &n.to_string())));
    (0..lanes).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    bench
}

/// Passes time until something is sent.
pub(super) fn pass_to_next_send(bench: &mut Bench) {
    while bench.sends.is_empty() {
        bench.pass_to_next_wake();
    }
}

#[test]
fn a_host_has_no_more_requests_in_flight_than_its_share() {
    let mut bench = Bench::new(EngineSettings {
        max_in_flight_per_host: 2,
        ..unlimited()
    });
    bench.receive((1..=4).map(|n| normal(n, &n.to_string())));
    bench.receive([lease_at(9, Severity::Low, "other", "a")]);
    assert_eq!(bench.under_way(), [1, 2, 9]);
    bench.answer_to(2, accepted());
    assert_eq!(bench.under_way(), [1, 9, 3]);
}

#[test]
fn a_host_that_fails_five_lanes_is_left_alone_but_for_one_probe() {
    let mut bench = host_down(5);
    bench.receive((11..=20).map(|n| normal(n, &n.to_string())));
    assert!(bench.sends.is_empty());
    pass_to_next_send(&mut bench);
    assert_eq!(bench.sends.len(), 1);
    bench.answer(fails(Fault::Host));
    assert!(bench.sends.is_empty());
}

#[test]
fn a_host_that_stays_down_is_probed_at_least_once_a_minute() {
    let mut bench = host_down(5);
    bench.receive((11..=200).map(|n| normal(n, &n.to_string())));
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        let before = bench.now.mono;
        pass_to_next_send(&mut bench);
        longest = longest.max(bench.now.mono - before);
        bench.answer(fails(Fault::Host));
    }
    assert!(
        longest > seconds(30) && longest <= seconds(60),
        "{longest:?}"
    );
}

#[test]
fn four_failing_lanes_do_not_keep_others_of_their_host_waiting() {
    let mut bench = host_down(4);
    bench.receive([normal(11, "x")]);
    assert_eq!(bench.sent(), 11);
}

#[test]
fn a_host_that_answers_the_probe_is_sent_to_by_all() {
    for answer in [accepted(), fails(Fault::Payload)] {
        let mut bench = host_down(5);
        bench.receive((11..=20).map(|n| normal(n, &n.to_string())));
        pass_to_next_send(&mut bench);
        bench.answer(answer);
        assert!(bench.sends.len() >= 9);
    }
}

#[test]
fn a_failing_host_keeps_no_other_host_waiting() {
    let mut bench = host_down(5);
    bench.receive([lease_at(9, Severity::Low, "other", "a")]);
    assert_eq!(bench.sent(), 9);
}

#[test]
fn a_high_delivery_brings_the_probe_of_its_host_forward() {
    let mut bench = host_down(5);
    for _ in 0..20 {
        pass_to_next_send(&mut bench);
        bench.answer(fails(Fault::Host));
    }
    let before = bench.now.mono;
    bench.receive([high(100, "x")]);
    pass_to_next_send(&mut bench);
    assert!(bench.now.mono <= before + seconds(5));
    assert_eq!(bench.sent(), 100);
}

pub(super) fn revoked() -> Answer {
    Answer::Refused(Refusal {
        lasting: true,
        ..refused(Fault::Credential)
    })
}

#[test]
fn a_refused_credential_keeps_waiting_what_uses_it_in_every_lane_and_nothing_else() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Credential));
    bench.receive([
        normal(2, "a"),
        normal(3, "b"),
        with_credential(normal(4, "a"), 2),
        with_credential(normal(5, "c"), 2),
    ]);
    assert_eq!(bench.under_way(), [4, 5]);
    bench.accept_all();
    pass_to_next_send(&mut bench);
    assert_eq!(bench.sends.len(), 1, "one probe");
    let order = bench.accept_all();
    assert_eq!(order.len(), 3);
    assert!(bench.engine.counts().held == 0);
}

#[test]
fn the_first_delivery_whose_credential_is_refused_for_good_is_dead_and_the_others_wait() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "b"), normal(3, "c")]);
    bench.answer(revoked());
    assert_eq!(bench.last_outcome().as_str(), "dead");
    bench.answer(revoked());
    assert_eq!(bench.last_outcome().as_str(), "waiting");
    bench.answer(revoked());
    for _ in 0..3 {
        pass_to_next_send(&mut bench);
        bench.answer(revoked());
        assert_eq!(bench.last_outcome().as_str(), "waiting");
    }
    pass_to_next_send(&mut bench);
    assert_eq!(bench.accept_all().len(), 2);
}

#[test]
fn a_refused_credential_is_remembered_across_a_restart() {
    let mut bench = Bench::new(unlimited());
    bench.receive([
        after_restart(normal(1, "a"), 3, wait(20, Fault::Credential, false)),
        normal(2, "b"),
        with_credential(normal(3, "a"), 2),
    ]);
    assert_eq!(bench.accept_all(), [3]);
    bench.pass(seconds(20));
    assert_eq!(bench.sends.len(), 1);
    bench.accept_all();
    assert_eq!(bench.engine.counts(), Counts::default());
}

#[test]
fn a_text_sent_in_part_waits_for_its_credential_without_holding_up_its_lane() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer_of_parts(accepted(), 2);
    bench.receive([with_credential(normal(2, "a"), 2)]);
    bench.answer_of_parts(fails(Fault::Credential), 2);
    assert_eq!(bench.accept_all(), [2]);
    pass_to_next_send(&mut bench);
    assert_eq!((bench.sent(), bench.sends[0].part), (1, 1));
}

#[test]
fn limits_on_several_lanes_of_one_credential_slow_all_of_them() {
    let mut bench = Bench::new(unlimited());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(asks_for(seconds(30)));
    });
    bench.receive((11..=20).map(|n| normal(n, &n.to_string())));
    bench.receive([with_credential(normal(99, "x"), 2)]);
    assert_eq!(bench.accept_all(), [99]);
    let begun = bench.now.mono;
    let mut sent = 0;
    while sent < 10 {
        pass_to_next_send(&mut bench);
        sent += bench.accept_all().len();
    }
    let span = bench.now.mono - begun;
    // Five went in less than a second, so half of five a second is left.
    assert!(
        (seconds(3)..=seconds(5)).contains(&span),
        "ten messages in {span:?}"
    );
}

#[test]
fn limits_on_one_lane_slow_no_other() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(30)));
    bench.receive((11..=20).map(|n| normal(n, &n.to_string())));
    assert_eq!(bench.sends.len(), 10);
}

pub(super) fn full() -> EngineSettings {
    EngineSettings {
        memory_leases: 5,
        ..unlimited()
    }
}

#[test]
fn with_memory_full_lanes_behind_a_failing_host_cost_nothing_but_a_count() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    for n in 0..1000 {
        bench.receive([normal(100 + n, &(100 + n).to_string())]);
    }
    bench.receive([normal(2000, "100")]);
    let counts = bench.engine.counts();
    assert_eq!((counts.held, counts.parked), (5, 1001));
    assert_eq!(bench.engine.lanes.len(), 5);
    bench.receive([lease_at(9, Severity::Low, "other", "a")]);
    assert_eq!(bench.sent(), 9, "another host is not held up");
}

#[test]
fn lanes_that_sleep_are_woken_once_their_host_is_well() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    let mut asleep: Vec<_> = (10..210).map(|n| normal(n, &n.to_string())).collect();
    bench.receive(asleep.clone());
    assert!(bench.unparks.is_empty());
    let mut sent = Vec::new();
    while sent.len() < 205 {
        sent.extend(bench.accept_all());
        match bench.unparks.pop_front() {
            Some((destination, severity, _, _)) => {
                let at = asleep
                    .iter()
                    .position(|lease| lease.destination.id == destination);
                let leases = at.map(|at| asleep.remove(at)).into_iter().collect();
                bench.tell(Event::Unparked {
                    destination,
                    severity,
                    leases,
                });
            }
            None if bench.sends.is_empty() && sent.len() < 205 => {
                bench.pass_to_next_wake();
            }
            None => {}
        }
        assert!(bench.engine.counts().held <= 5 + 128);
    }
    bench.accept_all();
    assert_eq!(bench.engine.counts(), Counts::default());
}

#[test]
fn what_an_earlier_run_parked_for_a_failing_host_falls_asleep_again() {
    let mut bench = Bench::before_catching_up(full());
    let parked = |n: u64| ParkedLane {
        destination: destination(&n.to_string()),
        severity: Severity::Normal,
        count: 1,
    };
    bench.tell(Event::ParkedLanes((100..110).map(parked).collect()));
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    bench.tell(Event::CaughtUp);
    assert_eq!(bench.unparks.len(), 10, "their host is not known yet");
    for n in 100..110 {
        bench.tell(Event::Unparked {
            destination: destination(&n.to_string()),
            severity: Severity::Normal,
            leases: vec![normal(n, &n.to_string())],
        });
    }
    assert_eq!(bench.engine.lanes.len(), 5);
    assert_eq!(bench.engine.counts().parked, 10);
}
