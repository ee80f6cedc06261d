//! One half swapped for the original's, while the other runs on: what its producer writes
//! our consumers deliver, what ours write its consumer reads, and the group's offsets are
//! handed over between the two kinds of consumer.

use std::{collections::BTreeSet, time::Duration};

use kafka::Format;
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ThreadedProducer},
};
use serde_json::Value;
use tests::{
    harness::{Directory, LONG, wait_for},
    scaled_out::{Site, SiteOptions},
    services::{Kafka, Postgres},
};

/// The original's producer: three fields as JSON, no key, and the header of its library.
struct TheirProducer {
    producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext>,
    topic: String,
}

impl TheirProducer {
    fn new(site: &Site) -> Self {
        let settings = site.options.settings();
        Self {
            producer: ClientConfig::new()
                .set("bootstrap.servers", &settings.brokers)
                .create()
                .unwrap(),
            topic: settings.topic,
        }
    }

    fn write(&self, channel: &str, message: &str) {
        let body = serde_json::json!({
            "token": format!("their-token-{channel}"), "channelId": channel, "message": message,
        });
        let payload = body.to_string();
        let header = Header {
            key: "__TypeId__",
            value: Some("com.example.NotificationMessage"),
        };
        let record = BaseRecord::<(), str>::to(&self.topic)
            .payload(&payload)
            .headers(OwnedHeaders::new().insert(header));
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
        self.producer.flush(LONG).unwrap();
    }
}

/// The original's consumer: the classic protocol of groups, offsets committed after work.
struct TheirConsumer(BaseConsumer);

impl TheirConsumer {
    fn start(site: &Site) -> Self {
        let settings = site.options.settings();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .unwrap();
        consumer.subscribe(&[&settings.topic]).unwrap();
        Self(consumer)
    }

    /// Reads so many messages, each with the three fields that it knows, and commits.
    fn read(&self, count: usize) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        wait_for("messages for the original's consumer", 2 * LONG, || {
            while texts.len() < count {
                let message = self.0.poll(Duration::from_millis(100))?.unwrap();
                let value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
                let fields: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
                assert_eq!(fields, ["channelId", "message", "token"], "{value}");
                assert_eq!(message.key(), None);
                texts.insert(value["message"].as_str().unwrap().to_owned());
                self.0.commit_message(&message, CommitMode::Sync).unwrap();
            }
            Some(())
        });
        texts
    }
}

fn plain_site(consumers: usize) -> Site {
    let options = SiteOptions::on(Kafka::shared(), Postgres::shared()).format(Format::Plain);
    Site::start(options, Directory::of_users(3), 1, consumers)
}

fn accept(site: &Site, texts: &[&str]) {
    for (text, severity) in texts.iter().zip(["high", "normal", "low"].iter().cycle()) {
        let answer = site.producers[0].alert(&["@user1"], severity, text);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn what_the_originals_producer_writes_our_consumers_deliver_as_it_came() {
    let site = plain_site(2);
    let theirs = TheirProducer::new(&site);
    theirs.write("C7", "[high] node1 down");
    theirs.write("C8", "<!channel> no severity & at all");
    let messages = site.mockup.wait_for(2);
    let mut seen: Vec<_> = messages
        .iter()
        .map(|one| (one.channel.as_str(), one.text.as_str(), one.token.as_str()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("C7", "[high] node1 down", "their-token-C7"),
            ("C8", "<!channel> no severity & at all", "their-token-C8"),
        ]
    );
}

#[test]
fn the_originals_consumer_reads_ours_and_ours_go_on_where_it_stopped() {
    let mut site = plain_site(0);
    accept(&site, &["one", "two", "three"]);
    let theirs = TheirConsumer::start(&site);
    let read = theirs.read(3);
    let expected = ["[high] one", "[low] three", "[normal] two"];
    assert!(read.iter().eq(expected), "{read:?}");
    // Stopped, and out of the group, before ours begin.
    drop(theirs);
    accept(&site, &["four", "five"]);
    site.add_consumer();
    site.mockup.wait_for(2);
    accept(&site, &["six"]);
    site.mockup.wait_for(3);
    let texts: BTreeSet<_> = site.mockup.texts("C1").into_iter().collect();
    let expected = ["[high] four", "[high] six", "[normal] five"];
    assert!(texts.iter().eq(expected), "{texts:?}");
}

#[test]
fn the_originals_consumer_goes_on_where_ours_stopped() {
    let mut site = plain_site(1);
    accept(&site, &["one", "two", "three"]);
    site.mockup.wait_for(3);
    let mut topics = site.topics();
    wait_for("every delivery to end", LONG, || {
        topics.read();
        (topics.ended() == 3).then_some(())
    });
    site.consumers[0].stop();
    accept(&site, &["four", "five"]);
    let theirs = TheirConsumer::start(&site);
    let read = theirs.read(2);
    assert!(read.iter().eq(["[high] four", "[normal] five"]), "{read:?}");
    assert_eq!(site.mockup.messages().len(), 3);
}
