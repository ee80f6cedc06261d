//! The plain format, and messages of other producers.

use common::Severity;
use kafka::{
    Format,
    records::{Message, read_message},
};
use rdkafka::Message as _;

use crate::rig::{Rig, alert, expected, taken};

#[tokio::test(flavor = "multi_thread")]
async fn plain_messages_have_three_fields_and_no_key_and_all_severities_in_one_topic() {
    let rig = Rig::new(Format::Plain).await;
    let fan_out = rig.fan_out();
    let alerts = [
        alert(Severity::Normal, "node1 \"down\"", &[1, 2]),
        alert(Severity::High, "node2 down", &[2]),
        alert(Severity::Low, "node3 slow", &[1]),
    ];
    for alert in &alerts {
        rig.accept(alert).await.unwrap();
    }
    let published = rig.published(4).await;
    assert_eq!(taken(&published), (expected(&rig.topics, 0, &alerts), 0));
    for one in &published {
        let accepted = &alerts[one.open.place.sequence as usize];
        let delivery = &accepted.deliveries[one.open.place.ordinal as usize];
        assert_eq!(one.message.topic(), rig.settings.topic);
        assert_eq!(one.message.key(), None);
        let value: serde_json::Value =
            serde_json::from_slice(one.message.payload().unwrap()).unwrap();
        let expected = serde_json::json!({
            "token": delivery.credential.secret.expose(),
            "channelId": &*delivery.destination.address,
            "message": accepted.alert.text(),
        });
        assert_eq!(value, expected);
    }
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_producer_becomes_an_alert_however_often_it_is_adopted() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let json = br#"{"token":"t","channelId":"C1","message":"[high] as it came"}"#;
    rig.write(&rig.topics.deliveries, 1, Some(json)).await;
    let message = rig.records(&rig.topics.deliveries, 1).await.remove(0);
    let Ok(Message::Foreign(foreign)) = read_message(&message) else {
        panic!("not read as somebody else's");
    };
    for _ in 0..2 {
        let records = kafka::adopt(&foreign, &message, &rig.topics, &rig.sealer, rig.limits);
        for record in records {
            let payload = record.payload.as_deref();
            rig.write(&record.topic, record.partition, payload).await;
        }
    }
    rig.accept(&alert(Severity::Normal, "after", &[1]))
        .await
        .unwrap();
    let published = rig.published(2).await;
    assert_eq!(published.len(), 2);
    let adopted = published
        .iter()
        .find(|one| one.open.place.sequence == 0)
        .unwrap();
    assert_eq!(adopted.open.alert.text(), "[high] as it came");
    assert_eq!(*adopted.open.destination.address, *"C1");
    assert_eq!(adopted.open.credential.secret.expose(), "t");
    assert!(adopted.record.meta.users.is_empty());
    fan_out.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_alert_goes_to_the_dead_letters_as_it_was_and_stops_nobody() {
    let rig = Rig::new(Format::Sealed).await;
    let poison = [&b"hello"[..], b"{\"v\":2}", &[b'x'; 900_000]];
    for payload in poison {
        rig.write(&rig.topics.alerts, 0, Some(payload)).await;
    }
    rig.write(&rig.topics.alerts, 0, None).await;
    rig.accept(&alert(Severity::Normal, "after", &[1]))
        .await
        .unwrap();
    let fan_out = rig.fan_out();
    assert_eq!(rig.published(1).await[0].open.place.sequence, 4);
    let letters = rig.records(&rig.topics.dead_letters, 4).await;
    let payloads: Vec<_> = letters.iter().map(|letter| letter.payload()).collect();
    assert_eq!(
        payloads,
        [Some(poison[0]), Some(poison[1]), Some(poison[2]), None]
    );
    for (letter, offset) in letters.iter().zip(0..) {
        let header = |name| kafka::records::header_of(letter, name).map(String::from_utf8_lossy);
        let found = format!("{}-0-{offset}", rig.topics.alerts);
        assert_eq!(header("error-notifier-found").unwrap(), found);
        assert!(!header("error-notifier-reason").unwrap().is_empty());
    }
    fan_out.stop().await;
    assert_eq!(rig.committed().await, Some(5));
}
