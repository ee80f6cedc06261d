//! `kill -9` under load loses nothing; the short form of `make crash`.

use tests::crash::{Rig, twins};

#[test]
fn nothing_accepted_is_lost_or_sent_twice_beyond_the_cap_when_the_process_is_killed() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rig = Rig::new(seed);
    let total = rig.run(10);
    assert!(
        total.violations.is_empty(),
        "seed {seed}: {:#?}",
        total.violations
    );
    assert!(
        total.accepted > 0 && total.delivered > 0,
        "seed {seed}: there was no load: {total}"
    );
}

#[test]
fn what_is_to_wait_or_was_tried_is_kept_when_the_process_is_killed_and_requests_fail() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut rig = Rig::with_many_faults(seed);
    let total = rig.run(8);
    assert!(
        total.violations.is_empty(),
        "seed {seed}: {:#?}",
        total.violations
    );
    assert!(
        total.delivered > 0 && total.limited > 0 && total.asked > 0 && total.waits > total.asked,
        "seed {seed}: too little went wrong: {total}"
    );
}

#[test]
fn a_request_sent_twice_at_once_is_one_alert_though_the_process_is_killed() {
    let seed = rand::random();
    let twins = twins(seed, 400, 4);
    println!("seed {seed}: {twins}");
    assert!(twins.violations.is_empty(), "{:#?}", twins.violations);
    assert_eq!(twins.stored, 400);
    assert!(twins.replayed >= 1, "no twin was late");
}
