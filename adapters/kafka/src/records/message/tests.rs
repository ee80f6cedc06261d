use common::{Severity, wire::Place};
use rdkafka::{Timestamp, message::OwnedMessage};

use super::*;
use crate::{
    records::{
        Outgoing, alert_records, delivery_record,
        fixtures::{alert, sealer},
        join, open_delivery, open_part,
    },
    sealer::Sealer,
    settings::{Format, Settings},
    topics::Topics,
};

fn message(payload: Option<Vec<u8>>, outgoing: Option<&Outgoing>) -> OwnedMessage {
    let headers = outgoing.and_then(|outgoing| outgoing.to_future().headers);
    OwnedMessage::new(
        payload,
        None,
        "error-noti-topic".into(),
        Timestamp::CreateTime(1_795_392_000_000),
        0,
        0,
        headers,
    )
}

fn read(payload: &str) -> Result<Message, Unreadable> {
    read_message(&message(Some(payload.into()), None))
}

/// As the fan-out writes it.
fn ours(severity: Severity, sealer: &Sealer) -> Outgoing {
    let accepted = alert(severity, "node1 down", 1);
    let record = alert_records(&accepted, sealer, 1_000_000).remove(0);
    let body = join(&[open_part(&record, sealer).unwrap()]).unwrap();
    let place = Place::from((7, 0));
    let (_, delivery) = delivery_record(&record, &body, &body.deliveries[0], place, sealer);
    let topics = Topics::new(&Settings {
        format: sealer.format(),
        ..Settings::default()
    });
    Outgoing::delivery(&topics, 3, "lane", &delivery)
}

#[test]
fn ours_are_read_in_either_format() {
    for format in [Format::Sealed, Format::Plain] {
        let sealer = sealer(format);
        let outgoing = ours(Severity::High, &sealer);
        let message = message(outgoing.payload.clone(), Some(&outgoing));
        let Ok(Message::Ours(record)) = read_message(&message) else {
            panic!("not read as ours");
        };
        let open = open_delivery(&record, &sealer).unwrap();
        assert_eq!(open.place, Place::from((7, 0)));
        assert_eq!(open.alert.text(), "[high] node1 down");
    }
}

#[test]
fn a_plain_message_has_the_three_fields_alone_no_key_and_one_topic() {
    let outgoing = ours(Severity::High, &sealer(Format::Plain));
    assert_eq!(outgoing.topic, "error-noti-topic");
    assert_eq!((outgoing.key, outgoing.partition), (None, 3));
    let value: serde_json::Value =
        serde_json::from_slice(outgoing.payload.as_deref().unwrap()).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "token": "xoxb-\"0\"",
            "channelId": "channel-0",
            "message": "[high] node1 down",
        })
    );
}

#[test]
fn a_sealed_message_has_its_lanes_key_and_the_topic_of_its_severity() {
    for (severity, topic) in [
        (Severity::High, "error-noti-topic.high"),
        (Severity::Normal, "error-noti-topic"),
        (Severity::Low, "error-noti-topic"),
    ] {
        let outgoing = ours(severity, &sealer(Format::Sealed));
        assert_eq!(outgoing.topic, topic);
        assert_eq!(outgoing.key.as_deref(), Some(&b"lane"[..]));
    }
}

#[test]
fn a_message_with_only_the_three_fields_is_somebody_elses() {
    let json = r#"{"token":"t","channelId":"c","message":"[normal] m","v":"x","extra":{"a":1}}"#;
    let Ok(Message::Foreign(foreign)) = read(json) else {
        panic!("not read as somebody else's");
    };
    assert_eq!(foreign.contract.token.expose(), "t");
    assert_eq!(foreign.contract.channel_id.expose(), "c");
    assert_eq!(foreign.contract.message.expose(), "[normal] m");
    assert_eq!(foreign.written_at, UtcMillis(1_795_392_000_000));
    assert_eq!(foreign.gtid, None);
}

#[test]
fn what_cannot_be_read_is_told_why_and_not_quoted() {
    assert_eq!(
        read_message(&message(None, None)).unwrap_err(),
        Unreadable::Empty
    );
    assert_eq!(
        read(r#"{"v":2}"#).unwrap_err(),
        Unreadable::UnknownVersion(2)
    );
    let long = format!(r#"{{"token":"{}"}}"#, "x".repeat(900_000));
    assert_eq!(read(&long).unwrap_err(), Unreadable::TooLong(long.len()));
    for json in [
        "",
        "hello",
        "[1]",
        "\"secret\"",
        r#"{"token":"secret","channelId":"c"}"#,
        r#"{"token":"secret","channelId":null,"message":"m"}"#,
        r#"{"token":"secret","channelId":7,"message":"m"}"#,
        r#"{"v":1,"token":"secret","channelId":"c","message":"m"}"#,
    ] {
        let error = read(json).unwrap_err();
        assert!(matches!(error, Unreadable::Malformed(_)), "{json}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn fields_of_later_versions_are_kept() {
    let outgoing = ours(Severity::Low, &sealer(Format::Sealed));
    let mut value: serde_json::Value =
        serde_json::from_slice(outgoing.payload.as_deref().unwrap()).unwrap();
    value["later"] = serde_json::json!({"a": [1]});
    let Ok(Message::Ours(record)) = read(&value.to_string()) else {
        panic!("not read as ours");
    };
    assert_eq!(serde_json::to_value(&record).unwrap(), value);
}
