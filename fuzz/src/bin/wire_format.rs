//! The records of Kafka's topics. What is read is written so that it reads the same.
#![no_main]

use common::wire::{
    AlertBody, AlertRecord, ControlRecord, DeliveryRecord, OutcomeRecord, StateRecord,
};
use kafka::records::read_message;
use libfuzzer_sys::fuzz_target;
use rdkafka::{Timestamp, message::OwnedMessage};
use serde::{Serialize, de::DeserializeOwned};

fn reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(record) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let written = serde_json::to_string(&record).expect("a record can be written");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).expect("a record"), written);
}

fuzz_target!(|bytes: &[u8]| {
    reads_back::<AlertRecord>(bytes);
    reads_back::<AlertBody>(bytes);
    reads_back::<DeliveryRecord>(bytes);
    reads_back::<OutcomeRecord>(bytes);
    reads_back::<StateRecord>(bytes);
    reads_back::<ControlRecord>(bytes);
    let timestamp = Timestamp::CreateTime(0);
    let (topic, payload) = ("error-noti-topic".to_owned(), Some(bytes.to_vec()));
    let _ = read_message(&OwnedMessage::new(
        payload, None, topic, timestamp, 0, 0, None,
    ));
});
