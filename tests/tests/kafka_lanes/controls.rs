//! What people want, as producers write it.

use std::time::Duration;

use common::{
    Severity, UtcMillis,
    wire::{ControlRecord, OutcomePart, OutcomeRecord, ReplayRecord, VERSION},
};
use kafka::{Format, partition_of};
use rdkafka::Message;

use crate::{
    member::{Member, until},
    rig::{PARTITIONS, Rig, alert, destination},
};

async fn control(rig: &Rig, partition: i32, record: &ControlRecord) {
    let json = serde_json::to_vec(record).unwrap();
    rig.write(&rig.topics.control, partition, Some(&json)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_not_sent_and_what_is_replayed_is_sent_again() {
    let rig = Rig::new(Format::Sealed).await;
    let fan_out = rig.fan_out();
    let partition = partition_of(destination(1).id, PARTITIONS);
    // Nobody delivers yet.
    let first = alert(Severity::Normal, "first", &[1]);
    let second = alert(Severity::Normal, "second", &[1]);
    rig.accept(&first).await.unwrap();
    rig.accept(&second).await.unwrap();
    let published = rig.published(2).await;
    let of = |alert: &common::AcceptedAlert| {
        let id = alert.alert.id;
        let found = published.iter().find(|one| one.record.meta.alert_id == id);
        found.unwrap().record.clone()
    };
    let cancel = ControlRecord::Cancel {
        v: VERSION,
        alert_id: first.alert.id,
        sequence: of(&first).meta.place.sequence,
        severity: Severity::Normal,
        last: 0,
    };
    control(&rig, partition, &cancel).await;
    let member = Member::start(&rig, Duration::ZERO);
    until("the second is delivered", || member.ended() == 1).await;
    // What a lane holds is not replayed: both have ended, on record.
    rig.records(&rig.topics.outcomes, 2).await;
    for record in [of(&first), of(&second)] {
        let replay = ReplayRecord {
            v: VERSION,
            delivery: *record,
            attempts: 1,
            replayed_at: UtcMillis(1_800_000_000_000),
            repeated: false,
        };
        control(&rig, partition, &ControlRecord::Replay(Box::new(replay))).await;
    }
    until("both are delivered", || member.ended() == 3).await;
    let texts = member.texts().into_values().next().unwrap();
    assert_eq!(texts[0], "[normal] second");
    let outcomes = rig.records(&rig.topics.outcomes, 6).await;
    let outcomes = outcomes.iter().map(|record| {
        let record: OutcomeRecord = serde_json::from_slice(record.payload().unwrap()).unwrap();
        record.outcome
    });
    let mut counts = [0; 3];
    for outcome in outcomes {
        match outcome {
            OutcomePart::Cancelled => counts[0] += 1,
            OutcomePart::Delivered => counts[1] += 1,
            OutcomePart::Replayed {
                repeated: false, ..
            } => counts[2] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(counts, [1, 3, 2]);
    fan_out.stop().await;
}
