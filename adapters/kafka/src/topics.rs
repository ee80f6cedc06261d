//! The topics: their names, and that they are as the protocol needs them.

use std::{collections::HashMap, time::Duration};

use common::{DestinationId, Severity};
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier,
        ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::time::Instant;

use crate::{
    client::{self, Cluster},
    error::OpenError,
    settings::{Format, Settings, names},
};

/// How many brokers must keep a record, and how many of them acknowledge it, so that it
/// survives the loss of one.
const STRONG: (usize, usize) = (3, 2);

/// How long a topic that was created may take to be known to the broker that is asked.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);

/// The names of the topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Alerts as they were accepted.
    pub alerts: String,
    /// Deliveries: normal and low, or all of them in the plain format.
    pub deliveries: String,
    /// Deliveries of high severity, in the sealed format.
    pub high: String,
    /// What waits on its own.
    pub state: String,
    /// What became of deliveries.
    pub outcomes: String,
    /// What people want done.
    pub control: String,
    /// What could not be read or delivered.
    pub dead_letters: String,
    format: Format,
}

impl Topics {
    /// The names of these settings.
    pub fn new(settings: &Settings) -> Self {
        let base = &settings.topic;
        Self {
            alerts: format!("{base}.alerts"),
            deliveries: base.clone(),
            high: format!("{base}.high"),
            state: format!("{base}.state"),
            outcomes: format!("{base}.outcomes"),
            control: format!("{base}.control"),
            dead_letters: format!("{base}.dead-letters"),
            format: settings.format,
        }
    }

    /// Where a delivery of that severity goes.
    pub fn of(&self, severity: Severity) -> &str {
        match (self.format, severity) {
            (Format::Sealed, Severity::High) => &self.high,
            _ => &self.deliveries,
        }
    }
}

/// The partition of a destination in every topic with lanes.
pub fn partition_of(destination: DestinationId, partitions: u16) -> i32 {
    (destination.0 % u64::from(partitions.max(1))) as i32
}

/// What the topics allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest record that both the client and every topic take, in bytes.
    pub record: usize,
    /// How many brokers must acknowledge a record of the topic of alerts.
    pub in_sync: usize,
}

/// What a topic must be.
struct Plan<'a> {
    name: &'a str,
    partitions: u16,
    is_compacted: bool,
    config: Vec<(&'static str, String)>,
}

/// Sees to it that all topics are there and are as the protocol needs them. Creates those
/// that are missing, where it may; changes none that is there.
pub async fn prepare(settings: &Settings, cluster: &Cluster) -> Result<Limits, OpenError> {
    let topics = Topics::new(settings);
    let plans = plans(settings, &topics);
    let admin = client::admin(settings)?;
    create_missing(settings, cluster, &admin, &plans).await?;
    let configs = configs(&admin, &plans).await;
    let mut limits = Limits {
        record: client::max_record(settings)?,
        in_sync: 1,
    };
    let mut weak = Vec::new();
    for plan in &plans {
        let found = cluster.topic(plan.name).await?.unwrap_or_default();
        check_partitions(plan, found.partitions)?;
        let Some(config) = configs.get(plan.name) else {
            tracing::warn!(
                topic = plan.name,
                "the topic's configuration cannot be read, so nobody knows whether it keeps what it is given"
            );
            continue;
        };
        check_cleanup(plan, config)?;
        weak.extend(weakness(plan, found.replicas, config));
        if let Some(most) = number(config, "max.message.bytes") {
            limits.record = limits.record.min(most);
        }
        if plan.name == topics.alerts {
            limits.in_sync = number(config, "min.insync.replicas").unwrap_or(1);
        }
    }
    admit(settings, weak)?;
    Ok(limits)
}

fn plans<'a>(settings: &Settings, topics: &'a Topics) -> Vec<Plan<'a>> {
    const DAY: u64 = 24 * 60 * 60 * 1000;
    let insync = match settings.replication {
        0..=2 => 1,
        _ => STRONG.1,
    };
    let plan = |name, partitions, config: &[(&'static str, String)]| {
        let mut all = vec![("min.insync.replicas", insync.to_string())];
        all.extend_from_slice(config);
        Plan {
            name,
            partitions,
            is_compacted: false,
            config: all,
        }
    };
    let kept = |days: u64| ("retention.ms", (days * DAY).to_string());
    let partitions = settings.partitions;
    let by_broker = ("message.timestamp.type", "LogAppendTime".to_owned());
    let mut all = vec![
        plan(&topics.alerts, 1, &[kept(7), by_broker]),
        plan(&topics.deliveries, partitions, &[kept(7)]),
        plan(&topics.high, partitions, &[kept(7)]),
        plan(&topics.outcomes, partitions, &[kept(7)]),
        plan(&topics.control, partitions, &[kept(7)]),
        plan(&topics.dead_letters, partitions, &[kept(30)]),
    ];
    // Read whole on each assignment, so it is to be compacted early and often.
    let compacted = [
        ("cleanup.policy", "compact".to_owned()),
        ("segment.ms", (60 * 60 * 1000).to_string()),
        ("segment.bytes", (64 << 20).to_string()),
        ("min.cleanable.dirty.ratio", "0.1".to_owned()),
    ];
    all.push(Plan {
        is_compacted: true,
        ..plan(&topics.state, partitions, &compacted)
    });
    all
}

async fn create_missing(
    settings: &Settings,
    cluster: &Cluster,
    admin: &AdminClient<DefaultClientContext>,
    plans: &[Plan<'_>],
) -> Result<(), OpenError> {
    let mut missing = Vec::new();
    for plan in plans {
        if cluster.topic(plan.name).await?.is_none() {
            missing.push(plan);
        }
    }
    let Some(first) = missing.first() else {
        return Ok(());
    };
    if !settings.create_topics {
        let reason = "creating topics is switched off (--kafka-create-topics)".to_owned();
        return Err(cannot_create(settings, first, reason));
    }
    let replication = i32::from(settings.replication);
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|plan| {
            let replication = TopicReplication::Fixed(replication);
            let topic = NewTopic::new(plan.name, i32::from(plan.partitions), replication);
            let config = plan.config.iter();
            config.fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(15)));
    let results = admin
        .create_topics(&topics, &options)
        .await
        .map_err(|error| cannot_create(settings, first, error.to_string()))?;
    for result in results {
        match result {
            Ok(name) => tracing::info!(topic = name, "created the topic"),
            // Another process was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let plan = missing.iter().find(|plan| plan.name == name);
                return Err(cannot_create(
                    settings,
                    plan.unwrap_or(first),
                    code.to_string(),
                ));
            }
        }
    }
    await_known(cluster, &missing).await
}

/// The broker that is asked learns of a new topic a little later than the one that made it.
async fn await_known(cluster: &Cluster, plans: &[&Plan<'_>]) -> Result<(), OpenError> {
    let deadline = Instant::now() + KNOWN_WITHIN;
    for plan in plans {
        while cluster.topic(plan.name).await?.is_none() {
            if Instant::now() > deadline {
                return Err(OpenError::Missing {
                    topic: plan.name.to_owned(),
                    reason: "it was created and did not appear".to_owned(),
                    advice: "look at the brokers' logs".to_owned(),
                });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// What a person does who may create it.
fn cannot_create(settings: &Settings, plan: &Plan<'_>, reason: String) -> OpenError {
    let config: String = plan
        .config
        .iter()
        .map(|(key, value)| format!(" --config {key}={value}"))
        .collect();
    OpenError::Missing {
        topic: plan.name.to_owned(),
        reason,
        advice: format!(
            "create it: kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {} --replication-factor {}{config}; or, where the cluster has fewer brokers, set {} and {}",
            settings.brokers,
            plan.name,
            plan.partitions,
            settings.replication,
            names::REPLICATION,
            names::ACCEPT_WEAK_TOPICS,
        ),
    }
}

async fn configs(
    admin: &AdminClient<DefaultClientContext>,
    plans: &[Plan<'_>],
) -> HashMap<String, ConfigResource> {
    let asked: Vec<_> = plans
        .iter()
        .map(|plan| ResourceSpecifier::Topic(plan.name))
        .collect();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(30)));
    let answers = match admin.describe_configs(&asked, &options).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::warn!(%error, "the topics' configuration cannot be read");
            return HashMap::new();
        }
    };
    let readable = answers.into_iter().filter_map(Result::ok);
    readable
        .filter_map(|answer| match &answer.specifier {
            OwnedResourceSpecifier::Topic(name) => Some((name.clone(), answer)),
            _ => None,
        })
        .collect()
}

fn check_partitions(plan: &Plan<'_>, found: usize) -> Result<(), OpenError> {
    let wanted = usize::from(plan.partitions);
    if found == wanted {
        return Ok(());
    }
    let advice = match wanted {
        1 => "its order is that of the whole cluster: delete it, or choose another --kafka-topic"
            .to_owned(),
        _ => format!(
            "set {} {found} if all topics have that many; the number never changes once there is data",
            names::PARTITIONS
        ),
    };
    Err(OpenError::Partitions {
        topic: plan.name.to_owned(),
        found,
        wanted,
        advice,
    })
}

fn check_cleanup(plan: &Plan<'_>, config: &ConfigResource) -> Result<(), OpenError> {
    let policy = value(config, "cleanup.policy").unwrap_or("delete");
    let wanted = match plan.is_compacted {
        true => "compact",
        false => "delete",
    };
    if policy == wanted {
        return Ok(());
    }
    Err(OpenError::Topic {
        topic: plan.name.to_owned(),
        problem: format!("has cleanup.policy={policy} and would lose what is still needed"),
        advice: format!("set it to {wanted}"),
    })
}

/// What makes the topic lose records where one broker is lost.
fn weakness(plan: &Plan<'_>, replicas: usize, config: &ConfigResource) -> Option<OpenError> {
    let insync = number(config, "min.insync.replicas").unwrap_or(1);
    let unclean = value(config, "unclean.leader.election.enable") == Some("true");
    if replicas >= STRONG.0 && insync >= STRONG.1 && !unclean {
        return None;
    }
    let problem = match unclean {
        true => {
            "lets a broker lead that lacks records (unclean.leader.election.enable=true)".into()
        }
        false => format!(
            "is kept by {replicas} brokers and acknowledged by {insync}, where {} and {} would survive the loss of one",
            STRONG.0, STRONG.1
        ),
    };
    Some(OpenError::Topic {
        topic: plan.name.to_owned(),
        problem,
        advice: format!(
            "strengthen it (replication factor, min.insync.replicas), or accept that with {}",
            names::ACCEPT_WEAK_TOPICS
        ),
    })
}

/// Refuses weak topics, or warns of them where they are accepted.
fn admit(settings: &Settings, weak: Vec<OpenError>) -> Result<(), OpenError> {
    let count = weak.len();
    let Some(first) = weak.into_iter().next() else {
        return Ok(());
    };
    if !settings.accept_weak_topics {
        return Err(first);
    }
    tracing::warn!(
        topics = count,
        "topics are weak: alerts that were answered 200 are lost with a broker's disk; {first}"
    );
    Ok(())
}

fn value<'a>(config: &'a ConfigResource, name: &str) -> Option<&'a str> {
    let entry = config.entries.iter().find(|entry| entry.name == name)?;
    entry.value.as_deref()
}

fn number(config: &ConfigResource, name: &str) -> Option<usize> {
    value(config, name)?.parse().ok()
}

impl From<KafkaError> for OpenError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::ClientConfig(_, reason, property, value) => OpenError::Property {
                reason: match value.is_empty() {
                    true => reason,
                    false => reason.replace(&value, "…"),
                },
                property,
            },
            error => OpenError::Client(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource};

    use super::*;

    fn config(entries: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("t".into()),
            entries: entries.iter().map(entry).collect(),
        }
    }

    fn check(settings: &Settings, replicas: usize, insync: &str) -> Result<(), OpenError> {
        let topics = Topics::new(settings);
        let plans = plans(settings, &topics);
        let config = config(&[("min.insync.replicas", insync)]);
        let weak = plans
            .iter()
            .filter_map(|plan| weakness(plan, replicas, &config));
        admit(settings, weak.collect())
    }

    #[test]
    fn high_deliveries_have_a_topic_of_their_own_but_in_the_plain_format() {
        let sealed = Topics::new(&Settings::default());
        assert_eq!(sealed.of(Severity::High), "error-noti-topic.high");
        assert_eq!(sealed.of(Severity::Low), "error-noti-topic");
        let plain = Topics::new(&Settings {
            format: Format::Plain,
            ..Settings::default()
        });
        assert_eq!(plain.of(Severity::High), "error-noti-topic");
    }

    #[test]
    fn a_topic_that_loses_records_with_one_broker_is_refused_unless_that_is_accepted() {
        let mut settings = Settings::default();
        assert!(check(&settings, 3, "2").is_ok());
        for (replicas, insync) in [(1, "1"), (2, "2"), (3, "1")] {
            let error = check(&settings, replicas, insync).unwrap_err().to_string();
            assert!(error.contains(names::ACCEPT_WEAK_TOPICS), "{error}");
        }
        settings.accept_weak_topics = true;
        assert!(check(&settings, 1, "1").is_ok());
    }

    #[test]
    fn a_wrong_number_of_partitions_is_refused_with_the_setting_that_mends_it() {
        let settings = Settings::default();
        let topics = Topics::new(&settings);
        let plans = plans(&settings, &topics);
        assert!(check_partitions(&plans[1], 12).is_ok());
        let error = check_partitions(&plans[1], 3).unwrap_err().to_string();
        assert!(error.contains("--kafka-partitions 3"), "{error}");
        let error = check_partitions(&plans[0], 3).unwrap_err().to_string();
        assert!(error.contains("--kafka-topic"), "{error}");
    }

    #[test]
    fn a_topic_that_is_compacted_where_it_must_not_be_is_refused() {
        let settings = Settings::default();
        let topics = Topics::new(&settings);
        for plan in plans(&settings, &topics) {
            let (right, wrong) = match plan.is_compacted {
                true => ("compact", "delete"),
                false => ("delete", "compact"),
            };
            assert!(check_cleanup(&plan, &config(&[("cleanup.policy", right)])).is_ok());
            for wrong in [wrong, "compact,delete"] {
                assert!(check_cleanup(&plan, &config(&[("cleanup.policy", wrong)])).is_err());
            }
        }
    }

    #[test]
    fn destinations_are_spread_over_all_partitions() {
        let partition = |n| partition_of(DestinationId(n), 12);
        assert_eq!((partition(0), partition(13), partition(23)), (0, 1, 11));
    }
}
