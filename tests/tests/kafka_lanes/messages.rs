//! Messages of other producers, and what is no message.

use std::time::Duration;

use common::Severity;
use kafka::Format;
use rdkafka::Message;

use crate::{
    member::{Member, until},
    rig::{Rig, alert},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_producer_is_delivered_as_it_came_and_poison_stops_nobody() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let member = Member::start(&rig, Duration::ZERO);
    let topic = rig.topics.deliveries.clone();
    let long = vec![b'x'; 900 * 1024];
    let message = br#"{"token":"t","channelId":"their-channel","message":"[low] node1 down"}"#;
    for partition in 0..2 {
        rig.write(&topic, partition, Some(b"no JSON")).await;
        rig.write(&topic, partition, Some(&long)).await;
        rig.write(&topic, partition, None).await;
        rig.write(&topic, partition, Some(br#"{"v":9}"#)).await;
        rig.write(&topic, partition, Some(message)).await;
    }
    rig.accept(&alert(Severity::Normal, "ours", &[1]))
        .await
        .unwrap();
    until("three are delivered", || member.ended() == 3).await;
    let texts = member.texts();
    assert_eq!(texts["their-channel"], ["[low] node1 down"; 2]);
    let letters = rig.records(&rig.topics.dead_letters, 8).await;
    assert_eq!(letters.len(), 8);
    let found = letters
        .iter()
        .map(|letter| letter.payload().map(<[u8]>::len));
    let mut found: Vec<_> = found.collect();
    found.sort();
    let lengths = [None, Some(7), Some(7), Some(900 * 1024)];
    let mut expected: Vec<_> = lengths.iter().cycle().take(8).copied().collect();
    expected.sort();
    assert_eq!(found, expected);
    fan_out.stop().await;
}
