//! Kafka as the settings describe it, reached and with its topics.

use std::sync::Arc;
use std::time::Duration;

use kafka::{Cluster, Format, Limits, Sealer};

use crate::cli::failure::Failure;
use crate::config::kafka::{KafkaFormat, KafkaProperties};
use crate::config::settings::KafkaSettings;
use crate::run::keys;

/// Kafka, ready for use.
pub(super) struct Opened {
    pub(super) settings: kafka::Settings,
    pub(super) sealer: Arc<Sealer>,
    pub(super) cluster: Cluster,
    pub(super) limits: Limits,
}

/// What can be said without reaching a broker. Fails on what only a person can mend.
pub(super) fn read(settings: &KafkaSettings) -> Result<(kafka::Settings, Arc<Sealer>), Failure> {
    let format = match settings.kafka_format {
        KafkaFormat::Sealed => Format::Sealed,
        KafkaFormat::Plain => Format::Plain,
    };
    let sealer = Sealer::new(format, keys::of_kafka(settings)?.unwrap_or_default());
    let sealer = sealer.map_err(|error| Failure::BadInput(error.to_string()))?;
    let properties: KafkaProperties =
        settings
            .kafka_properties
            .expose()
            .parse()
            .map_err(|error: String| {
                Failure::BadInput(format!("the value of --kafka-properties: {error}"))
            })?;
    let read = kafka::Settings {
        brokers: settings.kafka_brokers.clone().unwrap_or_default(),
        topic: settings.kafka_topic.clone(),
        group: settings.kafka_group.clone(),
        partitions: settings.kafka_partitions,
        replication: settings.kafka_replication,
        create_topics: settings.kafka_create_topics,
        accept_weak_topics: settings.kafka_accept_weak_topics,
        format,
        properties: properties.into_map(),
        ..kafka::Settings::default()
    };
    Ok((read, Arc::new(sealer)))
}

/// Waits for the brokers as long as `wait` says, and sees to the topics.
pub(super) async fn open(
    (settings, sealer): (kafka::Settings, Arc<Sealer>),
    wait: Duration,
) -> Result<Opened, Failure> {
    let bad = |error: kafka::OpenError| Failure::BadInput(error.to_string());
    let cluster = Cluster::find(&settings, wait).await.map_err(bad)?;
    let limits = kafka::prepare(&settings, &cluster).await.map_err(bad)?;
    kafka::check_keys(&settings, &sealer).await.map_err(bad)?;
    Ok(Opened {
        settings,
        sealer,
        cluster,
        limits,
    })
}
