//! Cancelling and replaying.

use std::time::Duration;

use common::{
    Severity::{High, Normal},
    UtcMillis,
    wire::OutcomePart,
};
use consumer::domain::{Lease, Outcome};
use kafka::lanes::ledger::{Replay, place_of};

use crate::{
    fixtures::{
        begun, delivered, fetched, folded, lease, parked, sequences, settled, told, waiting,
    },
    log::{Control, Log, Owner, delivery},
};

/// Two alerts with three deliveries each, of which none was published.
fn six() -> Vec<Lease> {
    let leases = (0..2).flat_map(|sequence| {
        ["a", "b", "c"]
            .into_iter()
            .zip(0..)
            .map(move |(address, ordinal)| lease(sequence, ordinal, Normal, address))
    });
    leases.collect()
}

fn publish(log: &mut Log, leases: &[Lease]) {
    leases.iter().for_each(|lease| log.publish(lease));
}

fn cancel(log: &mut Log, sequence: u64) {
    log.control.push(Control::Cancel {
        sequence,
        severity: Normal,
        last: 2,
    });
}

fn replay(log: &mut Log, lease: &Lease) {
    log.control.push(Control::Replay(Box::new(Replay {
        place: place_of(lease.key()),
        delivery: delivery(lease),
        attempts: 1,
        replayed_at: UtcMillis(7),
        repeated: true,
    })));
}

fn control(owner: &mut Owner, log: &mut Log) {
    while owner.control(log).unwrap() {}
}

fn cancelled(log: &Log) -> usize {
    let outcomes = log.outcomes.from(0).map(|(_, record)| record);
    let cancelled = outcomes.filter(|record| record.outcome == OutcomePart::Cancelled);
    cancelled.count()
}

#[test]
fn what_waits_in_whatever_way_is_cancelled_and_what_was_handed_over_is_told_of() {
    let mut log = Log::default();
    let all = six();
    publish(&mut log, &all[..3]);
    let (mut owner, _) = begun(&log);
    owner
        .settle(&mut log, &[waiting(&all[0]), parked(&all[1])])
        .unwrap();
    cancel(&mut log, 0);
    control(&mut owner, &mut log);
    assert_eq!(told(&mut owner).len(), 3);
    assert_eq!(cancelled(&log), 3);
    assert!(fetched(&owner).is_empty());
    // What was decided before the consumer was told changes nothing.
    let batch: Vec<_> = all[..3].iter().map(parked).collect();
    owner.settle(&mut log, &batch).unwrap();
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert!(log.rows().is_empty());
    assert_eq!((log.committed.main.offset, log.committed.control), (3, 1));
    let (owner, come) = begun(&log);
    assert!(come.is_empty() && fetched(&owner).is_empty());
}

#[test]
fn what_has_ended_is_not_cancelled_nor_what_a_digest_carries() {
    let mut log = Log::default();
    let all: Vec<_> = (0..3).map(|n| lease(0, n, Normal, "a")).collect();
    publish(&mut log, &all);
    let (mut owner, _) = begun(&log);
    owner
        .settle(&mut log, &[delivered(&all[2]), folded(&all[..2])])
        .unwrap();
    cancel(&mut log, 0);
    control(&mut owner, &mut log);
    assert_eq!(cancelled(&log), 0);
    let (_, come) = begun(&log);
    assert!(come[0].digest.is_some());
}

#[test]
fn what_is_read_after_its_alert_was_cancelled_is_cancelled_then() {
    let mut log = Log::default();
    let all = six();
    let (mut owner, _) = begun(&log);
    cancel(&mut log, 1);
    control(&mut owner, &mut log);
    publish(&mut log, &all[..5]);
    let (come, _) = owner.receive_all(&log);
    assert_eq!(sequences(&come), [0, 0, 0]);
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert_eq!((cancelled(&log), log.committed.control), (2, 0));
    // The last one comes when another owner has the partition.
    publish(&mut log, &all[5..]);
    let mut owner = Owner::begin(&log);
    control(&mut owner, &mut log);
    let (come, _) = owner.receive_all(&log);
    assert_eq!(sequences(&come), [0, 0, 0]);
    owner.commit(&mut log);
    assert_eq!(log.committed.control, 0);
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert_eq!((cancelled(&log), log.committed.control), (3, 1));
}

#[test]
fn a_high_alert_is_remembered_until_it_was_read_where_high_ones_come() {
    let mut log = Log::default();
    log.publish(&lease(5, 0, Normal, "a"));
    log.control.push(Control::Cancel {
        sequence: 3,
        severity: High,
        last: 0,
    });
    let (mut owner, _) = begun(&log);
    control(&mut owner, &mut log);
    owner.commit(&mut log);
    assert_eq!(log.committed.control, 0);
    log.publish(&lease(3, 0, High, "a"));
    assert!(owner.receive_all(&log).0.is_empty());
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert_eq!((cancelled(&log), log.committed.control), (1, 1));
}

#[test]
fn a_request_under_way_is_delivered_where_the_service_takes_it_and_else_cancelled() {
    for (outcome, last) in [
        (Outcome::Delivered, OutcomePart::Delivered),
        (waiting(&six()[0]).outcome, OutcomePart::Cancelled),
        (Outcome::Cancelled, OutcomePart::Cancelled),
    ] {
        for is_told in [true, false] {
            let mut log = Log::default();
            let all = six();
            publish(&mut log, &all[..1]);
            let (mut owner, _) = begun(&log);
            owner.ledger.begins(place_of(all[0].key()));
            cancel(&mut log, 0);
            control(&mut owner, &mut log);
            if is_told {
                assert_eq!(told(&mut owner), [0]);
            }
            let late = settled(&all[0], Some(1), outcome.clone());
            for _ in 0..2 {
                owner.settle(&mut log, std::slice::from_ref(&late)).unwrap();
            }
            assert_eq!(log.outcomes.end(), 2);
            assert_eq!(log.outcomes.get(1).unwrap().outcome, last);
            assert_eq!(
                log.outcomes
                    .get(1)
                    .unwrap()
                    .attempt
                    .as_ref()
                    .unwrap()
                    .number,
                1
            );
            owner.commit(&mut log);
            assert!(begun(&log).1.is_empty());
        }
    }
}

#[test]
fn a_fold_whose_members_were_all_cancelled_is_not_made() {
    let mut log = Log::default();
    let all: Vec<_> = (0..3).map(|n| lease(0, n, Normal, "a")).collect();
    publish(&mut log, &all);
    let (mut owner, _) = begun(&log);
    cancel(&mut log, 0);
    control(&mut owner, &mut log);
    let unfolded = owner.settle(&mut log, &[folded(&all)]).unwrap();
    assert_eq!(unfolded[0].parked, [0, 0, 0]);
}

#[test]
fn what_was_replayed_comes_again_at_its_place_and_ends_again() {
    let mut log = Log::default();
    let all = six();
    publish(&mut log, &all[..2]);
    let (mut owner, _) = begun(&log);
    let batch = [delivered(&all[0]), delivered(&all[1])];
    owner.settle(&mut log, &batch).unwrap();
    replay(&mut log, &all[1]);
    control(&mut owner, &mut log);
    for _ in 0..2 {
        let come = owner.receive_all(&log).0;
        assert_eq!(come.len(), 1);
        assert_eq!(come[0].position, all[1].position);
        assert_eq!(come[0].progress.attempts, 1);
        assert_eq!(come[0].progress.replayed_at, Some(UtcMillis(7)));
        owner.commit(&mut log);
        owner = Owner::begin(&log);
        control(&mut owner, &mut log);
    }
    owner.receive_all(&log);
    let again = settled(&all[1], Some(2), Outcome::Delivered);
    owner.settle(&mut log, &[again]).unwrap();
    owner.chores(&mut log, Duration::ZERO).unwrap();
    owner.commit(&mut log);
    assert_eq!(log.committed.outcomes, log.outcomes.end());
    assert!(begun(&log).1.is_empty() && log.rows().is_empty());
}

#[test]
fn what_was_cancelled_and_replayed_before_the_consumer_had_it_comes() {
    let mut log = Log::default();
    let all = six();
    let mut owner = Owner::begin(&log);
    publish(&mut log, &all[..1]);
    owner.read(&log, 7, Duration::ZERO);
    cancel(&mut log, 0);
    replay(&mut log, &all[0]);
    control(&mut owner, &mut log);
    // The consumer hears of the cancellation first: it was another life of the delivery.
    assert_eq!(told(&mut owner), [0]);
    let come = owner.receive_all(&log).0;
    assert_eq!(come.len(), 1);
    assert_eq!(come[0].progress.replayed_at, Some(UtcMillis(7)));
    owner.settle(&mut log, &[delivered(&come[0])]).unwrap();
    owner.commit(&mut log);
    assert!(begun(&log).1.is_empty());
}

#[test]
fn a_replay_is_made_once_wherever_its_owner_dies() {
    for life in 0..=2 {
        // Whether its first end is above the checkpoint or below.
        for kept in [true, false] {
            let mut log = Log::default();
            let all = six();
            publish(&mut log, &all[..2]);
            let (mut owner, _) = begun(&log);
            owner.settle(&mut log, &[delivered(&all[1])]).unwrap();
            if !kept {
                owner.settle(&mut log, &[delivered(&all[0])]).unwrap();
            }
            owner.commit(&mut log);
            let committed = log.committed;
            replay(&mut log, &all[1]);
            owner.life = Some(life);
            let lived = owner.control(&mut log).is_ok();
            assert_eq!(lived, life == 2);
            for _ in 0..2 {
                owner.commit(&mut log);
                owner = Owner::begin(&log);
                control(&mut owner, &mut log);
                let come = owner.receive_all(&log).0;
                let count = come.iter().filter(|one| one.position == all[1].position);
                assert_eq!(count.count(), 1, "{life} {kept}");
            }
            let again = settled(&all[1], Some(2), Outcome::Delivered);
            owner.settle(&mut log, &[again]).unwrap();
            // Had nobody committed, the next would find that it has ended.
            log.committed = committed;
            let mut owner = Owner::begin(&log);
            control(&mut owner, &mut log);
            let come = owner.receive_all(&log).0;
            assert!(!come.iter().any(|one| one.position == all[1].position));
            let replayed = |outcome: &OutcomePart| matches!(outcome, OutcomePart::Replayed { .. });
            let told = log
                .outcomes
                .from(0)
                .map(|(_, record)| record)
                .filter(|one| replayed(&one.outcome));
            assert_eq!(told.count(), 1);
        }
    }
}

#[test]
fn a_replay_whose_row_is_missing_is_not_the_digest_that_its_delivery_led() {
    let mut log = Log::default();
    let all: Vec<_> = (0..2).map(|n| lease(0, n, Normal, "a")).collect();
    publish(&mut log, &all);
    let (mut owner, _) = begun(&log);
    owner.settle(&mut log, &[folded(&all)]).unwrap();
    owner.settle(&mut log, &[delivered(&all[0])]).unwrap();
    replay(&mut log, &all[0]);
    // It dies between the outcome and the row, and the digest's rows are not buried.
    owner.life = Some(1);
    assert!(owner.control(&mut log).is_err());
    for _ in 0..2 {
        let mut owner = Owner::begin(&log);
        control(&mut owner, &mut log);
        let come = owner.receive_all(&log).0;
        assert_eq!(come.len(), 1);
        assert_eq!(come[0].position, all[0].position);
        assert!(come[0].digest.is_none());
        assert_eq!(come[0].progress.replayed_at, Some(UtcMillis(7)));
    }
}

#[test]
fn a_replay_of_what_is_on_its_way_is_passed_over() {
    let mut log = Log::default();
    let all = six();
    publish(&mut log, &all[..3]);
    let (mut owner, _) = begun(&log);
    owner.settle(&mut log, &[parked(&all[1])]).unwrap();
    let before = log.outcomes.end();
    for lease in &all[..2] {
        replay(&mut log, lease);
    }
    control(&mut owner, &mut log);
    assert_eq!(log.outcomes.end(), before);
    assert!(owner.receive_all(&log).0.is_empty());
    owner.commit(&mut log);
    assert_eq!(log.committed.control, 2);
}

#[test]
fn a_cancellation_that_is_read_again_does_not_concern_what_was_replayed_since() {
    let mut log = Log::default();
    let all = six();
    // The alert's last delivery is still to come, so the cancellation is not done.
    publish(&mut log, &all[..2]);
    let (mut owner, _) = begun(&log);
    cancel(&mut log, 0);
    control(&mut owner, &mut log);
    told(&mut owner);
    replay(&mut log, &all[0]);
    control(&mut owner, &mut log);
    assert_eq!(sequences(&owner.receive_all(&log).0), [0]);
    owner.commit(&mut log);
    assert_eq!(log.committed.control, 0);
    let mut owner = Owner::begin(&log);
    control(&mut owner, &mut log);
    let come = owner.receive_all(&log).0;
    assert_eq!(come.len(), 1);
    assert_eq!(come[0].position, all[0].position);
    // A later one does.
    cancel(&mut log, 0);
    control(&mut owner, &mut log);
    assert_eq!(told(&mut owner), [0]);
}
