//! A Kafka cluster keeps what it acknowledged, and can be broken broker by broker.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
    util::Timeout,
};
use tests::{
    harness::{Scratch, until},
    services::{Kafka, KafkaOptions},
};
use tokio::runtime::Builder;

const TOPIC: &str = "words";
/// For one record; longer than a cluster takes to get over a broker's end.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_record_is_produced_and_consumed() {
    let cluster = Kafka::shared();
    cluster.create_topic(TOPIC, 3);
    produce(&cluster.bootstrap(), TOPIC, "kept", PATIENCE).expect("an acknowledgement");
    assert_eq!(consume(&cluster.bootstrap(), TOPIC, 1), ["kept"]);
}

#[test]
fn no_topic_is_made_by_writing_to_it() {
    let cluster = Kafka::shared();
    let refused = produce(&cluster.bootstrap(), "unheard-of", "lost", PATIENCE);
    let error = refused.expect_err("there is no such topic");
    let code = error.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::UnknownTopicOrPartition));
}

#[test]
fn what_was_acknowledged_outlives_a_pause_a_stop_and_a_kill_on_the_same_port() {
    let mut cluster = KafkaOptions::new(1).with("num.partitions", "5").start();
    let bootstrap = cluster.bootstrap();
    cluster.create_topic(TOPIC, 1);
    produce(&bootstrap, TOPIC, "one", PATIENCE).expect("an acknowledgement");

    cluster.pause(1);
    let silence = produce(&bootstrap, TOPIC, "never", Duration::from_secs(1));
    let error = silence.expect_err("nobody answers");
    let code = error.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::MessageTimedOut));
    cluster.resume(1);

    cluster.stop(1);
    cluster.start_again(1);
    produce(&bootstrap, TOPIC, "two", PATIENCE).expect("an acknowledgement");
    cluster.kill(1);
    cluster.start_again(1);
    assert_eq!(consume(&bootstrap, TOPIC, 2), ["one", "two"]);
    assert_eq!(cluster.bootstrap(), bootstrap);
}

#[test]
fn a_cluster_of_three_goes_on_without_one_and_takes_it_back() {
    let mut cluster = Kafka::start(3);
    cluster.create_topic(TOPIC, 3);
    cluster.await_in_sync();
    let bootstrap = cluster.bootstrap();
    assert_eq!(setting(&bootstrap, TOPIC, "min.insync.replicas"), "2");
    produce(&bootstrap, TOPIC, "before", PATIENCE).expect("an acknowledgement");

    cluster.kill(2);
    for number in 0..6 {
        // Whatever the partition, and whoever led it.
        let word = format!("without {number}");
        produce(&bootstrap, TOPIC, &word, PATIENCE).expect("an acknowledgement by two");
    }

    cluster.start_again(2);
    cluster.await_in_sync();
    // All that was written meanwhile is on the one that was away.
    cluster.kill(3);
    let words = consume(&bootstrap, TOPIC, 7);
    assert!(words.contains(&"before".to_owned()), "{words:?}");
}

#[test]
fn a_lasting_broker_outlives_its_handle_and_finds_its_data_again() {
    let scratch = Scratch::new("lasting");
    let cluster = Kafka::start_lasting(scratch.path());
    cluster.create_topic(TOPIC, 1);
    produce(&cluster.bootstrap(), TOPIC, "kept", PATIENCE).expect("an acknowledgement");
    for left in cluster.leave() {
        assert!(left.is_running());
        Kafka::end(left);
        assert!(!left.is_running());
    }

    let cluster = Kafka::start_lasting(scratch.path());
    assert_eq!(consume(&cluster.bootstrap(), TOPIC, 1), ["kept"]);
}

/// Writes a record, which is to be acknowledged in time.
fn produce(bootstrap: &str, topic: &str, word: &str, limit: Duration) -> Result<(), KafkaError> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("delivery.timeout.ms", limit.as_millis().to_string())
        // How long a topic may be unknown until it is said so.
        .set("topic.metadata.propagation.max.ms", "100")
        .create()?;
    let record = FutureRecord::<str, _>::to(topic).payload(word);
    let runtime = Builder::new_current_thread().enable_time().build();
    let sent = runtime
        .expect("a runtime")
        .block_on(producer.send(record, Timeout::Never));
    sent.map(drop).map_err(|(error, _)| error)
}

/// A topic's setting that is in force.
fn setting(bootstrap: &str, topic: &str, name: &str) -> String {
    let client: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("a client");
    let resources = [ResourceSpecifier::Topic(topic)];
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described = client.describe_configs(&resources, &options);
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let resources = runtime.block_on(described).expect("an answer");
    let resource = resources[0].as_ref().expect("a topic");
    let value = resource.get(name).and_then(|entry| entry.value.clone());
    value.unwrap_or_default()
}

/// The first records of a topic's partitions, in the order of their arrival here.
fn consume(bootstrap: &str, topic: &str, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE);
    let metadata = metadata.expect("an answer");
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions
            .add_partition_offset(topic, partition.id(), Offset::Beginning)
            .expect("a partition");
    }
    consumer.assign(&partitions).expect("an assignment");

    let mut words = Vec::new();
    until("records", || {
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            let word = record.payload().unwrap_or_default();
            words.push(String::from_utf8_lossy(word).into_owned());
        }
        words.len() == count
    });
    words
}
