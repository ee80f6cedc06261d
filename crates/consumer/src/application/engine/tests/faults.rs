//! Who waits when something fails, how long, and when it is given up.

use super::*;

fn waits_until(outcome: &Outcome) -> Wait {
    match outcome {
        Outcome::Waiting(wait) => *wait,
        other => panic!("it waits, not {other:?}"),
    }
}

#[test]
fn a_failing_destination_makes_its_lane_wait_and_no_other() {
    for answer in [
        fails(Fault::Destination),
        fails(Fault::Host),
        Answer::MaybeAccepted {
            reason: "no answer within 10 s".into(),
        },
    ] {
        let mut bench = Bench::new(unlimited());
        bench.receive([normal(1, "a"), normal(2, "a")]);
        bench.answer(answer);
        assert!(bench.sends.is_empty());
        assert_eq!(bench.last_outcome().as_str(), "waiting");
        bench.receive([normal(3, "b")]);
        assert_eq!(bench.accept_all(), [3]);
        let backoff = bench.pass_to_next_wake();
        assert!(backoff <= seconds(1), "{backoff:?}");
        assert_eq!(bench.accept_all(), [1, 2]);
    }
}

#[test]
fn the_wait_on_record_is_the_wait_that_is_kept_and_never_shorter() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Host));
    let wait = waits_until(bench.last_outcome());
    assert_eq!((wait.fault, wait.asked), (Fault::Host, false));
    let kept = bench.engine.next_wake().unwrap() - bench.now.mono;
    let recorded = wait.until.since(bench.now.utc);
    assert!(recorded >= kept && recorded <= kept + Duration::from_millis(2));
}

#[test]
fn backoffs_grow_with_each_failure_up_to_ten_minutes_and_end_with_a_success() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a")]);
    let mut longest = Duration::ZERO;
    for failures in 1..=30 {
        bench.answer(fails(Fault::Destination));
        let ceiling = seconds(600).min(seconds(1 << (failures - 1).min(10)));
        let backoff = bench.pass_to_next_wake();
        assert!(backoff <= ceiling, "{backoff:?} after {failures} failures");
        longest = longest.max(backoff);
    }
    assert!(longest > seconds(300));
    bench.answer(accepted());
    bench.answer(fails(Fault::Destination));
    assert!(bench.pass_to_next_wake() <= seconds(1));
}

#[test]
fn retry_after_is_obeyed_to_the_full() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(30)));
    let wait = waits_until(bench.last_outcome());
    assert!(wait.asked && wait.until >= bench.now.utc.plus(seconds(30)));
    bench.receive([high(2, "a")]);
    bench.pass(seconds(30) - Duration::from_nanos(1));
    assert!(bench.sends.is_empty());
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.sent(), 2);
}

#[test]
fn retry_after_is_obeyed_for_an_hour_at_most() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(1_000_000_000)));
    bench.pass(seconds(3600) - Duration::from_nanos(1));
    assert!(bench.sends.is_empty());
    bench.pass(Duration::from_nanos(1));
    assert_eq!(bench.sent(), 1);
}

#[test]
fn retry_after_is_remembered_though_its_delivery_is_dead_and_the_lane_is_empty() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    let refusal = Refusal {
        lasting: true,
        retry_after: Some(seconds(9)),
        ..refused(Fault::Payload)
    };
    bench.answer(Answer::Refused(refusal));
    assert_eq!(bench.last_outcome().as_str(), "dead");
    bench.receive([normal(2, "a")]);
    assert!(bench.sends.is_empty());
    bench.pass(seconds(9));
    assert_eq!(bench.sent(), 2);
}

/// A lane that has failed so often that it waits longer than a minute.
fn in_a_long_backoff() -> Bench {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    loop {
        bench.answer(fails(Fault::Destination));
        if bench.engine.next_wake().unwrap() > bench.now.mono + seconds(60) {
            return bench;
        }
        bench.pass_to_next_wake();
    }
}

#[test]
fn an_arriving_high_one_cuts_a_backoff_to_five_seconds() {
    let mut bench = in_a_long_backoff();
    bench.receive([high(2, "a")]);
    assert_eq!(bench.pass_to_next_wake(), seconds(5));
    assert_eq!(bench.sent(), 2);
}

#[test]
fn an_arriving_normal_one_cuts_nothing() {
    let mut bench = in_a_long_backoff();
    bench.receive([normal(2, "a")]);
    assert!(bench.pass_to_next_wake() > seconds(60));
}

#[test]
fn a_delivery_whose_content_is_refused_steps_aside_and_stops_nobody() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a"), normal(3, "a")]);
    bench.answer(fails(Fault::Payload));
    assert_eq!(waits_until(bench.last_outcome()).fault, Fault::Payload);
    assert_eq!(bench.accept_all(), [2, 3]);
    bench.pass_to_next_wake();
    assert_eq!(bench.accept_all(), [1]);
}

#[test]
fn a_delivery_whose_content_is_refused_five_times_is_dead() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    for _ in 0..4 {
        bench.answer(fails(Fault::Payload));
        bench.pass_to_next_wake();
    }
    bench.answer(fails(Fault::Payload));
    let reason = "refused 5 times because of its content: broken".to_owned();
    assert_eq!(bench.last_outcome(), &Outcome::Dead { reason });
    assert_eq!(bench.engine.counts(), Counts::default());
}

#[test]
fn a_lasting_refusal_is_the_end() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a")]);
    bench.answer(Answer::Refused(Refusal {
        lasting: true,
        ..refused(Fault::Destination)
    }));
    assert_eq!(
        bench.last_outcome(),
        &Outcome::Dead {
            reason: "refused for good: broken".into()
        }
    );
    assert_eq!(bench.sent(), 2);
}

#[test]
fn a_clock_set_forward_kills_nothing() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.now.utc = bench.now.utc.plus(seconds(365 * 24 * 3600));
    bench.answer(fails(Fault::Destination));
    assert_eq!(bench.last_outcome().as_str(), "waiting");
    bench.receive([normal(2, "b")]);
    bench.answer(fails(Fault::Destination));
    assert_eq!(bench.last_outcome().as_str(), "waiting");
}

#[test]
fn a_clock_set_back_neither_shortens_nor_lengthens_a_wait() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(asks_for(seconds(30)));
    bench.now.utc = UtcMillis(0);
    assert_eq!(bench.pass_to_next_wake(), seconds(30));
    assert_eq!(bench.sent(), 1);
}

#[test]
fn a_wait_for_the_destination_holds_up_the_lane_after_a_restart() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        3,
        wait(20, Fault::Destination, true),
    )]);
    bench.receive([normal(2, "a"), high(3, "a"), normal(4, "b")]);
    assert_eq!(bench.accept_all(), [4]);
    assert_eq!(bench.pass_to_next_wake(), seconds(20));
    assert_eq!(bench.accept_all(), [3, 1, 2]);
    let attempts: Vec<_> = bench
        .settled
        .iter()
        .filter_map(|settled| {
            Some((
                settled.lease.position.sequence,
                settled.attempt.as_ref()?.number,
            ))
        })
        .collect();
    assert_eq!(attempts, [(4, 1), (3, 1), (1, 4), (2, 1)]);
}

#[test]
fn a_wait_because_of_its_content_holds_up_the_delivery_alone_after_a_restart() {
    let mut bench = Bench::new(unlimited());
    bench.receive([
        after_restart(normal(1, "a"), 3, wait(20, Fault::Payload, false)),
        normal(2, "a"),
    ]);
    assert_eq!(bench.accept_all(), [2]);
    assert_eq!(bench.pass_to_next_wake(), seconds(20));
    assert_eq!(bench.accept_all(), [1]);
}

#[test]
fn a_wait_that_a_clock_set_back_made_endless_is_an_hour_after_a_restart() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        1,
        wait(1_000_000, Fault::Host, false),
    )]);
    assert_eq!(bench.pass_to_next_wake(), seconds(3600));
    assert_eq!(bench.sent(), 1);
}

#[test]
fn nothing_is_sent_before_all_that_waits_since_an_earlier_run_is_known() {
    let mut bench = Bench::before_catching_up(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        1,
        wait(-5, Fault::Destination, false),
    )]);
    assert!(bench.sends.is_empty());
    bench.receive([
        after_restart(high(2, "a"), 1, wait(30, Fault::Destination, true)),
        normal(3, "b"),
    ]);
    assert_eq!(bench.sent(), 3);
}

#[test]
fn a_wait_that_is_over_after_a_restart_is_no_wait() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        1,
        wait(-5, Fault::Host, false),
    )]);
    assert_eq!(bench.sent(), 1);
}

#[test]
fn a_backoff_goes_on_growing_after_a_restart() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        normal(1, "a"),
        20,
        wait(0, Fault::Host, false),
    )]);
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        bench.answer(fails(Fault::Host));
        longest = longest.max(bench.pass_to_next_wake());
    }
    assert!(longest > seconds(60), "{longest:?}");
}

#[test]
fn an_answer_to_a_request_that_is_not_under_way_is_ignored() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a")]);
    let stale = bench.sends[0].clone();
    bench.answer(accepted());
    bench.sends.push_front(stale);
    bench.answer(accepted());
    assert_eq!(bench.settled.len(), 1);
    assert_eq!(bench.accept_all(), [2]);
}

#[test]
fn after_an_unknown_refusal_another_delivery_goes_first() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a")]);
    bench.answer(fails(Fault::Unclear));
    assert_eq!(waits_until(bench.last_outcome()).fault, Fault::Unclear);
    bench.pass_to_next_wake();
    assert_eq!(bench.accept_all(), [2]);
    bench.pass_to_next_wake();
    assert_eq!(bench.accept_all(), [1]);
}

#[test]
fn an_unknown_refusal_twice_in_a_row_while_others_pass_is_the_deliverys_own_fault() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Unclear));
    bench.pass(seconds(1));
    bench.receive([normal(2, "a")]);
    let mut others = 0;
    while bench.last_outcome().as_str() != "dead" {
        while bench.sends.is_empty() {
            bench.pass_to_next_wake();
        }
        match bench.sent() {
            1 => {
                bench.answer(fails(Fault::Unclear));
            }
            _ => {
                others += 1;
                bench.pass(seconds(1));
                bench.answer(accepted());
                bench.receive([normal(10 + others, "a")]);
            }
        }
        assert!(bench.now.mono < seconds(1000 + 600));
    }
    assert!(others > 0);
}

#[test]
fn what_is_refused_for_an_unknown_reason_for_an_hour_is_dead() {
    let mut bench = Bench::new(unlimited());
    let begun = bench.now.mono;
    bench.receive([normal(1, "a")]);
    bench.answer(fails(Fault::Unclear));
    while bench.last_outcome().as_str() != "dead" {
        bench.pass_to_next_wake();
        if !bench.sends.is_empty() {
            bench.answer(fails(Fault::Unclear));
        }
    }
    let span = bench.now.mono - begun;
    assert!(
        span >= seconds(3600) && span < seconds(3600 + 700),
        "{span:?}"
    );
}

#[test]
fn a_limit_slows_the_lane_for_the_minutes_that_follow() {
    let mut bench = Bench::new(paced(Some(1.0)));
    bench.receive((1..=9).map(|n| normal(n, "a")));
    bench.answer(asks_for(seconds(20)));
    bench.pass(seconds(20));
    let begun = bench.now.mono;
    let mut sent = bench.accept_all().len();
    while sent < 9 {
        bench.pass_to_next_wake();
        sent += bench.accept_all().len();
    }
    assert!(bench.now.mono - begun >= seconds(12));
}
