//! What an owner finds that takes over, wherever the one before died.

use std::time::Duration;

use common::Severity::{High, Normal};
use consumer::domain::Outcome;

use crate::{
    fixtures::{begun, delivered, fetched, lease, parked, published, sequences, settled, waiting},
    log::{Died, Log, Owner},
};

#[test]
fn what_has_ended_does_not_come_again_though_the_checkpoint_is_below_it() {
    let mut log = Log::default();
    published(&mut log, 5);
    let (mut owner, all) = begun(&log);
    let dead = Outcome::Dead { reason: "x".into() };
    owner
        .settle(
            &mut log,
            &[delivered(&all[1]), settled(&all[3], None, dead)],
        )
        .unwrap();
    owner.commit(&mut log);
    assert_eq!(log.committed.main.offset, 0);
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [0, 2, 4]);
    assert_eq!(log.dead_letters.len(), 1);
}

#[test]
fn fifty_thousand_that_ended_behind_one_do_not_come_again() {
    let mut log = Log::default();
    published(&mut log, 60_001);
    let mut owner = Owner::begin(&log);
    let (all, _) = owner.receive_all(&log);
    for some in all[1..].chunks(1_000) {
        let some: Vec<_> = some.iter().map(delivered).collect();
        owner.settle(&mut log, &some).unwrap();
        owner.chores(&mut log, Duration::ZERO).unwrap();
        owner.commit(&mut log);
    }
    // The one that held it has a row.
    assert_eq!(log.committed.main.offset, 60_001);
    assert_eq!(log.committed.outcomes, 60_000);
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [0]);
}

#[test]
fn what_holds_the_checkpoint_for_long_gets_a_row() {
    let mut log = Log::default();
    published(&mut log, 3);
    let (mut owner, all) = begun(&log);
    owner.settle(&mut log, &[delivered(&all[1])]).unwrap();
    owner.chores(&mut log, Duration::from_secs(9)).unwrap();
    assert_eq!(log.state.end(), 0);
    owner.chores(&mut log, Duration::from_secs(10)).unwrap();
    assert_eq!(log.state.end(), 2);
    owner.commit(&mut log);
    assert_eq!(log.committed.main.offset, 3);
    // In memory it is what it was.
    owner
        .settle(&mut log, &[delivered(&all[0]), delivered(&all[2])])
        .unwrap();
    owner.chores(&mut log, Duration::from_secs(10)).unwrap();
    assert!(log.rows().is_empty());
}

#[test]
fn of_an_outcome_and_a_row_the_outcome_counts() {
    let mut log = Log::default();
    published(&mut log, 2);
    let (mut owner, all) = begun(&log);
    owner
        .settle(&mut log, &[waiting(&all[0]), parked(&all[1])])
        .unwrap();
    owner
        .settle(&mut log, &[delivered(&all[0]), delivered(&all[1])])
        .unwrap();
    // It dies before it has buried them, and so do others; however often it commits.
    for _ in 0..3 {
        owner.commit(&mut log);
        assert_eq!(log.rows().len(), 2);
        let (next, come) = begun(&log);
        owner = next;
        assert!(come.is_empty() && fetched(&owner).is_empty());
    }
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert!(log.rows().is_empty());
    assert_eq!(log.committed.outcomes, log.outcomes.end());
}

#[test]
fn tombstones_may_be_compacted_away() {
    let mut log = Log::default();
    published(&mut log, 4);
    let (mut owner, all) = begun(&log);
    let some: Vec<_> = all[1..].iter().map(waiting).collect();
    owner.settle(&mut log, &some).unwrap();
    let some: Vec<_> = all[1..].iter().map(delivered).collect();
    owner.settle(&mut log, &some).unwrap();
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    log.compact();
    assert!(log.state.end() == 0);
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [0]);
}

#[test]
fn what_is_parked_is_found_by_lane_with_its_progress() {
    let mut log = Log::default();
    for (sequence, address) in (0..).zip(["a", "b", "a"]) {
        log.publish(&lease(sequence, 0, Normal, address));
    }
    log.publish(&lease(3, 0, High, "a"));
    let (mut owner, all) = begun(&log);
    owner.settle(&mut log, &[waiting(&all[1])]).unwrap();
    let some: Vec<_> = all.iter().map(parked).collect();
    owner.settle(&mut log, &some).unwrap();
    let (owner, come) = begun(&log);
    assert!(come.is_empty());
    let counts = owner.parked.iter().map(|lane| lane.count);
    assert_eq!(counts.sum::<u64>(), 4);
    let lane = owner.unpark(all[1].destination.id, Normal, None, 9);
    assert_eq!(sequences(&lane), [0, 2]);
    assert_eq!(lane[0].progress.attempts, 1);
}

#[test]
fn what_was_parked_and_is_kept_otherwise_is_parked_no_longer() {
    let mut log = Log::default();
    published(&mut log, 2);
    let (mut owner, all) = begun(&log);
    let some: Vec<_> = all.iter().map(parked).collect();
    owner.settle(&mut log, &some).unwrap();
    owner.settle(&mut log, &[waiting(&all[1])]).unwrap();
    assert_eq!(fetched(&owner), [0]);
    let (mut owner, come) = begun(&log);
    assert_eq!(sequences(&come), [1]);
    // Its progress is that of its row, wherever its content lies.
    owner.settle(&mut log, &[parked(&all[1])]).unwrap();
    let come = owner.unpark(all[1].destination.id, Normal, None, 9);
    assert_eq!(come[1].progress.attempts, 1);
}

/// An owner that dies after each number of records, until it lives.
fn dying(log: &Log, mut act: impl FnMut(&mut Owner, &mut Log) -> Result<(), Died>) -> Vec<Log> {
    let mut logs = Vec::new();
    for life in 0.. {
        let mut after = log.clone();
        let (mut owner, _) = begun(&after);
        owner.life = Some(life);
        let lived = act(&mut owner, &mut after);
        owner.commit(&mut after);
        logs.push(after);
        if lived.is_ok() {
            break;
        }
    }
    logs
}

#[test]
fn wherever_an_owner_dies_in_a_batch_each_delivery_has_ended_or_comes_again() {
    let mut log = Log::default();
    let all = published(&mut log, 4);
    let batch = [
        delivered(&all[0]),
        waiting(&all[1]),
        parked(&all[2]),
        delivered(&all[3]),
    ];
    let logs = dying(&log, |owner, log| owner.settle(log, &batch).map(drop));
    assert_eq!(logs.len(), 7);
    for (written, log) in logs.iter().enumerate() {
        let (owner, mut come) = begun(log);
        come.sort_by_key(|lease| lease.position);
        let mut here = sequences(&come);
        here.extend(fetched(&owner));
        here.sort_unstable();
        let ended = usize::from(written >= 1) + usize::from(written >= 6);
        assert_eq!(here.len(), 4 - ended, "after {written} records");
        here.dedup();
        assert_eq!(here.len(), 4 - ended, "after {written} records");
    }
}

#[test]
fn a_checkpoint_of_another_program_has_no_place_and_nothing_that_has_ended_comes_again() {
    let mut log = Log::default();
    let all = published(&mut log, 5);
    let (mut owner, _) = begun(&log);
    owner.settle(&mut log, &[delivered(&all[3])]).unwrap();
    owner.commit(&mut log);
    log.committed.main.offset = 2;
    log.committed.main.place = None;
    log.committed.outcomes = 0;
    let (mut owner, come) = begun(&log);
    assert_eq!(sequences(&come), [2, 4]);
    assert_eq!(owner.ledger.checkpoint().main.offset, 2);
}
