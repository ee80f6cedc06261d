//! What the scaled-out form shares between processes: PostgreSQL and Apache Kafka.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, value_parser};

use crate::config::kafka::KafkaFormat;
use crate::config::secret::SecretText;
use crate::config::values;

/// The database of the scaled-out form.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "PostgreSQL")]
pub(crate) struct DatabaseSettings {
    /// PostgreSQL with directory and history: postgres://user:password@host/database
    #[arg(
        long,
        env = "ERROR_NOTIFIER_DATABASE_URL",
        value_name = "URL",
        required = true
    )]
    pub(crate) database_url: Option<SecretText>,
}

/// The database that a command works on by itself, where it is not a data folder.
#[derive(Args, Debug, Clone)]
pub(crate) struct OfflineDatabase {
    /// With --offline: the PostgreSQL to work on instead of a data folder
    #[arg(long, env = "ERROR_NOTIFIER_DATABASE_URL", value_name = "URL")]
    pub(crate) database_url: Option<SecretText>,
}

/// The queue of the scaled-out form.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaSettings {
    /// Brokers to begin with: host:9092,host:9092
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_BROKERS",
        value_name = "BROKERS",
        required = true
    )]
    pub(crate) kafka_brokers: Option<String>,

    /// Topic of the deliveries; the other topics' names begin with it
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_TOPIC",
        default_value = "error-noti-topic",
        value_name = "TOPIC"
    )]
    pub(crate) kafka_topic: String,

    /// Consumer group of the consumers; the other groups' names begin with it
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_GROUP",
        default_value = "error-noti-group",
        value_name = "GROUP"
    )]
    pub(crate) kafka_group: String,

    /// Partitions of the topics, where they are made; never to be changed after (1 to 1000)
    #[arg(long, env = "ERROR_NOTIFIER_KAFKA_PARTITIONS", default_value = "12", value_name = "PARTITIONS", value_parser = value_parser!(u16).range(1..=1000))]
    pub(crate) kafka_partitions: u16,

    /// Replicas of the topics, where they are made (1 to 15)
    #[arg(long, env = "ERROR_NOTIFIER_KAFKA_REPLICATION", default_value = "3", value_name = "REPLICAS", value_parser = value_parser!(u16).range(1..=15))]
    pub(crate) kafka_replication: u16,

    /// Create topics that are missing
    #[arg(long, env = "ERROR_NOTIFIER_KAFKA_CREATE_TOPICS", default_value = "true", value_name = "TRUTH", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(crate) kafka_create_topics: bool,

    /// Accept topics with fewer than 3 replicas or min.insync.replicas below 2, which lose
    /// accepted alerts with a broker's disk
    #[arg(long, env = "ERROR_NOTIFIER_KAFKA_ACCEPT_WEAK_TOPICS", value_parser = BoolishValueParser::new())]
    pub(crate) kafka_accept_weak_topics: bool,

    /// Form of the messages: `sealed`, or `plain` with the three fields of the contract
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_FORMAT",
        default_value = "sealed",
        value_name = "FORM"
    )]
    pub(crate) kafka_format: KafkaFormat,

    /// File with the keys that messages are sealed with, `id:base64` a line; the first
    /// seals, all open
    #[arg(long, env = "ERROR_NOTIFIER_KAFKA_KEY_FILE", value_name = "FILE")]
    pub(crate) kafka_key_file: Option<PathBuf>,

    /// The keys themselves, in the environment rather than here
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_KEYS",
        value_name = "KEYS",
        conflicts_with = "kafka_key_file"
    )]
    pub(crate) kafka_keys: Option<SecretText>,

    /// Properties of librdkafka, `name=value` a line; in the file a table [kafka]
    #[arg(
        long,
        env = "ERROR_NOTIFIER_KAFKA_PROPERTIES",
        default_value = "",
        hide_default_value = true,
        value_name = "PROPERTIES"
    )]
    pub(crate) kafka_properties: SecretText,
}

/// How patient the start is.
#[derive(Args, Debug, Clone)]
pub(crate) struct WaitSettings {
    /// How long to wait at the start for brokers and database (0s to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_WAIT", default_value = "60s", value_name = "TIME", value_parser = values::wait)]
    pub(crate) wait: Duration,
}
