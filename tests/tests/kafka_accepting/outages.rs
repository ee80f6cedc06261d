//! Brokers that go away and come back.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{AcceptedAlert, AlertId, Severity};
use kafka::Settings;
use producer::ports::{AlertPublisher, PublishError};
use tests::services::Kafka;

use crate::rig::{HANG, Rig, alert, settings};

fn one(channel: u32) -> AcceptedAlert {
    alert(Severity::Normal, "node1 down", &[channel])
}

async fn health_is(rig: &Rig, healthy: bool) {
    let began = Instant::now();
    while rig.publisher.health().is_ok() != healthy {
        assert!(began.elapsed() < HANG, "{:?}", rig.publisher.health());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Accepts alerts until one is acknowledged: what is on its way to a broker when that one is
/// killed may not be, and whoever sent it sends another.
async fn accepted_in_the_end(rig: &Rig) -> AlertId {
    let began = Instant::now();
    loop {
        let alert = one(1);
        match rig.accept(&alert).await {
            Ok(()) => return alert.alert.id,
            Err(error) => assert!(began.elapsed() < HANG, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Accepts that many at once, and answers how many were not refused outright.
async fn not_refused(rig: &Arc<Rig>, count: u32) -> usize {
    let asked: Vec<_> = (0..count)
        .map(|n| {
            let rig = rig.clone();
            tokio::spawn(async move { rig.accept(&one(n % 50)).await })
        })
        .collect();
    let mut others = 0;
    for answer in asked {
        others += usize::from(!matches!(answer.await.unwrap(), Err(PublishError::Full(_))));
    }
    others
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_alerts_are_refused_at_once_and_then_accepted_again() {
    let mut kafka = Kafka::start(1);
    let rig = Arc::new(Rig::with(settings(&kafka)).await);
    let fan_out = rig.fan_out();
    let mut accepted = BTreeSet::new();
    for n in 0..50 {
        let alert = one(n);
        rig.accept(&alert).await.unwrap();
        accepted.insert(alert.alert.id);
    }

    kafka.kill(1);
    health_is(&rig, false).await;
    let before = threads();
    assert_eq!(not_refused(&rig, 10_000).await, 0);
    assert!(
        threads() <= before + 4,
        "{} threads, {before} before",
        threads()
    );

    kafka.start_again(1);
    health_is(&rig, true).await;
    for n in 0..50 {
        let alert = one(n);
        rig.accept(&alert).await.unwrap();
        accepted.insert(alert.alert.id);
    }
    let published = rig.published(100).await;
    let delivered: BTreeSet<_> = published.iter().map(|one| one.open.alert.id).collect();
    assert_eq!(delivered, accepted);
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_answer_is_told_within_the_delivery_time_out() {
    let kafka = Kafka::start(1);
    let rig = Rig::with(Settings {
        delivery_timeout: Duration::from_secs(2),
        ..settings(&kafka)
    })
    .await;
    rig.accept(&one(1)).await.unwrap();
    kafka.pause(1);
    let unknown = rig.accept(&one(1)).await.unwrap_err();
    assert!(
        matches!(unknown, PublishError::MaybePublished(_)),
        "{unknown}"
    );
    health_is(&rig, false).await;
    let refused = rig.accept(&one(1)).await.unwrap_err();
    assert!(matches!(refused, PublishError::Full(_)), "{refused}");
    kafka.resume(1);
    health_is(&rig, true).await;
    rig.accept(&one(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_brokers_one_may_be_lost_and_of_two_none() {
    let mut kafka = Kafka::start(3);
    let rig = Rig::with(Settings {
        replication: 3,
        accept_weak_topics: false,
        ..settings(&kafka)
    })
    .await;
    assert_eq!(rig.limits.in_sync, 2);
    let fan_out = rig.fan_out();
    let mut accepted = BTreeSet::new();
    let mut accept = async |rig: &Rig| {
        accepted.insert(accepted_in_the_end(rig).await);
    };
    accept(&rig).await;
    kafka.await_in_sync();
    kafka.kill(1);
    accept(&rig).await;
    kafka.kill(2);
    // Whatever this one comes to, the next ones are refused.
    let _ = rig.accept(&one(2)).await;
    health_is(&rig, false).await;
    let refused = rig.accept(&one(2)).await.unwrap_err();
    assert!(matches!(refused, PublishError::Full(_)), "{refused}");
    kafka.start_again(2);
    health_is(&rig, true).await;
    accept(&rig).await;
    let mut delivered = BTreeSet::new();
    while !accepted.is_subset(&delivered) {
        let published = rig.published(delivered.len() + 1).await;
        delivered.extend(published.iter().map(|one| one.open.alert.id));
    }
    fan_out.stop().await;
}
