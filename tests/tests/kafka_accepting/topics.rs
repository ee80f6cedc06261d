//! What the topics must be before anything is accepted.

use common::Severity;
use kafka::{Cluster, Format, OpenError, Settings};
use tests::services::Kafka;

use crate::rig::{HANG, Rig, alert, other_sealer, settings};

async fn prepare(settings: &Settings) -> Result<kafka::Limits, OpenError> {
    let cluster = Cluster::find(settings, HANG).await.unwrap();
    kafka::prepare(settings, &cluster).await
}

async fn refused(settings: &Settings) -> String {
    prepare(settings).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_created_and_found_again() {
    let settings = settings(Kafka::shared());
    let limits = prepare(&settings).await.unwrap();
    assert!(limits.record > 900_000 && limits.in_sync == 1, "{limits:?}");
    let forbidden = Settings {
        create_topics: false,
        ..settings
    };
    assert_eq!(prepare(&forbidden).await.unwrap(), limits);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_create_the_topics_once() {
    let settings = settings(Kafka::shared());
    let starting: Vec<_> = (0..5)
        .map(|_| {
            let settings = settings.clone();
            tokio::spawn(async move { prepare(&settings).await })
        })
        .collect();
    for one in starting {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_that_may_not_be_created_are_told_with_the_command_that_does() {
    let settings = Settings {
        create_topics: false,
        ..settings(Kafka::shared())
    };
    let error = refused(&settings).await;
    let command = format!("--create --topic {}.alerts --partitions 1", settings.topic);
    assert!(error.contains(&command), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_copies_than_there_are_brokers_are_told_with_the_settings_that_mend_it() {
    let settings = Settings {
        replication: 3,
        ..settings(Kafka::shared())
    };
    let error = refused(&settings).await;
    for setting in ["--kafka-replication", "--kafka-accept-weak-topics"] {
        assert!(error.contains(setting), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_topics_are_refused_unless_they_are_accepted() {
    let mut settings = settings(Kafka::shared());
    settings.accept_weak_topics = false;
    let error = refused(&settings).await;
    assert!(error.contains("--kafka-accept-weak-topics"), "{error}");
    settings.accept_weak_topics = true;
    prepare(&settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_another_number_of_partitions_are_refused() {
    let mut settings = settings(Kafka::shared());
    prepare(&settings).await.unwrap();
    settings.partitions += 1;
    let error = refused(&settings).await;
    assert!(error.contains("--kafka-partitions 3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_the_keys_of_the_others_is_told_before_it_starts() {
    let rig = Rig::new(Format::Sealed).await;
    let (ours, other) = (&rig.sealer, &other_sealer());
    kafka::check_keys(&rig.settings, other).await.unwrap();
    rig.accept(&alert(Severity::Low, "sealed", &[1]))
        .await
        .unwrap();
    kafka::check_keys(&rig.settings, ours).await.unwrap();
    let error = kafka::check_keys(&rig.settings, other).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("'k1'") && error.contains("--kafka-key-file"),
        "{error}"
    );
}
