//! When a delivery is given up for its age, and when it is not.

use super::{
    breakers::{full, host_down, pass_to_next_send, revoked},
    *,
};

const HOUR: u64 = 3600;

/// Answers each request so until nothing is held any more, or that time has passed;
/// answers how long it took.
fn refuse_for(bench: &mut Bench, answer: &Answer, most: Duration) -> Duration {
    let begun = bench.now.mono;
    while bench.engine.counts().held > 0 && bench.now.mono - begun < most {
        while !bench.sends.is_empty() {
            bench.answer(answer.clone());
        }
        if bench.engine.counts().held > 0 {
            bench.pass_to_next_wake();
        }
    }
    bench.now.mono - begun
}

/// Accepted that long before the bench begins.
fn accepted_before(span: Duration, mut lease: Lease) -> Lease {
    let ago = i64::try_from(span.as_millis()).unwrap();
    Arc::make_mut(&mut lease.alert).accepted_at = UtcMillis(START - ago);
    lease
}

fn dead(bench: &Bench) -> Vec<(u64, &str)> {
    let dead = bench.settled.iter().filter_map(|settled| {
        let Outcome::Dead { reason } = &settled.outcome else {
            return None;
        };
        Some((settled.lease.position.sequence, &**reason))
    });
    dead.collect()
}

#[test]
fn what_has_been_tried_for_a_day_is_dead_and_names_the_last_error() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(30 * HOUR));
    assert!(
        span >= seconds(24 * HOUR) && span <= seconds(24 * HOUR + 700),
        "{span:?}"
    );
    let [(1, reason)] = dead(&bench)[..] else {
        panic!("one is dead");
    };
    assert!(reason.starts_with("given up after 24 h and "), "{reason}");
    assert!(reason.ends_with("the last error was: broken"), "{reason}");
}

#[test]
fn what_waits_behind_a_failing_one_and_is_as_old_goes_with_it() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "a"), low(3, "a")]);
    refuse_for(
        &mut bench,
        &fails(Fault::Destination),
        seconds(24 * HOUR - 700),
    );
    let mut young = high(4, "a");
    Arc::make_mut(&mut young.alert).accepted_at = bench.now.utc;
    bench.receive([young]);
    while dead(&bench).is_empty() {
        pass_to_next_send(&mut bench);
        bench.answer(fails(Fault::Destination));
    }
    let dead: Vec<_> = dead(&bench)
        .into_iter()
        .map(|(sequence, _)| sequence)
        .collect();
    assert_eq!(dead, [3, 1, 2]);
    pass_to_next_send(&mut bench);
    assert_eq!(bench.accept_all(), [4]);
}

#[test]
fn the_first_refusals_after_however_long_are_not_the_end() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a")]);
    bench.pass(seconds(100 * HOUR));
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(30 * HOUR));
    assert!(span >= seconds(600) && span <= seconds(1300), "{span:?}");
}

#[test]
fn an_old_delivery_is_still_tried_and_delivered() {
    let mut bench = Bench::new(unlimited());
    bench.receive([accepted_before(seconds(100 * HOUR), normal(1, "a"))]);
    bench.answer(accepted());
    assert_eq!(bench.last_outcome(), &Outcome::Delivered);
}

#[test]
fn a_backlog_that_a_working_destination_takes_days_for_is_sent() {
    let mut bench = Bench::new(paced(Some(0.0001)));
    bench.receive((1..=40).map(|n| normal(n, "a")));
    let mut sent = bench.accept_all().len();
    while sent < 40 {
        pass_to_next_send(&mut bench);
        sent += bench.accept_all().len();
    }
    assert!(bench.now.mono > seconds(80 * HOUR));
    assert!(dead(&bench).is_empty());
}

#[test]
fn the_time_in_which_the_server_was_down_does_not_count() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        accepted_before(seconds(30 * HOUR), normal(1, "a")),
        5,
        wait(-100_000, Fault::Destination, false),
    )]);
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(90 * HOUR));
    assert!(
        span >= seconds(24 * HOUR) && span <= seconds(24 * HOUR + 700),
        "{span:?}"
    );
}

#[test]
fn after_three_days_of_downtime_it_has_ten_minutes() {
    let mut bench = Bench::new(unlimited());
    bench.receive([after_restart(
        accepted_before(seconds(80 * HOUR), normal(1, "a")),
        5,
        wait(-100_000, Fault::Destination, false),
    )]);
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(90 * HOUR));
    assert!(span >= seconds(600) && span <= seconds(1300), "{span:?}");
}

#[test]
fn restarts_do_not_keep_it_alive_beyond_three_days() {
    let mut age = Duration::ZERO;
    let mut attempts = 0;
    let mut restarts = 0;
    loop {
        let mut bench = Bench::new(unlimited());
        let lease = accepted_before(age, normal(1, "a"));
        bench.receive([after_restart(
            lease,
            attempts,
            wait(0, Fault::Destination, false),
        )]);
        age += refuse_for(&mut bench, &fails(Fault::Destination), seconds(5 * HOUR));
        attempts += 1;
        if bench.engine.counts().held == 0 {
            break;
        }
        restarts += 1;
    }
    assert!(restarts >= 14, "{restarts}");
    assert!(
        age >= seconds(72 * HOUR) && age <= seconds(73 * HOUR),
        "{age:?}"
    );
}

#[test]
fn the_time_in_which_a_host_is_left_alone_does_not_count() {
    let mut bench = host_down(5);
    bench.receive([normal(11, "x")]);
    refuse_for(&mut bench, &fails(Fault::Host), seconds(30 * HOUR));
    assert_eq!(bench.engine.counts().held, 6);
    pass_to_next_send(&mut bench);
    bench.answer(accepted());
    // From now on each lane fails by itself, and the host answers.
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(90 * HOUR));
    assert!(
        span >= seconds(23 * HOUR) && span <= seconds(25 * HOUR),
        "{span:?}"
    );
}

#[test]
fn the_time_in_which_a_credential_is_refused_does_not_count() {
    let mut bench = Bench::new(unlimited());
    bench.receive([normal(1, "a"), normal(2, "b")]);
    refuse_for(&mut bench, &fails(Fault::Credential), seconds(30 * HOUR));
    assert_eq!(bench.engine.counts().held, 2);
    pass_to_next_send(&mut bench);
    bench.answer(accepted());
    let span = refuse_for(&mut bench, &fails(Fault::Destination), seconds(90 * HOUR));
    assert!(
        span >= seconds(23 * HOUR) && span <= seconds(25 * HOUR),
        "{span:?}"
    );
}

#[test]
fn what_is_three_days_old_is_given_up_although_its_host_was_left_alone() {
    let mut bench = host_down(5);
    let span = refuse_for(&mut bench, &fails(Fault::Host), seconds(80 * HOUR));
    assert!(
        span >= seconds(72 * HOUR) && span <= seconds(73 * HOUR),
        "{span:?}"
    );
}

#[test]
fn what_is_three_days_old_is_given_up_although_it_only_waits_for_its_credential() {
    let mut bench = Bench::new(unlimited());
    bench.receive((1..=3).map(|n| normal(n, &n.to_string())));
    bench.answer(revoked());
    bench.answer(revoked());
    bench.answer(revoked());
    // In a lane that is otherwise well, and never tried.
    bench.receive([normal(4, "d")]);
    let span = refuse_for(&mut bench, &revoked(), seconds(80 * HOUR));
    assert!(
        span >= seconds(72 * HOUR) && span <= seconds(73 * HOUR),
        "{span:?}"
    );
    let dead = dead(&bench);
    let (_, reason) = dead.iter().find(|(sequence, _)| *sequence == 4).unwrap();
    assert!(reason.starts_with("given up after 72 h and "), "{reason}");
}

#[test]
fn what_sleeps_on_disk_is_given_up_with_the_rest() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    let mut asleep: Vec<_> = (100..300).map(|n| normal(n, &n.to_string())).collect();
    bench.receive(asleep.clone());
    while bench.now.mono < seconds(74 * HOUR) {
        bench.pass_to_next_wake();
        loop {
            while !bench.sends.is_empty() {
                bench.answer(fails(Fault::Host));
            }
            let Some((destination, severity, ..)) = bench.unparks.pop_front() else {
                break;
            };
            let is_it = |lease: &mut Lease| lease.destination.id == destination;
            // What is taken in is settled before it would be fetched again.
            let before = dead(&bench).len();
            let leases: Vec<_> = asleep.extract_if(.., is_it).collect();
            bench.tell(Event::Unparked {
                destination,
                severity,
                leases: leases.clone(),
            });
            if dead(&bench).len() == before {
                asleep.extend(leases);
            }
        }
        if bench.engine.counts() == Counts::default() {
            break;
        }
    }
    assert_eq!(dead(&bench).len(), 205);
}

#[test]
fn a_lane_that_sleeps_is_the_probe_where_nobody_else_can_be() {
    let mut bench = Bench::new(full());
    bench.receive((1..=5).map(|n| normal(n, &n.to_string())));
    (0..5).for_each(|_| {
        bench.answer(fails(Fault::Host));
    });
    bench.receive([normal(9, "x")]);
    let cancelled = (1..=5).map(|n| normal(n, &n.to_string()).key()).collect();
    bench.tell(Event::Cancelled(cancelled));
    while bench.unparks.is_empty() {
        bench.pass_to_next_wake();
    }
    let (destination, severity, ..) = bench.unparks.remove(0).unwrap();
    bench.tell(Event::Unparked {
        destination,
        severity,
        leases: vec![normal(9, "x")],
    });
    assert_eq!(bench.sent(), 9);
}
