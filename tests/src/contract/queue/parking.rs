//! What parking promises: deliveries that stay on disk until their lane asks.

use common::{
    DestinationId,
    Severity::{High, Low, Normal},
};
use consumer::domain::{Lease, Outcome, Progress};

use super::{
    QueueUnderTest,
    rig::{Rig, assert_in_order, assert_same_delivery, dead, positions, settlement, wait, waiting},
};

/// Accepts that many alerts to one user and parks them.
async fn one_lane<Q: QueueUnderTest>(count: usize) -> (Rig<Q>, Vec<Lease>) {
    let mut rig = Rig::<Q>::with_users(1).await;
    for _ in 0..count {
        rig.accept(Normal, 1).await;
    }
    let all = rig.receive_all().await;
    park(&rig, &all).await;
    (rig, all)
}

async fn park<Q: QueueUnderTest>(rig: &Rig<Q>, leases: &[Lease]) {
    let settlements = leases
        .iter()
        .map(|lease| settlement(lease, None, Outcome::Parked));
    rig.settle(settlements).await;
}

pub async fn what_is_parked_is_not_received<Q: QueueUnderTest>() {
    let (mut rig, _) = one_lane::<Q>(3).await;
    rig.assert_nothing_comes().await;
}

pub async fn what_is_parked_is_not_received_after_a_restart_either<Q: QueueUnderTest>() {
    let (rig, all) = one_lane::<Q>(3).await;
    let mut rig = rig.restart().await;
    rig.assert_nothing_comes().await;
    let unparked = rig.unpark(&all[0], None, 10).await;
    assert_eq!(positions(&unparked), positions(&all));
}

pub async fn parked_deliveries_are_counted_by_lane_and_severity<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    for severity in [Normal, High, Normal, Low] {
        rig.accept(severity, 2).await;
    }
    // High: both lanes. Normal: both lanes twice. Low stays.
    let all = rig.receive_all().await;
    park(&rig, &all[..5]).await;
    let rig = rig.restart().await;
    let [one, two] = [&all[0], &all[1]].map(|lease| lease.destination.id.0);
    let mut expected = [
        (one, High, 1),
        (one, Normal, 2),
        (two, High, 1),
        (two, Normal, 1),
    ];
    expected.sort();
    assert_eq!(rig.parked().await, expected);
}

pub async fn a_lane_is_unparked_in_the_order_of_acceptance<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    for severity in [Normal, Normal, High, Normal, Normal] {
        rig.accept(severity, 3).await;
    }
    let mut all = rig.receive_all().await;
    // Parked in another order, and by several calls.
    all.reverse();
    for some in all.chunks(4) {
        park(&rig, some).await;
    }
    all.reverse();
    for lane in &all[..6] {
        let key = lane.key();
        let expected = all.iter().map(Lease::key);
        let expected = expected
            .filter(|one| (one.destination, one.severity) == (key.destination, key.severity));
        let unparked = rig.unpark(lane, None, 100).await;
        assert_in_order(&unparked);
        let keys: Vec<_> = unparked.iter().map(Lease::key).collect();
        assert_eq!(keys, expected.collect::<Vec<_>>());
    }
}

pub async fn unparking_goes_on_after_a_position_and_up_to_the_room<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(4).await;
    // Alerts of several deliveries to one lane, so that a position is more than
    // its sequence: one token each.
    for _ in 0..3 {
        let deliveries = (0..4).map(|token| rig.delivery(0, token)).collect();
        rig.accept_these(Normal, deliveries).await;
    }
    let all = rig.receive_all().await;
    park(&rig, &all).await;
    let expected = positions(&all);
    let mut after = None;
    let mut come = vec![];
    for count in [5, 5, 2, 0] {
        let some = rig.unpark(&all[0], after, 5).await;
        assert_eq!(some.len(), count);
        after = some.last().map(|lease| lease.position);
        come.extend(positions(&some));
        if count == 2 {
            break;
        }
    }
    assert_eq!(come, expected);
    let end = rig.unpark(&all[0], after, 5).await;
    assert!(end.is_empty());
}

pub async fn unparking_again_answers_the_same<Q: QueueUnderTest>() {
    let (rig, all) = one_lane::<Q>(5).await;
    for _ in 0..3 {
        let unparked = rig.unpark(&all[0], Some(all[0].position), 3).await;
        assert_eq!(positions(&unparked), positions(&all[1..4]));
        for (lease, parked) in unparked.iter().zip(&all[1..]) {
            assert_same_delivery(lease, parked);
            assert_eq!(lease.alert.message, parked.alert.message);
            assert_eq!(lease.destination, parked.destination);
            assert_eq!(lease.progress, Progress::default());
        }
    }
}

pub async fn what_has_progressed_before_it_is_parked_comes_back_with_its_progress<
    Q: QueueUnderTest,
>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    rig.accept(Normal, 1).await;
    let all = rig.receive_all().await;
    let mut two_parts = settlement(&all[0], Some(3), waiting(5));
    two_parts.parts_sent = 2;
    rig.settle([two_parts]).await;
    park(&rig, &all).await;
    let rig = rig.restart().await;
    let unparked = rig.unpark(&all[0], None, 1).await;
    let progress = unparked[0].progress;
    assert_eq!((progress.attempts, progress.parts_sent), (3, 2));
}

pub async fn an_unparked_delivery_that_is_settled_is_parked_no_longer<Q: QueueUnderTest>() {
    let (rig, all) = one_lane::<Q>(5).await;
    for (lease, outcome) in all.iter().zip([Outcome::Delivered, dead(), waiting(5)]) {
        rig.settle([settlement(lease, Some(1), outcome)]).await;
    }
    let left = rig.unpark(&all[0], None, 10).await;
    assert_eq!(positions(&left), positions(&all[3..]));
    let mut rig = rig.restart().await;
    let lane = all[0].destination.id.0;
    assert_eq!(rig.parked().await, [(lane, Normal, 2)]);
    assert_eq!(positions(&rig.receive_all().await), [all[2].position]);
    let left = rig.unpark(&all[0], None, 10).await;
    assert_eq!(positions(&left), positions(&all[3..]));
}

pub async fn what_waits_after_it_was_parked_comes_first_after_a_restart<Q: QueueUnderTest>() {
    let (rig, all) = one_lane::<Q>(2).await;
    rig.accept(High, 1).await;
    rig.settle([settlement(&all[1], Some(1), waiting(5))]).await;
    let mut rig = rig.restart().await;
    let come = rig.receive_all().await;
    assert_eq!(come.len(), 2);
    assert_same_delivery(&come[0], &all[1]);
    assert_eq!(come[0].progress.wait, Some(wait(5)));
}

pub async fn an_empty_lane_has_nothing_to_unpark<Q: QueueUnderTest>() {
    let (mut rig, all) = one_lane::<Q>(1).await;
    rig.accept(High, 1).await;
    let high = rig.receive_all().await;
    assert!(rig.unpark(&high[0], None, 10).await.is_empty());
    let after = Some(all[0].position);
    assert!(rig.unpark(&all[0], after, 10).await.is_empty());
}

pub async fn the_places_of_parked_deliveries_are_known_by_their_ids<Q: QueueUnderTest>() {
    let (rig, all) = one_lane::<Q>(1).await;
    let rig = rig.restart().await;
    let place = &all[0].destination;
    let asked = vec![place.id, DestinationId(1), place.id.for_warnings()];
    let mut found = rig.ports.deliveries.destinations(asked).await.unwrap();
    found.sort_by_key(|destination| destination.id);
    assert_eq!(found, [(**place).clone(), place.for_warnings()]);
}
