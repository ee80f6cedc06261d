//! How the cluster is reached and used.

use std::{collections::BTreeMap, time::Duration};

/// Names of settings as a person gives them, for messages that say what to mend.
pub(crate) mod names {
    pub(crate) const BROKERS: &str = "--kafka-brokers";
    pub(crate) const PARTITIONS: &str = "--kafka-partitions";
    pub(crate) const REPLICATION: &str = "--kafka-replication";
    pub(crate) const ACCEPT_WEAK_TOPICS: &str = "--kafka-accept-weak-topics";
    pub(crate) const FORMAT: &str = "--kafka-format";
    pub(crate) const KEY_FILE: &str = "--kafka-key-file";
    pub(crate) const KEYS: &str = "ERROR_NOTIFIER_KAFKA_KEYS";
}

/// How the cluster is reached and used.
#[derive(Clone)]
pub struct Settings {
    /// Where the cluster is first asked: `host:port`, several with commas.
    pub brokers: String,
    /// The name that the topics' names begin with.
    pub topic: String,
    /// The name that the consumer groups' names begin with.
    pub group: String,
    /// Partitions of the topics with lanes; never changes once there is data.
    pub partitions: u16,
    /// How many brokers keep each record of a topic that is created.
    pub replication: u16,
    /// Whether topics that are missing may be created.
    pub create_topics: bool,
    /// Whether topics may be used that lose records where one broker is lost.
    pub accept_weak_topics: bool,
    /// How deliveries are written.
    pub format: Format,
    /// How long the publication of an alert may take before it is given up. From 1 s to
    /// 5 min.
    pub delivery_timeout: Duration,
    /// The `kafka.*` keys of the configuration file, for librdkafka as they are. What
    /// the protocol depends on (`acks`, commits, assignment) is set over them.
    /// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
    pub properties: BTreeMap<String, String>,
}

/// How deliveries are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Tokens, addresses and texts are sealed with a key.
    #[default]
    Sealed,
    /// As the first producers wrote them, for consumers without a key: three fields
    /// that anybody can read who may read the topic.
    Plain,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: String::new(),
            topic: "error-noti-topic".into(),
            group: "error-noti-group".into(),
            partitions: 12,
            replication: 3,
            create_topics: true,
            accept_weak_topics: false,
            format: Format::default(),
            delivery_timeout: Duration::from_secs(10),
            properties: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The group of those who may fan out.
    pub(crate) fn fan_out_group(&self) -> String {
        format!("{}.fanout", self.group)
    }

    /// The group of those who write the history.
    pub(crate) fn history_group(&self) -> String {
        format!("{}.history", self.group)
    }
}

impl std::fmt::Debug for Settings {
    /// Without the properties' values, since a password may be among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("group", &self.group)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("create_topics", &self.create_topics)
            .field("accept_weak_topics", &self.accept_weak_topics)
            .field("format", &self.format)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let settings = Settings {
            properties: [("sasl.password".to_owned(), "hunter2".to_owned())].into(),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
