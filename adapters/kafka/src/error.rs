//! Why the queue cannot be used.

use crate::settings::names;

/// Why the queue cannot be opened. One line each, that says what to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No broker answered in time.
    #[error(
        "Kafka at {brokers} cannot be reached: {reason}; start it or correct {}",
        names::BROKERS
    )]
    Unreachable {
        /// Where it was looked for.
        brokers: String,
        /// What librdkafka said last.
        reason: String,
    },
    /// The brokers do not let this client in.
    #[error(
        "Kafka at {brokers} refuses the login: {reason}; correct kafka.sasl.username and kafka.sasl.password, or kafka.security.protocol and kafka.sasl.mechanism, in the configuration file"
    )]
    Login {
        /// Where.
        brokers: String,
        /// What librdkafka said.
        reason: String,
    },
    /// A property that was passed through is none.
    #[error("the setting kafka.{property} cannot be used: {reason}")]
    Property {
        /// Its name.
        property: String,
        /// What librdkafka said, without its value.
        reason: String,
    },
    /// librdkafka could not begin.
    #[error("the Kafka client cannot start: {0}; look at the kafka.* settings")]
    Client(String),
    /// A topic is missing and cannot be created.
    #[error("the topic {topic} is missing and cannot be created: {reason}; {advice}")]
    Missing {
        /// The topic.
        topic: String,
        /// What the cluster said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// A topic has another number of partitions than it must have.
    #[error("the topic {topic} has {found} partitions where {wanted} are wanted; {advice}")]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it must have.
        wanted: usize,
        /// What to do.
        advice: String,
    },
    /// A topic is kept in a way that would lose records.
    #[error("the topic {topic} {problem}; {advice}")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// Other processes seal with a key that this one has not.
    #[error(
        "the last alert of the topic {topic} cannot be opened: {reason}; give every process the keys of all"
    )]
    OtherKeys {
        /// The topic.
        topic: String,
        /// Why.
        reason: sealing::Unopened,
    },
}
