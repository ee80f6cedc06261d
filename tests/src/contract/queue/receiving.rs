//! What receiving promises: order, once, and after a restart.

use std::{collections::HashSet, sync::Arc};

use common::Severity::{self, High, Low, Normal};
use consumer::{domain::Outcome, ports::Received};

use super::{
    QueueUnderTest,
    rig::{Rig, alerts, assert_in_order, positions, waiting},
};

pub async fn within_a_severity_deliveries_come_in_the_order_of_acceptance<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    let mut accepted = vec![];
    for count in [1, 3, 2, 3, 1] {
        accepted.push(rig.accept(Normal, count).await);
    }
    let all = rig.receive_all().await;
    assert_in_order(&all);
    assert_eq!(all.len(), 10);
    let mut order = alerts(&all);
    order.dedup();
    assert_eq!(order, accepted);
}

/// Accepts alerts of mixed severities; says the order in which they should come.
async fn mixed<Q: QueueUnderTest>(rig: &Rig<Q>) -> Vec<Severity> {
    for severity in [Low, Normal, High, Low, High, Normal] {
        rig.accept(severity, 2).await;
    }
    [[High; 4], [Normal; 4], [Low; 4]].concat()
}

pub async fn the_most_urgent_at_hand_comes_first<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    let expected = mixed(&rig).await;
    let all = rig.receive_all().await;
    let severities: Vec<_> = all.iter().map(|lease| lease.alert.severity).collect();
    assert_eq!(severities, expected);
}

pub async fn the_most_urgent_comes_first_after_a_restart_too<Q: QueueUnderTest>() {
    let rig = Rig::<Q>::with_users(2).await;
    let expected = mixed(&rig).await;
    let mut rig = rig.restart().await;
    let all = rig.receive_all().await;
    let severities: Vec<_> = all.iter().map(|lease| lease.alert.severity).collect();
    assert_eq!(severities, expected);
    for of_one_severity in all.chunk_by(|one, next| one.alert.severity == next.alert.severity) {
        assert_in_order(of_one_severity);
    }
}

pub async fn no_more_come_than_there_is_room_for<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(5).await;
    rig.accept(Normal, 5).await;
    rig.accept(Normal, 2).await;
    let mut all = vec![];
    while all.len() < 7 {
        // More than the room fails in `receive`.
        all.extend(rig.receive(2).await);
    }
    assert_in_order(&all);
    rig.assert_nothing_comes().await;
    let mut rig = rig.restart().await;
    let mut again = vec![];
    while again.len() < 7 {
        again.extend(rig.receive(2).await);
    }
    assert_eq!(positions(&again), positions(&all));
}

pub async fn a_receive_that_waits_is_woken_by_an_alert<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    assert!(matches!(rig.receive_any(1).await, Received::CaughtUp));
    let deliveries = rig.ports.deliveries.clone();
    let mut call = std::pin::pin!(deliveries.receive(1));
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
    let id = rig.accept(Normal, 1).await;
    let Received::Leases(leases) = call.await.unwrap() else {
        panic!("caught up twice");
    };
    assert_eq!(alerts(&leases), [id]);
}

pub async fn a_receive_that_is_dropped_has_taken_nothing<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    assert!(matches!(rig.receive_any(1).await, Received::CaughtUp));
    let mut all = vec![];
    for _ in 0..50 {
        all.extend(rig.receive_briefly(1, 1).await);
        rig.accept(Normal, 1).await;
        all.extend(rig.receive_briefly(1, 1).await);
    }
    all.extend(rig.receive_all().await);
    assert_eq!(all.len(), 50);
    assert_in_order(&all);
}

pub async fn a_receive_that_is_dropped_while_it_reads_the_backlog_has_taken_nothing<
    Q: QueueUnderTest,
>() {
    let rig = Rig::<Q>::with_users(3).await;
    for _ in 0..20 {
        rig.accept(Normal, 3).await;
    }
    let mut rig = rig.restart().await;
    let mut all = vec![];
    for polls in 0..100 {
        all.extend(rig.receive_briefly(2, polls % 7).await);
    }
    all.extend(rig.receive_all().await);
    assert_eq!(all.len(), 60);
    assert_in_order(&all);
}

pub async fn two_receivers_at_once_never_get_the_same_delivery<Q: QueueUnderTest>() {
    let rig = Rig::<Q>::with_users(10).await;
    for _ in 0..50 {
        rig.accept(Normal, 10).await;
    }
    // Half of it from disk, half of it as it arrives.
    let rig = rig.restart().await;
    let mut receivers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let deliveries = rig.ports.deliveries.clone();
        receivers.spawn(async move {
            let mut taken = vec![];
            while taken.last().is_none_or(|(severity, _)| *severity != Low) {
                if let Received::Leases(leases) = deliveries.receive(3).await.unwrap() {
                    let keys = leases.iter().map(|l| (l.alert.severity, l.position));
                    taken.extend(keys);
                }
            }
            taken
        });
    }
    for _ in 0..50 {
        rig.accept(Normal, 10).await;
    }
    // The end for both: each takes up to 3 low ones, which come last, and stops.
    rig.accept(Low, 6).await;
    let taken = receivers.join_all().await.concat();
    let normal = taken.iter().filter(|(severity, _)| *severity == Normal);
    assert_eq!(normal.count(), 1_000);
    let distinct: HashSet<_> = taken.iter().collect();
    assert_eq!(distinct.len(), taken.len());
}

pub async fn with_nothing_from_before_the_consumer_has_caught_up_at_once<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    assert!(matches!(rig.receive_any(1).await, Received::CaughtUp));
    // A second one fails in `receive`.
    rig.assert_nothing_comes().await;
    let mut rig = rig.restart().await;
    assert!(matches!(rig.receive_any(1).await, Received::CaughtUp));
}

pub async fn caught_up_is_said_once_and_after_everything_from_before<Q: QueueUnderTest>() {
    let rig = Rig::<Q>::with_users(4).await;
    let mut before = HashSet::new();
    for severity in [Low, High, Normal, Low] {
        before.insert(rig.accept(severity, 4).await);
    }
    let mut rig = rig.restart().await;
    // What arrives meanwhile, however urgent, is no part of it.
    let mut later = 0;
    let mut come = vec![];
    while let Received::Leases(leases) = rig.receive_any(3).await {
        come.extend(leases);
        if later < 5 {
            rig.accept(High, 1).await;
            rig.accept(Low, 1).await;
            later += 1;
        }
    }
    let from_before = come.iter().filter(|lease| before.contains(&lease.alert.id));
    assert_eq!(from_before.count(), 16);
    come.extend(rig.receive_all().await);
    assert_eq!(come.len(), 16 + 2 * later);
}

pub async fn caught_up_waits_for_what_waits_as_well<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    rig.accept(Normal, 3).await;
    let all = rig.receive_all().await;
    rig.settle_each(&all, &waiting(60)).await;
    let mut rig = rig.restart().await;
    let mut come = 0;
    while let Received::Leases(leases) = rig.receive_any(1).await {
        come += leases.len();
    }
    assert_eq!(come, 3);
    rig.assert_nothing_comes().await;
}

pub async fn what_was_received_and_not_settled_comes_again_after_a_restart<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(5).await;
    rig.accept(Normal, 5).await;
    rig.accept(High, 2).await;
    let all = rig.receive_all().await;
    rig.settle_each(&all[3..4], &Outcome::Delivered).await;
    let mut unsettled = positions(&all);
    unsettled.remove(3);
    let mut rig = rig.restart().await;
    assert_eq!(positions(&rig.receive_all().await), unsettled);
    let mut rig = rig.restart().await;
    assert_eq!(positions(&rig.receive_all().await), unsettled);
}

pub async fn a_warning_comes_with_the_place_that_it_goes_to_before_and_after_a_restart<
    Q: QueueUnderTest,
>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    let mut deliveries = rig.deliveries(1);
    let place = deliveries[0].destination.clone();
    deliveries[0].destination = Arc::new(place.for_warnings());
    rig.accept_these(High, deliveries).await;
    rig.accept(High, 1).await;
    let mut found = rig.receive_all().await;
    for _ in 0..2 {
        let [warning, other] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(*warning.destination, place.for_warnings());
        assert_eq!(*other.destination, *place);
        assert_eq!(warning.credential.id, other.credential.id);
        rig = rig.restart().await;
        found = rig.receive_all().await;
    }
}
