//! Producers, consumers and a mockup with topics and a database of their own.

use std::path::PathBuf;

use kafka::{Format, Settings};
use uuid::Uuid;

use super::{Member, TopicReader};
use crate::{
    harness::{Directory, Mockup, Scratch},
    services::{Kafka, Postgres},
};

/// The keys that everybody seals with.
pub const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// What a consumer logs that finds that another may have one of its partitions.
const LOST: &str = "the partition is lost";
/// Losses that are so near are one, in milliseconds.
const AT_ONCE: i64 = 1_000;

/// What a site stands on, and how.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    brokers: String,
    /// How many brokers, which is how often each record is kept.
    replicas: usize,
    database: String,
    partitions: u16,
    format: Format,
    topic: String,
    group: String,
}

impl SiteOptions {
    /// Topics and a database of their own on these.
    pub fn on(kafka: &Kafka, postgres: &Postgres) -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let brokers = kafka.bootstrap();
        Self {
            replicas: brokers.split(',').count(),
            brokers,
            database: postgres.create_database(&format!("site_{name}")),
            partitions: 6,
            format: Format::Sealed,
            topic: format!("topic-{name}"),
            group: format!("group-{name}"),
        }
    }

    /// The same with so many partitions.
    #[must_use]
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// The same with messages in that format.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// As the Kafka adapter takes them.
    pub fn settings(&self) -> Settings {
        Settings {
            brokers: self.brokers.clone(),
            topic: self.topic.clone(),
            group: self.group.clone(),
            partitions: self.partitions,
            replication: u16::try_from(self.replicas).expect("a small number"),
            accept_weak_topics: self.replicas < 3,
            format: self.format,
            ..Settings::default()
        }
    }

    /// As the binary takes them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let format = match self.format {
            Format::Sealed => "sealed",
            Format::Plain => "plain",
        };
        let mut variables = vec![
            ("KAFKA_BROKERS", self.brokers.clone()),
            ("KAFKA_TOPIC", self.topic.clone()),
            ("KAFKA_GROUP", self.group.clone()),
            ("KAFKA_PARTITIONS", self.partitions.to_string()),
            ("KAFKA_REPLICATION", self.replicas.to_string()),
            ("KAFKA_ACCEPT_WEAK_TOPICS", (self.replicas < 3).to_string()),
            ("KAFKA_FORMAT", format.to_owned()),
        ];
        // Where nothing is sealed in Kafka, the database needs a key of its own.
        variables.push(match self.format {
            Format::Sealed => ("KAFKA_KEYS", KEYS.to_owned()),
            Format::Plain => ("SECRET_KEYS", KEYS.to_owned()),
        });
        variables
            .into_iter()
            .map(|(name, value)| (format!("ERROR_NOTIFIER_{name}"), value))
            .collect()
    }

    /// The name of the database.
    pub fn database_name(&self) -> &str {
        let (_, name) = self.database.rsplit_once('/').expect("a URL with a path");
        name
    }

    /// The URL of the database.
    pub fn database(&self) -> &str {
        &self.database
    }
}

/// A scaled-out form that runs.
#[derive(Debug)]
pub struct Site {
    /// What it stands on.
    pub options: SiteOptions,
    /// The producers.
    pub producers: Vec<Member>,
    /// The consumers.
    pub consumers: Vec<Member>,
    /// Where consumers send to.
    pub mockup: Mockup,
    /// Who is in the directory.
    pub directory: Directory,
    /// Where logs are.
    pub scratch: Scratch,
}

impl Site {
    /// A site with so many producers and consumers, all ready, and that directory, which all
    /// producers know.
    pub fn start(
        options: SiteOptions,
        directory: Directory,
        producers: usize,
        consumers: usize,
    ) -> Self {
        let mut site = Self::new(options, directory);
        for _ in 0..producers {
            site.add_producer();
        }
        for _ in 0..consumers {
            site.add_consumer();
        }
        if let Some(first) = site.producers.first() {
            site.directory.import_at(first.address());
        }
        for producer in &site.producers {
            site.directory.await_at(producer.address());
        }
        site
    }

    /// A site without processes.
    pub fn new(options: SiteOptions, directory: Directory) -> Self {
        let scratch = Scratch::new("site");
        Self {
            producers: Vec::new(),
            consumers: Vec::new(),
            mockup: Mockup::start(&scratch),
            directory,
            scratch,
            options,
        }
    }

    /// Starts another producer and waits until it is ready.
    pub fn add_producer(&mut self) -> &mut Member {
        let mut member = self.producer();
        member.start();
        self.producers.push(member);
        self.producers.last_mut().expect("one was added")
    }

    /// Starts another consumer and waits until it is ready.
    pub fn add_consumer(&mut self) -> &mut Member {
        let mut member = self.consumer();
        member.start();
        self.consumers.push(member);
        self.consumers.last_mut().expect("one was added")
    }

    /// A producer that is not started.
    pub fn producer(&self) -> Member {
        let mut environment = self.options.environment();
        environment.push((
            "ERROR_NOTIFIER_DATABASE_URL".into(),
            self.options.database.clone(),
        ));
        let log = self.log("producer", self.producers.len());
        Member::new("producer", environment, log)
    }

    /// A consumer that is not started, without a pace.
    pub fn consumer(&self) -> Member {
        let log = self.log("consumer", self.consumers.len());
        Member::new("consumer", self.options.environment(), log)
            .with("--slack-url", &self.mockup.url())
            .with("--slack-pace", "unlimited")
    }

    /// Producer and consumer in one process, which is not started.
    pub fn whole(&self) -> Member {
        let mut environment = self.options.environment();
        environment.push((
            "ERROR_NOTIFIER_DATABASE_URL".into(),
            self.options.database.clone(),
        ));
        Member::new("serve", environment, self.log("serve", 0))
            .with("--slack-url", &self.mockup.url())
            .with("--slack-pace", "unlimited")
    }

    /// A reader of the topics.
    pub fn topics(&self) -> TopicReader {
        TopicReader::new(&self.options.settings(), KEYS)
    }

    /// When consumers found that others may have their partitions, in milliseconds since 1970:
    /// those that find it of several within a moment find it once.
    pub fn losses(&self) -> Vec<i64> {
        let folder = std::fs::read_dir(self.scratch.path()).expect("the scratch folder");
        let paths = folder.map(|entry| entry.expect("an entry").path());
        let is_consumers = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("consumer-")
        };
        let logs = paths.filter(is_consumers).map(std::fs::read_to_string);
        let mut losses: Vec<i64> = logs
            .flat_map(|log| {
                log.expect("a log")
                    .lines()
                    .filter_map(lost_at)
                    .collect::<Vec<_>>()
            })
            .collect();
        losses.sort_unstable();
        losses.dedup_by(|later, earlier| *later - *earlier < AT_ONCE);
        losses
    }

    fn log(&self, role: &str, number: usize) -> PathBuf {
        self.scratch.join(&format!("{role}-{}.log", number + 1))
    }
}

/// When a consumer found that another may have a partition, if its line says that.
fn lost_at(line: &str) -> Option<i64> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let says = line["message"] == LOST;
    let at: jiff::Timestamp = line["timestamp"].as_str()?.parse().ok()?;
    says.then(|| at.as_millisecond())
}
