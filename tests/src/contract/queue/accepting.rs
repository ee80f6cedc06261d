//! What accepting an alert promises.

use std::sync::Arc;

use common::{AcceptedAlert, Alert, AlertId, Gtid, Recipient, Severity, UserId};
use consumer::domain::{Lease, Progress};
use producer::ports::Acceptance;
use uuid::Uuid;

use super::{
    ManualClock, QueueUnderTest,
    rig::{Rig, assert_in_order},
};

/// An alert with everything in it that an alert can have.
fn rich<Q: QueueUnderTest>(rig: &Rig<Q>) -> AcceptedAlert {
    let alert = Arc::new(Alert {
        id: AlertId::generate(),
        caller: None,
        gtid: Gtid::parse("request-1").unwrap(),
        severity: Severity::High,
        message: "노드 1\n\u{0}\"down\" 🚨".into(),
        verbatim: false,
        targets: ["@all".into(), "@@장애알림방".into(), "".into()].into(),
        accepted_at: ManualClock::BEGINNING,
    });
    let mut deliveries = rig.deliveries(2);
    deliveries[1].recipients.push(Recipient {
        user: UserId(Uuid::from_u128(77)),
        target: 9_999,
    });
    AcceptedAlert { alert, deliveries }
}

fn assert_received_as_accepted<Q: QueueUnderTest>(leases: &[Lease], accepted: &AcceptedAlert) {
    assert_eq!(leases.len(), accepted.deliveries.len());
    assert_in_order(leases);
    for ((lease, delivery), ordinal) in leases.iter().zip(&accepted.deliveries).zip(0..) {
        let (alert, expected) = (&lease.alert, &accepted.alert);
        assert_eq!(alert.id, expected.id);
        assert_eq!(alert.gtid, expected.gtid);
        assert_eq!(alert.severity, expected.severity);
        assert_eq!(alert.message, expected.message);
        match Q::HANDS_OVER_TARGETS {
            true => assert_eq!(alert.targets, expected.targets),
            false => assert!(alert.targets.is_empty()),
        }
        assert_eq!(alert.accepted_at, expected.accepted_at);
        assert_eq!(lease.position.ordinal, ordinal);
        assert_eq!(lease.destination, delivery.destination);
        assert_eq!(lease.credential.id, delivery.credential.id);
        let (secret, expected) = (&lease.credential.secret, &delivery.credential.secret);
        assert_eq!(secret.expose(), expected.expose());
        assert_eq!(lease.recipients, delivery.recipients);
        assert_eq!(lease.progress, Progress::default());
    }
}

pub async fn an_accepted_alert_is_received_with_all_it_was_accepted_with<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    let accepted = rich(&rig);
    let answer = rig.ports.alerts.accept(accepted.clone(), None).await;
    assert_eq!(answer, Ok(Acceptance::Accepted));
    assert_received_as_accepted::<Q>(&rig.receive_all().await, &accepted);
}

pub async fn an_accepted_alert_is_found_after_a_restart_with_all_it_was_accepted_with<
    Q: QueueUnderTest,
>() {
    let rig = Rig::<Q>::with_users(2).await;
    let accepted = rich(&rig);
    rig.ports
        .alerts
        .accept(accepted.clone(), None)
        .await
        .unwrap();
    let mut rig = rig.restart().await;
    assert_received_as_accepted::<Q>(&rig.receive_all().await, &accepted);
}

pub async fn an_alert_that_reaches_nobody_is_accepted_and_never_received<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    rig.accept(Severity::High, 0).await;
    rig.assert_nothing_comes().await;
    let mut rig = rig.restart().await;
    rig.assert_nothing_comes().await;
}

pub async fn many_alerts_accepted_at_once_are_each_received_once<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(3).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (alerts, accepted) = (
            rig.ports.alerts.clone(),
            rig.alert(Severity::Normal, rig.deliveries(3)),
        );
        calls.spawn(async move {
            let id = accepted.alert.id;
            alerts.accept(accepted, None).await.unwrap();
            id
        });
    }
    let mut accepted = calls.join_all().await;
    let all = rig.receive_all().await;
    assert_in_order(&all);
    assert_eq!(all.len(), 600);
    let mut received = super::rig::alerts(&all);
    received.dedup();
    received.sort();
    accepted.sort();
    assert_eq!(received, accepted);
}

pub async fn a_queue_in_order_says_that_it_can_accept<Q: QueueUnderTest>() {
    let rig = Rig::<Q>::with_users(1).await;
    assert_eq!(rig.ports.alerts.health(), Ok(()));
}
