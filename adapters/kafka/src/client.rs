//! Clients of the cluster: their settings, what they log, and whether they reach it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::task::spawn_blocking;

use crate::{error::OpenError, settings::Settings};

/// How long one question to the cluster may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The same error is logged no more often than this.
const QUIET: Duration = Duration::from_secs(60);

/// What every client has in common. What is set here can be changed by `kafka.*`; what
/// the protocol depends on is set by [`producer()`] and [`consumer()`] over these.
pub(crate) fn common(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "error-notifier")
        .set("socket.keepalive.enable", "true")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000");
    for (key, value) in &settings.properties {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", &settings.brokers)
        // Read by nobody, and costs time even when nothing happens.
        .set("statistics.interval.ms", "0")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// How long a producer's record waits for others to share its request, in milliseconds.
/// Without, each of many records at once wakes librdkafka's thread and makes a request of
/// its own: sixty-four clients post a third more alerts a second with it, and wait less
/// long, median and p99. A lone record pays it in full, and takes 0.3 ms otherwise.
const LINGER_MS: &str = "0.2";

/// Sets what `kafka.*` has not set.
pub(crate) fn set_unless_given(config: &mut ClientConfig, key: &str, value: &str) {
    if config.get(key).is_none() {
        config.set(key, value);
    }
}

/// A producer that keeps order and writes nothing twice by itself.
pub(crate) fn producer(settings: &Settings) -> ClientConfig {
    let mut config = common(settings);
    remove_those_of(&mut config, &CONSUMER_ONLY);
    set_unless_given(&mut config, "linger.ms", LINGER_MS);
    config.set("enable.idempotence", "true").set("acks", "all");
    config
}

/// A consumer of that group that commits what it is told to and nothing else.
pub(crate) fn consumer(settings: &Settings, group: &str) -> ClientConfig {
    let mut config = common(settings);
    remove_those_of(&mut config, &PRODUCER_ONLY);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("allow.auto.create.topics", "false")
        .set("auto.offset.reset", "earliest");
    config
}

/// A consumer without a group, for asking and for reading on one's own.
pub(crate) fn reader(settings: &Settings) -> ClientConfig {
    let mut config = consumer(settings, "");
    config.remove("group.id").remove("group.protocol");
    config
}

/// Properties that librdkafka warns of in a client of the other kind, since one list is
/// passed through to both.
const CONSUMER_ONLY: [&str; 6] = [
    "group.protocol",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "fetch.wait.max.ms",
    "isolation.level",
];
const PRODUCER_ONLY: [&str; 5] = [
    "linger.ms",
    "compression.type",
    "compression.codec",
    "batch.size",
    "queue.buffering.max.kbytes",
];

fn remove_those_of(config: &mut ClientConfig, names: &[&str]) {
    for name in names {
        config.remove(name);
    }
}

pub(crate) fn admin(settings: &Settings) -> Result<AdminClient<DefaultClientContext>, OpenError> {
    Ok(reader(settings).create()?)
}

/// The longest record that the client sends, in bytes.
pub(crate) fn max_record(settings: &Settings) -> Result<usize, OpenError> {
    let native = producer(settings).create_native_config()?;
    let most = native.get("message.max.bytes")?;
    Ok(most.trim_end_matches('\0').parse().unwrap_or(1_000_000))
}

/// What a client logs, and where its errors go.
pub(crate) struct Events {
    /// What the client is for; stands on its log lines.
    name: &'static str,
    heard: Mutex<Heard>,
    on_error: Option<Box<OnError>>,
}

type OnError = dyn Fn(RDKafkaErrorCode, &str) + Send + Sync;

#[derive(Default)]
struct Heard {
    last: Option<(RDKafkaErrorCode, Instant)>,
    reason: Option<(RDKafkaErrorCode, String)>,
}

impl Events {
    /// Logs only.
    pub(crate) fn logged(name: &'static str) -> Self {
        Self {
            name,
            heard: Mutex::default(),
            on_error: None,
        }
    }

    /// Logs, and calls `on_error` with each error, on a thread of librdkafka or of the
    /// one that polls: it must not block.
    pub(crate) fn heard_by(
        name: &'static str,
        on_error: impl Fn(RDKafkaErrorCode, &str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            on_error: Some(Box::new(on_error)),
            ..Self::logged(name)
        }
    }

    /// The last error that says why the brokers cannot be reached.
    fn reason(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.lock().reason.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth a line.
    fn note(&self, code: RDKafkaErrorCode, reason: &str) -> bool {
        let mut heard = self.lock();
        // "All brokers are down" follows each of the errors that say why.
        if code != RDKafkaErrorCode::AllBrokersDown {
            heard.reason = Some((code, reason.to_owned()));
        }
        let now = Instant::now();
        let is_new = heard
            .last
            .is_none_or(|(last, at)| last != code || now - at > QUIET);
        if is_new {
            heard.last = Some((code, now));
        }
        is_new
    }
}

impl ClientContext for Events {
    /// librdkafka tells of each connection that failed, and whoever must know hears of it
    /// by [`error`](ClientContext::error).
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client = self.name, facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(client = self.name, facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        // No error: whoever reads to the end asked for it.
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        if self.note(code, reason) {
            tracing::warn!(client = self.name, error = %code, "Kafka: {reason}");
        }
        if let Some(on_error) = &self.on_error {
            on_error(code, reason);
        }
    }
}

impl ConsumerContext for Events {}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("name", &self.name).finish()
    }
}

/// The cluster, for questions.
#[derive(Clone)]
pub struct Cluster {
    asking: Arc<BaseConsumer<Events>>,
    settings: Settings,
}

/// What the cluster says of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TopicFacts {
    /// How many partitions it has.
    pub partitions: usize,
    /// How many brokers keep the partition that the fewest keep.
    pub replicas: usize,
    /// How many of them have everything, in the partition where the fewest do.
    pub in_sync: usize,
    /// Whether each partition has a leader.
    pub is_led: bool,
}

impl Cluster {
    /// Finds the cluster: tries once a second, and says so, until `wait` is over; where
    /// it is zero, once.
    pub async fn find(settings: &Settings, wait: Duration) -> Result<Self, OpenError> {
        let context = Events::logged("asking");
        let asking = reader(settings).create_with_context(context)?;
        let cluster = Self {
            asking: Arc::new(asking),
            settings: settings.clone(),
        };
        let began = Instant::now();
        loop {
            let round = Instant::now();
            let Err(error) = cluster.answers(Duration::from_secs(1)).await else {
                return Ok(cluster);
            };
            let waited = began.elapsed();
            if waited >= wait || matches!(error, OpenError::Login { .. }) {
                return Err(error);
            }
            tracing::warn!(
                "{error}; waiting for it, {} s more",
                (wait - waited).as_secs()
            );
            tokio::time::sleep(Duration::from_secs(1).saturating_sub(round.elapsed())).await;
        }
    }

    /// Whether a broker answers within that time; else why not.
    pub async fn answers(&self, within: Duration) -> Result<(), OpenError> {
        let (asking, topic) = (self.asking.clone(), self.settings.topic.clone());
        let answer = blocking(move || {
            // An unknown topic is as good an answer as any.
            let answer = asking.fetch_metadata(Some(&topic), within);
            serve_events(&asking);
            answer.map(|_| ())
        })
        .await;
        answer.map_err(|error| self.unreachable(&error))
    }

    /// What the cluster says of that topic; `None` where it has none.
    pub async fn topic(&self, name: &str) -> Result<Option<TopicFacts>, OpenError> {
        self.topic_within(name, ANSWER).await
    }

    pub(crate) async fn topic_within(
        &self,
        name: &str,
        within: Duration,
    ) -> Result<Option<TopicFacts>, OpenError> {
        let (asking, name) = (self.asking.clone(), name.to_owned());
        blocking(move || facts(&asking, &name, within))
            .await
            .map_err(|error| self.unreachable(&error))
    }

    /// Whether the controllers answer within that time; else why not.
    ///
    /// Where most of them are away, brokers go on telling what they knew last: leaders
    /// that are dead, and replicas in sync that are not. So this asks for something that
    /// a controller alone can answer, and that changes nothing: whether a topic that is
    /// there could be created.
    pub(crate) async fn is_controlled(&self, topic: &str, within: Duration) -> Result<(), String> {
        let admin = admin(&self.settings).map_err(|error| error.to_string())?;
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
        let options = AdminOptions::new()
            .request_timeout(Some(within))
            .operation_timeout(Some(within))
            .validate_only(true);
        let answers = admin.create_topics([&new], &options).await;
        // Ending a client waits for its threads.
        spawn_blocking(move || drop(admin));
        let refusal = answers
            .map_err(|error| error.to_string())?
            .into_iter()
            .find_map(Result::err);
        match refusal {
            None
            | Some((
                _,
                RDKafkaErrorCode::TopicAlreadyExists
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::PolicyViolation,
            )) => Ok(()),
            Some((_, code)) => Err(code.to_string()),
        }
    }

    fn unreachable(&self, error: &KafkaError) -> OpenError {
        let brokers = self.settings.brokers.clone();
        match self.asking.context().reason() {
            Some((
                RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed,
                reason,
            )) => OpenError::Login { brokers, reason },
            Some((_, reason)) => OpenError::Unreachable { brokers, reason },
            None => OpenError::Unreachable {
                brokers,
                reason: error.to_string(),
            },
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster")
            .field(&self.settings.brokers)
            .finish()
    }
}

/// Hears what librdkafka had to say meanwhile. A log line is an event too, and looks
/// as if there were none.
fn serve_events(asking: &BaseConsumer<Events>) {
    const MOST: usize = 100;
    for _ in 0..MOST {
        asking.poll(Duration::ZERO);
    }
}

fn facts(
    asking: &BaseConsumer<Events>,
    name: &str,
    within: Duration,
) -> KafkaResult<Option<TopicFacts>> {
    let metadata = asking.fetch_metadata(Some(name), within);
    serve_events(asking);
    let metadata = metadata?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == name);
    let Some(topic) = topic.filter(|topic| !topic.partitions().is_empty()) else {
        return Ok(None);
    };
    let fewest = |count: fn(&rdkafka::metadata::MetadataPartition) -> usize| {
        topic.partitions().iter().map(count).min().unwrap_or(0)
    };
    Ok(Some(TopicFacts {
        partitions: topic.partitions().len(),
        replicas: fewest(|partition| partition.replicas().len()),
        in_sync: fewest(|partition| partition.isr().len()),
        is_led: topic.partitions().iter().all(|one| one.leader() >= 0),
    }))
}

/// Runs what waits for the network where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    spawn_blocking(work)
        .await
        .unwrap_or(Err(KafkaError::Canceled))
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::BaseProducer;

    use super::*;

    fn settings(properties: &[(&str, &str)]) -> Settings {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Settings {
            brokers: "127.0.0.1:1".into(),
            properties: properties.iter().map(owned).collect(),
            ..Settings::default()
        }
    }

    fn refused(settings: &Settings) -> String {
        let client = producer(settings).create::<BaseProducer>();
        OpenError::from(client.map(drop).unwrap_err()).to_string()
    }

    #[test]
    fn tls_and_login_are_passed_through() {
        let settings = settings(&[
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "user"),
            ("sasl.password", "password"),
            ("ssl.ca.location", "/etc/ssl/certs"),
        ]);
        for config in [producer(&settings), consumer(&settings, "group")] {
            let protocol = config.create_native_config().unwrap();
            assert!(
                protocol
                    .get("security.protocol")
                    .unwrap()
                    .starts_with("sasl_ssl")
            );
        }
        producer(&settings)
            .create::<BaseProducer>()
            .map(drop)
            .unwrap();
    }

    #[test]
    fn what_the_protocol_depends_on_cannot_be_changed() {
        let settings = settings(&[
            ("acks", "0"),
            ("enable.idempotence", "false"),
            ("enable.auto.commit", "true"),
            ("bootstrap.servers", "elsewhere:9092"),
        ]);
        let producer = producer(&settings);
        assert_eq!(producer.get("acks"), Some("all"));
        assert_eq!(producer.get("enable.idempotence"), Some("true"));
        let consumer = consumer(&settings, "group");
        assert_eq!(consumer.get("enable.auto.commit"), Some("false"));
        assert_eq!(consumer.get("bootstrap.servers"), Some("127.0.0.1:1"));
    }

    #[test]
    fn a_property_that_is_none_is_refused_with_its_name() {
        let error = refused(&settings(&[("no.such.property", "1")]));
        assert!(error.contains("kafka.no.such.property"), "{error}");
    }

    #[test]
    fn a_value_that_is_refused_is_not_shown() {
        let error = refused(&settings(&[("security.protocol", "hunter2")]));
        assert!(error.contains("kafka.security.protocol"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn brokers_that_are_not_there_are_told_with_the_setting_that_names_them() {
        let settings = settings(&[]);
        let error = Cluster::find(&settings, Duration::ZERO).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, OpenError::Unreachable { .. }), "{text}");
        assert!(
            text.contains("127.0.0.1:1") && text.contains("--kafka-brokers"),
            "{text}"
        );
        assert!(text.contains("refused"), "{text}");
    }
}
