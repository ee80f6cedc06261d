//! What keeps a process from starting: a clear line that names the setting.

use std::time::Duration;

use tests::{
    harness::{Directory, LONG, free_address, request, until},
    scaled_out::{Member, Site, SiteOptions},
    services::{Kafka, Postgres},
};

fn options() -> SiteOptions {
    SiteOptions::on(Kafka::shared(), Postgres::shared())
}

/// The one line that is not of the log, with exit code 2.
fn refusal(mut member: Member) -> String {
    member.spawn();
    let process = member.process();
    let status = process.wait(LONG);
    let output = process.output();
    assert_eq!(status.code(), Some(2), "{output}");
    let lines: Vec<_> = output
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    assert_eq!(lines.len(), 1, "{output}");
    lines[0].to_owned()
}

#[test]
fn without_patience_brokers_that_are_not_there_are_one_line_that_names_the_setting() {
    let site = Site::new(options(), Directory::default());
    let nowhere = free_address().to_string();
    for member in [site.producer(), site.consumer()] {
        let member = member
            .with("--kafka-brokers", &nowhere)
            .with("--wait", "0s");
        let line = refusal(member);
        assert!(
            line.contains(&nowhere) && line.contains("--kafka-brokers"),
            "{line}"
        );
    }
}

#[test]
fn without_patience_a_database_that_is_not_there_is_one_line_that_names_the_setting() {
    let site = Site::new(options(), Directory::default());
    let nowhere = format!("postgres://ann:s3cret@{}/alerts", free_address());
    let member = site
        .producer()
        .with("--database-url", &nowhere)
        .with("--wait", "0s");
    let line = refusal(member);
    assert!(
        line.contains("--database-url") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn a_wrong_password_is_one_line_that_names_the_setting_and_not_the_password() {
    let site = Site::new(options(), Directory::default());
    let (_, rest) = site.options.database().split_once('@').unwrap();
    let wrong = format!("postgres://{}:s3cret@{rest}", Postgres::USER);
    let line = refusal(site.producer().with("--database-url", &wrong));
    assert!(
        line.contains("--database-url") && line.contains("password") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn what_is_no_database_url_is_refused_and_not_repeated() {
    let site = Site::new(options(), Directory::default());
    let member = site
        .producer()
        .with("--database-url", "postgre://ann:s3cret@db/alerts");
    let line = refusal(member);
    assert!(
        line.contains("--database-url") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn properties_that_cannot_be_read_are_refused_and_not_repeated() {
    let site = Site::new(options(), Directory::default());
    let member = site
        .consumer()
        .with("--kafka-properties", "sasl.password s3cret");
    let line = refusal(member);
    assert!(
        line.contains("--kafka-properties") && !line.contains("s3cret"),
        "{line}"
    );
}

#[test]
fn sealed_messages_without_a_key_are_one_line_that_names_the_settings() {
    let site = Site::new(options(), Directory::default());
    let member = site.consumer().with("--kafka-keys", "");
    let line = refusal(member);
    assert!(line.contains("--kafka-key"), "{line}");
}

#[test]
fn a_missing_topic_that_may_not_be_made_is_one_line_that_names_it() {
    let site = Site::new(options(), Directory::default());
    let member = site
        .consumer()
        .with("--kafka-create-topics", "false")
        .with("--wait", "0s");
    let line = refusal(member);
    assert!(
        line.contains(&site.options.settings().topic) && line.contains("--kafka-create-topics"),
        "{line}"
    );
}

#[test]
fn a_schema_of_a_later_version_is_one_line_that_says_so() {
    let mut site = Site::new(options(), Directory::default());
    site.add_producer().stop();
    Postgres::shared().sql(
        site.options.database_name(),
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
         VALUES (9999, 'later', '2030-01-01T00:00:00Z', '1')",
    );
    let line = refusal(site.producer());
    assert!(line.contains("newer") || line.contains("later"), "{line}");
}

#[test]
fn while_it_waits_for_brokers_a_process_says_so_and_is_not_ready() {
    let mut site = Site::new(options(), Directory::default());
    let nowhere = free_address().to_string();
    let mut waiting = site.producer().with("--kafka-brokers", &nowhere);
    waiting.spawn();
    let address = waiting.address();
    until("an answer that it is not ready", || {
        let answer = request(address, "GET", "/health/ready", b"");
        answer.is_ok_and(|answer| answer.status == 503)
    });
    until("two lines that it waits", || {
        let log = waiting.process().output();
        log.lines().filter(|line| line.contains(&nowhere)).count() >= 2
    });
    assert_eq!(
        request(address, "GET", "/health/live", b"").unwrap().status,
        200
    );
    let refused = waiting.alert(&["@all"], "low", "hello");
    assert_eq!(refused.status, 503, "{}", refused.text());
    // It ends when it is told to, though it has not begun.
    assert!(waiting.stop() < Duration::from_secs(10));
    site.producers.clear();
}
