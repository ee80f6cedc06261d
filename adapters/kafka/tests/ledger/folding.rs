//! Digests: made whole or not at all, ended whole.

use common::Severity::{High, Low, Normal};
use consumer::domain::{Lease, Outcome};

use crate::{
    fixtures::{begun, delivered, fetched, folded, lease, parked, sequences, settled, waiting},
    log::{Log, Owner},
};

/// Five deliveries to one destination, received.
fn five() -> (Log, Owner, Vec<Lease>) {
    let mut log = Log::default();
    for (sequence, severity) in (0..).zip([High, Normal, Low, Normal, Normal]) {
        log.publish(&lease(sequence, 0, severity, "a"));
    }
    let (owner, mut all) = begun(&log);
    all.sort_by_key(|lease| lease.position);
    (log, owner, all)
}

#[test]
fn a_digest_comes_first_as_one_and_its_members_do_not() {
    let (mut log, mut owner, all) = five();
    owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
    owner.commit(&mut log);
    let (owner, come) = begun(&log);
    assert_eq!(sequences(&come), [0, 4]);
    assert_eq!(come[0].digest.as_ref().unwrap().members, [1, 2, 1]);
    assert!(fetched(&owner).is_empty());
}

#[test]
fn a_fold_is_made_whole_or_not_at_all_wherever_its_owner_dies() {
    for life in 0..=6 {
        let (mut log, mut owner, all) = five();
        owner.settle(&mut log, &[parked(&all[1])]).unwrap();
        owner.life = Some(life);
        let folds = owner.settle(&mut log, &[folded(&all[..4])]);
        owner.commit(&mut log);
        let (owner, come) = begun(&log);
        let digests = come.iter().filter(|lease| lease.digest.is_some()).count();
        let mut here = sequences(&come);
        here.extend(fetched(&owner));
        here.sort_unstable();
        // Three members, the lead, and the outcome.
        if life < 4 {
            assert_eq!((digests, here), (0, vec![0, 1, 2, 3, 4]), "{life}");
        } else {
            assert_eq!((digests, here), (1, vec![0, 4]), "{life}");
        }
        assert_eq!(folds.is_ok(), life >= 5);
    }
}

#[test]
fn when_a_digest_ends_all_that_it_carries_has_ended_wherever_its_owner_dies() {
    let dead = Outcome::Dead { reason: "x".into() };
    for (outcome, letters) in [(Outcome::Delivered, 0), (dead, 4)] {
        for life in 0..=10 {
            let (mut log, mut owner, all) = five();
            owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
            owner.life = Some(life);
            let end = settled(&all[0], Some(1), outcome.clone());
            let ended = owner.settle(&mut log, &[end]).is_ok();
            let _ = owner.chores(&mut log, std::time::Duration::ZERO);
            owner.commit(&mut log);
            log.compact();
            let (mut owner, come) = begun(&log);
            let expected = if life == 0 { vec![0, 4] } else { vec![4] };
            assert_eq!(sequences(&come), expected, "{life}");
            assert!(fetched(&owner).is_empty());
            if ended {
                assert_eq!(log.dead_letters.len(), letters);
            }
            owner.chores(&mut log, std::time::Duration::ZERO).unwrap();
            let rows = if life == 0 { 4 } else { 0 };
            assert_eq!(log.rows().len(), rows, "{life}");
        }
    }
}

#[test]
fn a_digest_waits_as_any_delivery() {
    let (mut log, mut owner, all) = five();
    owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
    owner.settle(&mut log, &[waiting(&all[0])]).unwrap();
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [0, 4]);
    assert!(come[0].digest.is_some() && come[0].progress.wait.is_some());
    assert_eq!(come[0].progress.attempts, 1);
}

#[test]
fn what_a_digest_carried_is_parked_when_it_is_taken_apart() {
    let (mut log, mut owner, all) = five();
    owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
    let apart = settled(&all[0], Some(1), Outcome::TakenApart);
    for _ in 0..2 {
        owner
            .settle(&mut log, std::slice::from_ref(&apart))
            .unwrap();
        assert_eq!(fetched(&owner), [0, 1, 2, 3]);
    }
    let (mut owner, come) = begun(&log);
    assert_eq!(sequences(&come), [4]);
    assert_eq!(fetched(&owner), [0, 1, 2, 3]);
    // And can be folded again.
    owner.settle(&mut log, &[folded(&all[..3])]).unwrap();
    assert_eq!(fetched(&owner), [3]);
    let (owner, come) = begun(&log);
    assert_eq!(sequences(&come), [0, 4]);
    assert_eq!(fetched(&owner), [3]);
}

#[test]
fn nothing_is_folded_where_a_member_has_ended_and_the_others_are_parked() {
    let (mut log, mut owner, all) = five();
    owner.settle(&mut log, &[delivered(&all[2])]).unwrap();
    for _ in 0..2 {
        let unfolded = owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
        assert_eq!(unfolded.len(), 1);
        assert_eq!(unfolded[0].lead, all[0].key());
        assert_eq!(unfolded[0].parked, [0, 2, 1]);
        assert_eq!(fetched(&owner), [0, 1, 3]);
    }
    let (owner, come) = begun(&log);
    assert_eq!(sequences(&come), [4]);
    assert_eq!(fetched(&owner), [0, 1, 3]);
}

#[test]
fn a_repeated_fold_changes_nothing() {
    let (mut log, mut owner, all) = five();
    for _ in 0..2 {
        let unfolded = owner.settle(&mut log, &[folded(&all[..4])]).unwrap();
        assert!(unfolded.is_empty());
    }
    assert_eq!(log.state.end(), 4);
    owner.settle(&mut log, &[delivered(&all[0])]).unwrap();
    // Members are settled by their lead alone.
    owner.settle(&mut log, &[waiting(&all[1])]).unwrap();
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [4]);
}

#[test]
fn a_delivery_may_occur_twice_in_one_batch() {
    let (mut log, mut owner, all) = five();
    let batch = [waiting(&all[1]), parked(&all[1]), delivered(&all[1])];
    owner.settle(&mut log, &batch).unwrap();
    assert!(fetched(&owner).is_empty());
    let batch = [parked(&all[2]), folded(&all[2..4]), delivered(&all[2])];
    owner.settle(&mut log, &batch).unwrap();
    let (owner, come) = begun(&log);
    assert_eq!(sequences(&come), [0, 4]);
    assert!(fetched(&owner).is_empty());
}
