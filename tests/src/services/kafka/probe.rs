//! Questions to brokers, by a client of each.

use std::{net::TcpStream, thread, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    metadata::Metadata,
};

use super::broker::Broker;

/// For one question; those who wait ask again.
const ANSWER: Duration = Duration::from_secs(5);
const CREATION: Duration = Duration::from_secs(60);

/// What this broker knows of the cluster; `None` where it does not answer.
pub(super) fn metadata(broker: &Broker) -> Option<Metadata> {
    // The client would take its time until it tries a refused connection again.
    TcpStream::connect_timeout(&broker.address, ANSWER).ok()?;
    let client = client(&broker.address.to_string());
    client.inner().fetch_metadata(None, ANSWER).ok()
}

/// Whether this broker says that it and so many in all are in service.
pub(super) fn is_ready(broker: &Broker, brokers: usize) -> bool {
    metadata(broker).is_some_and(|metadata| {
        let mut ids = metadata.brokers().iter().map(|broker| broker.id());
        metadata.brokers().len() >= brokers && ids.any(|id| id == broker.id)
    })
}

/// Whether this broker knows a leader of each partition of a topic.
pub(super) fn has_topic(broker: &Broker, name: &str, partitions: usize) -> bool {
    metadata(broker).is_some_and(|metadata| {
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        topic.is_some_and(|topic| {
            let led = topic.partitions().iter().filter(|part| part.leader() >= 0);
            led.count() == partitions
        })
    })
}

/// Whether this broker knows each replica of each partition to be in sync.
pub(super) fn is_in_sync(broker: &Broker) -> bool {
    metadata(broker).is_some_and(|metadata| {
        let topics = metadata.topics().iter();
        topics
            .flat_map(|topic| topic.partitions())
            .all(|part| part.leader() >= 0 && part.isr().len() == part.replicas().len())
    })
}

/// Creates a topic.
pub(super) fn create_topic(
    bootstrap: &str,
    name: &str,
    partitions: i32,
    replication: i32,
    settings: &[(&str, &str)],
) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
    topic.config.extend_from_slice(settings);
    let client = client(bootstrap);
    let options = AdminOptions::new().operation_timeout(Some(CREATION));
    let created = client.create_topics([&topic], &options);
    // On a thread of its own: the caller's may belong to a runtime.
    let results = thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime");
            runtime.block_on(created)
        });
        waiting.join().expect("no panic")
    });
    for result in results.unwrap_or_else(|error| panic!("topic {name}: {error}")) {
        result.unwrap_or_else(|(name, error)| panic!("topic {name}: {error}"));
    }
}

fn client(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .expect("a client")
}
