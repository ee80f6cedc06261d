//! In which order deliveries are handed over.

use std::time::Duration;

use common::Severity::{High, Low, Normal};
use kafka::lanes::ledger::{Feed, Next};

use crate::{
    fixtures::{begun, delivered, lease, published, sequences, settled, waiting},
    log::{Log, Message, Owner},
};

#[test]
fn what_waits_comes_first_then_high_before_normal_before_low() {
    let mut log = Log::default();
    for (sequence, severity) in (0..).zip([Low, Normal, High, Normal, Low, High]) {
        log.publish(&lease(sequence, 0, severity, "a"));
    }
    let (mut owner, all) = begun(&log);
    assert_eq!(sequences(&all), [2, 5, 1, 3, 0, 4]);
    owner.settle(&mut log, &[waiting(&all[4])]).unwrap();
    let (_, all) = begun(&log);
    assert_eq!(sequences(&all), [0, 2, 5, 1, 3, 4]);
    assert_eq!(all[0].progress.attempts, 1);
    assert!(all[0].progress.wait.is_some());
}

#[test]
fn it_has_caught_up_once_and_after_all_that_was_there() {
    let mut log = Log::default();
    published(&mut log, 3);
    let mut owner = Owner::begin(&log);
    log.publish(&lease(3, 0, Low, "a"));
    let mut said = Vec::new();
    loop {
        let is_more = owner.read(&log, 1, Duration::ZERO);
        match owner.ledger.next(1) {
            Next::Leases(leases) => said.extend(sequences(&leases)),
            Next::CaughtUp => said.push(99),
            Next::Cancelled(_) => panic!("nobody cancelled"),
            Next::Wait if is_more => {}
            Next::Wait => break,
        }
    }
    assert_eq!(said, [0, 1, 2, 99, 3]);
}

#[test]
fn with_nothing_there_it_has_caught_up_at_once() {
    let log = Log::default();
    let mut owner = Owner::begin(&log);
    assert!(matches!(owner.ledger.next(1), Next::CaughtUp));
    assert!(matches!(owner.ledger.next(1), Next::Wait));
}

#[test]
fn what_the_fan_out_publishes_again_is_dropped_whatever_became_of_it() {
    let mut log = Log::default();
    let all = published(&mut log, 4);
    let (mut owner, _) = begun(&log);
    owner
        .settle(&mut log, &[delivered(&all[1]), waiting(&all[2])])
        .unwrap();
    all[1..].iter().for_each(|lease| log.publish(lease));
    log.publish(&lease(4, 0, Normal, "a"));
    let (come, _) = owner.receive_all(&log);
    assert_eq!(sequences(&come), [4]);
    owner.commit(&mut log);
    let (_, come) = begun(&log);
    assert_eq!(sequences(&come), [2, 0, 3, 4]);
}

#[test]
fn no_more_is_read_than_memory_has_room_for() {
    let mut log = Log::default();
    let all = published(&mut log, 10_000);
    let mut owner = Owner::begin(&log);
    owner.read(&log, 10_000, Duration::ZERO);
    assert!(!owner.ledger.has_room(Feed::Main));
    assert!(owner.ledger.has_room(Feed::High));
    let (come, _) = owner.receive_all(&log);
    assert_eq!(sequences(&come), sequences(&all));
    assert!(owner.ledger.has_room(Feed::Main));
}

#[test]
fn what_is_none_of_ours_holds_the_checkpoint_until_it_is_dealt_with() {
    let mut log = Log::default();
    log.feed_mut(Feed::Main).push(Message::Foreign);
    log.publish(&lease(7, 0, Normal, "a"));
    let (mut owner, all) = begun(&log);
    owner.settle(&mut log, &[delivered(&all[0])]).unwrap();
    assert_eq!(owner.ledger.checkpoint().main.offset, 0);
    owner.ledger.dealt_with(Feed::Main, 0);
    assert_eq!(owner.ledger.checkpoint().main.offset, 2);
}

#[test]
fn what_ended_before_it_was_handed_over_is_not() {
    let mut log = Log::default();
    let all = published(&mut log, 3);
    let mut owner = Owner::begin(&log);
    owner.read(&log, 10, Duration::ZERO);
    owner.settle(&mut log, &[delivered(&all[1])]).unwrap();
    assert_eq!(sequences(&owner.receive_all(&log).0), [0, 2]);
}

#[test]
fn parts_that_were_sent_come_first_after_a_takeover() {
    let mut log = Log::default();
    published(&mut log, 2);
    let (mut owner, all) = begun(&log);
    let mut part = settled(&all[1], Some(1), consumer::domain::Outcome::PartSent);
    part.parts_sent = 1;
    owner.settle(&mut log, &[part]).unwrap();
    let (_, all) = begun(&log);
    assert_eq!(sequences(&all), [1, 0]);
    assert_eq!(
        (all[0].progress.attempts, all[0].progress.parts_sent),
        (1, 1)
    );
}
