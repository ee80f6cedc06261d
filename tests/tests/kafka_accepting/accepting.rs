//! An alert that was accepted.

use std::time::Instant;

use common::Severity;
use kafka::{Format, records::header_of};
use producer::ports::AlertPublisher;
use rdkafka::Message as _;

use crate::rig::{Rig, alert, destination, expected, taken};

#[tokio::test(flavor = "multi_thread")]
async fn each_delivery_is_in_the_partition_of_its_destination_with_key_and_header() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let alerts = [
        alert(Severity::Normal, "node1 down", &[1, 2, 3, 4, 5]),
        alert(Severity::High, "node2 down", &[1, 2, 3]),
        alert(Severity::Low, "node3 slow", &[5, 1]),
    ];
    for alert in &alerts {
        rig.accept(alert).await.unwrap();
    }
    let published = rig.published(10).await;
    assert_eq!(taken(&published), (expected(&rig.topics, 0, &alerts), 0));
    for one in &published {
        let accepted = &alerts[one.open.place.sequence as usize];
        let delivery = &accepted.deliveries[one.open.place.ordinal as usize];
        assert_eq!(one.open.destination, delivery.destination);
        assert_eq!(one.open.alert.id, accepted.alert.id);
        assert_eq!(one.open.alert.text(), accepted.alert.text());
        assert_eq!(
            one.open.credential.secret.expose(),
            delivery.credential.secret.expose()
        );
        let key = rig.sealer.lane_key(delivery.destination.id);
        assert_eq!(one.message.key(), Some(key.as_bytes()));
        let gtid = header_of(&one.message, "X-Global-Transaction-Id");
        assert_eq!(gtid, Some(&b"request-1"[..]));
        let value = String::from_utf8_lossy(one.message.payload().unwrap());
        for secret in ["node", "xoxb", &*destination(1).address] {
            assert!(!value.contains(secret), "{secret} in {value}");
        }
    }
    fan_out.stop().await;
    assert_eq!(rig.committed().await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_to_a_hundred_thousand_is_accepted_whole() {
    const COUNT: u32 = 100_000;
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let channels: Vec<u32> = (0..COUNT).collect();
    let long = alert(Severity::Normal, "everybody", &channels);
    let began = Instant::now();
    rig.accept(&long).await.unwrap();
    let accepted_in = began.elapsed();
    rig.accept(&alert(Severity::Normal, "after", &[7]))
        .await
        .unwrap();
    let published = rig.published(COUNT as usize + 1).await;
    println!(
        "accepted in {} ms, published in {} ms",
        accepted_in.as_millis(),
        began.elapsed().as_millis()
    );
    let (taken, dropped) = taken(&published);
    assert_eq!(dropped, 0);
    let sequence = published[0].open.place.sequence;
    assert!(sequence > 0, "it was not published in chunks");
    let alerts = [long, alert(Severity::Normal, "after", &[7])];
    assert_eq!(taken, expected(&rig.topics, sequence, &alerts));
    fan_out.stop().await;
    assert_eq!(rig.committed().await, Some(sequence as i64 + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_published_twice_is_delivered_once() {
    let rig = Rig::new(Format::Sealed).await;
    let twice = alert(Severity::Normal, "twice", &[1, 2]);
    let other = alert(Severity::Normal, "other", &[1]);
    rig.accept(&twice).await.unwrap();
    rig.accept(&other).await.unwrap();
    let fan_out = rig.fan_out();
    rig.committed_to(2).await;
    fan_out.stop().await;
    // Another process knows it too, though it begins after it.
    rig.accept(&twice).await.unwrap();
    rig.accept(&other).await.unwrap();
    rig.accept(&alert(Severity::Normal, "last", &[1]))
        .await
        .unwrap();
    let fan_out = rig.fan_out();
    let published = rig.published(4).await;
    let sequences: Vec<u64> = published
        .iter()
        .map(|one| one.open.place.sequence)
        .collect();
    assert_eq!(sequences.iter().max(), Some(&4));
    assert!(!sequences.contains(&2) && !sequences.contains(&3));
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_accepted_and_delivered_in_one_order() {
    const COUNT: u32 = 2_000;
    let rig = std::sync::Arc::new(Rig::new(Format::Sealed).await);
    let fan_out = rig.fan_out();
    let accepting: Vec<_> = (0..COUNT)
        .map(|n| {
            let rig = rig.clone();
            let alert = alert(Severity::Normal, "storm", &[n % 50, (n + 1) % 50]);
            tokio::spawn(async move { rig.accept(&alert).await })
        })
        .collect();
    for accepted in accepting {
        accepted.await.unwrap().unwrap();
    }
    let published = rig.published(2 * COUNT as usize).await;
    let (taken, dropped) = taken(&published);
    assert_eq!(dropped, 0);
    assert_eq!(taken.values().map(Vec::len).sum::<usize>(), published.len());
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_concerns_nobody_is_accepted_and_holds_nothing_up() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let alerts = [
        alert(Severity::Normal, "nobody", &[]),
        alert(Severity::Normal, "somebody", &[1]),
    ];
    for alert in &alerts {
        rig.accept(alert).await.unwrap();
    }
    let published = rig.published(1).await;
    assert_eq!(taken(&published), (expected(&rig.topics, 0, &alerts), 0));
    fan_out.stop().await;
    assert_eq!(rig.publisher.health(), Ok(()));
}
