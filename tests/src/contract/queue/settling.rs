//! What settling promises: outcomes last, and are the last word.

use common::Severity::{High, Low, Normal};
use consumer::domain::{Fault, Outcome, Progress, Settlement, Wait};

use super::{
    ManualClock, QueueUnderTest,
    rig::{Rig, assert_in_order, assert_same_delivery, dead, positions, settlement, wait, waiting},
};

pub async fn what_has_ended_never_comes_again<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    rig.accept(Normal, 3).await;
    rig.accept(High, 1).await;
    let all = rig.receive_all().await;
    rig.settle_each(&all[..2], &Outcome::Delivered).await;
    rig.settle_each(&all[2..], &dead()).await;
    rig.assert_nothing_comes().await;
    let mut rig = rig.restart().await;
    assert_eq!(rig.parked().await, []);
    rig.assert_nothing_comes().await;
}

pub async fn a_repeated_settlement_of_what_has_ended_changes_nothing<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    rig.accept(Normal, 3).await;
    let all = rig.receive_all().await;
    rig.settle_each(&all[..1], &Outcome::Delivered).await;
    rig.settle_each(&all[1..2], &dead()).await;
    // While the alert has a delivery that has not ended, and after.
    for unended in [1, 0] {
        for outcome in [
            Outcome::Delivered,
            waiting(1),
            Outcome::PartSent,
            Outcome::Parked,
            dead(),
        ] {
            rig.settle_each(&all[..2], &outcome).await;
        }
        rig = rig.restart().await;
        assert_eq!(rig.parked().await, []);
        let come = rig.receive_all().await;
        assert_eq!(come.len(), unended, "{:?}", positions(&come));
        rig.settle_each(&all[2..], &Outcome::Delivered).await;
    }
}

pub async fn what_waits_is_not_received_again_in_this_process<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    rig.accept(Normal, 2).await;
    let all = rig.receive_all().await;
    rig.settle_each(&all[..1], &waiting(0)).await;
    rig.settle_each(&all[1..], &Outcome::PartSent).await;
    rig.assert_nothing_comes().await;
}

pub async fn what_waits_comes_first_after_a_restart<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    for severity in [High, Normal, Low, Low, High] {
        rig.accept(severity, 2).await;
    }
    let all = rig.receive_all().await;
    // Of each severity one.
    let waiting_ones = [all[1].clone(), all[5].clone(), all[8].clone()];
    rig.settle_each(&waiting_ones, &waiting(5)).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    let (first, rest) = again.split_at(3);
    let mut first = positions(first);
    first.sort();
    let mut expected = positions(&waiting_ones);
    expected.sort();
    assert_eq!(first, expected);
    assert_eq!(rest.len(), 7);
    for of_one_severity in rest.chunk_by(|one, next| one.alert.severity == next.alert.severity) {
        assert_in_order(of_one_severity);
    }
}

pub async fn a_wait_survives_a_restart_as_it_was<Q: QueueUnderTest>() {
    let waits = [
        Fault::Destination,
        Fault::Payload,
        Fault::Credential,
        Fault::Host,
        Fault::Unclear,
    ]
    .into_iter()
    .zip(1..)
    .flat_map(|(fault, minutes)| {
        [true, false].map(|asked| Wait {
            until: ManualClock::BEGINNING.plus(std::time::Duration::from_secs(60 * minutes)),
            fault,
            asked,
        })
    });
    let waits: Vec<Wait> = waits.collect();
    let mut rig = Rig::<Q>::with_users(10).await;
    rig.accept(Normal, 10).await;
    let all = rig.receive_all().await;
    let attempts = |n: usize| n as u32 + 1;
    for (n, (lease, wait)) in all.iter().zip(&waits).enumerate() {
        let outcome = Outcome::Waiting(*wait);
        rig.settle([settlement(lease, Some(attempts(n)), outcome)])
            .await;
    }
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(again.len(), waits.len());
    for (n, (lease, wait)) in again.iter().zip(&waits).enumerate() {
        assert_same_delivery(lease, &all[n]);
        let expected = Progress {
            attempts: attempts(n),
            parts_sent: 0,
            wait: Some(*wait),
            ..Progress::default()
        };
        assert_eq!(lease.progress, expected);
    }
}

pub async fn a_later_wait_replaces_an_earlier_one<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    rig.accept(Normal, 1).await;
    let all = rig.receive_all().await;
    for (number, seconds) in [(1, 60), (2, 10)] {
        rig.settle([settlement(&all[0], Some(number), waiting(seconds))])
            .await;
    }
    let mut rig = rig.restart().await;
    let expected = Progress {
        attempts: 2,
        parts_sent: 0,
        wait: Some(wait(10)),
        ..Progress::default()
    };
    assert_eq!(rig.receive_all().await[0].progress, expected);
}

pub async fn parts_that_were_sent_survive_a_restart<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    rig.accept(Normal, 2).await;
    let all = rig.receive_all().await;
    let two_parts = |attempt, outcome| Settlement {
        parts_sent: 2,
        ..settlement(&all[0], Some(attempt), outcome)
    };
    rig.settle([two_parts(2, Outcome::PartSent)]).await;
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_same_delivery(&again[0], &all[0]);
    let mut expected = Progress {
        attempts: 2,
        parts_sent: 2,
        wait: None,
        ..Progress::default()
    };
    assert_eq!(again[0].progress, expected);
    assert_eq!(again[1].progress, Progress::default());
    rig.settle([two_parts(3, waiting(9))]).await;
    let mut rig = rig.restart().await;
    expected.attempts = 3;
    expected.wait = Some(wait(9));
    assert_eq!(rig.receive_all().await[0].progress, expected);
}

pub async fn a_repeated_settlement_of_a_wait_counts_its_attempt_once<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    rig.accept(Normal, 1).await;
    let all = rig.receive_all().await;
    for _ in 0..3 {
        rig.settle([settlement(&all[0], Some(1), waiting(5))]).await;
    }
    let mut rig = rig.restart().await;
    let again = rig.receive_all().await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].progress.attempts, 1);
}

pub async fn settlements_of_one_call_may_be_of_any_kind_and_alert<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(5).await;
    rig.accept(Normal, 5).await;
    rig.accept(High, 5).await;
    let all = rig.receive_all().await;
    let outcomes = [
        Outcome::Delivered,
        dead(),
        waiting(5),
        Outcome::Parked,
        Outcome::PartSent,
    ];
    let settlements = all
        .iter()
        .zip(outcomes.iter().cycle())
        .map(|(lease, outcome)| settlement(lease, None, outcome.clone()));
    rig.settle(settlements).await;
    let mut rig = rig.restart().await;
    let parked: u64 = rig.parked().await.iter().map(|(.., count)| count).sum();
    assert_eq!(parked, 2);
    let mut left = positions(&rig.receive_all().await);
    left.sort();
    let mut expected = [2, 4, 7, 9].map(|n: usize| all[n].position);
    expected.sort();
    assert_eq!(left, expected);
}

pub async fn settling_nothing_is_fine<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    rig.settle([]).await;
    rig.assert_nothing_comes().await;
}
