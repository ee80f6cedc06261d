//! Many that have ended behind one that has not.

use std::{collections::BTreeSet, time::Duration};

use common::{
    AcceptedAlert, ChannelKind, Destination, Severity,
    wire::{OutcomePart, OutcomeRecord},
};
use kafka::{Format, Settings};
use rdkafka::Message;
use tests::services::Kafka;

use crate::{
    member::{Member, until},
    rig::{HANG, Rig, alert},
};

/// One delivery that takes a minute, and that many in the same partition that take nothing.
fn behind_one(count: u32) -> Vec<AcceptedAlert> {
    let mut slow = alert(Severity::Normal, "slow", &[0]);
    slow.deliveries[0].destination = Destination::new(ChannelKind::SLACK, "", "slow").into();
    let mut alerts = vec![slow];
    let channels: Vec<u32> = (1..=1_000).collect();
    for n in 0..count / 1_000 {
        alerts.push(alert(Severity::Normal, &format!("message {n}"), &channels));
    }
    alerts
}

/// Waits until that many have ended, on record: what was parked on the way has outcomes
/// besides.
async fn until_delivered(rig: &Rig, count: usize) {
    let mut records = count;
    loop {
        let found = rig.records(&rig.topics.outcomes, records).await;
        let delivered = found.iter().filter(|record| {
            let record: OutcomeRecord = serde_json::from_slice(record.payload().unwrap()).unwrap();
            record.outcome == OutcomePart::Delivered
        });
        match count.saturating_sub(delivered.count()) {
            0 => return,
            missing => records = found.len() + missing,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_that_ended_behind_one_are_not_sent_again_after_a_kill() {
    let name = uuid::Uuid::new_v4();
    let rig = Rig::with(Settings {
        brokers: Kafka::shared().bootstrap(),
        topic: format!("backlog-{name}"),
        group: format!("backlog-{name}"),
        partitions: 1,
        replication: 1,
        accept_weak_topics: true,
        format: Format::Sealed,
        ..Settings::default()
    })
    .await;
    let fan_out = rig.fan_out();
    let mut one = Member::start(&rig, Duration::ZERO);
    for alert in behind_one(50_000) {
        rig.accept(&alert).await.unwrap();
    }
    let recorded = tokio::time::timeout(HANG, until_delivered(&rig, 50_000)).await;
    recorded.expect("fifty thousand ends are on record");
    one.kill();
    let is_slow = |address: &str| address == "slow";
    let unfinished: Vec<_> = one
        .requests()
        .into_iter()
        .filter(|(_, request)| request.ended.is_none())
        .collect();
    assert_eq!(unfinished.len(), 1);
    assert!(is_slow(&unfinished[0].1.address));
    let two = Member::start(&rig, Duration::ZERO);
    until("the slow one is sent again", || {
        two.texts().keys().any(|address| is_slow(address))
    })
    .await;
    // One that is accepted now comes after all that it would send again.
    rig.accept(&alert(Severity::Low, "the last one", &[1]))
        .await
        .unwrap();
    until("the last one is sent", || {
        let texts = two.texts();
        texts
            .values()
            .flatten()
            .any(|text| text.ends_with("the last one"))
    })
    .await;
    let sent: BTreeSet<String> = one.requests().into_iter().map(|(id, _)| id).collect();
    let again = two.requests().into_iter();
    let again: Vec<_> = again.filter(|(id, _)| sent.contains(id)).collect();
    println!("sent again behind the slow one: {}", again.len() - 1);
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(is_slow(&again[0].1.address));
    assert_eq!(two.requests().len(), 2, "{:?}", two.texts());
    fan_out.stop().await;
}
