//! Those who publish come and go.

use std::{
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use common::{AcceptedAlert, Clock, Now, Severity, SystemClock};
use kafka::{Format, records::header_of};
use rdkafka::Message as _;

use crate::rig::{KEYS, PARTITIONS, Rig, alert, expected, other_sealer, taken};

/// A fan-out that can be killed.
struct FanOutProcess(Child);

impl FanOutProcess {
    fn start(rig: &Rig) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_fan_out"))
            .arg(&rig.settings.brokers)
            .args([&rig.settings.topic, &rig.settings.group])
            .args([&PARTITIONS.to_string(), KEYS])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for FanOutProcess {
    /// `SIGKILL`: nothing is committed, nothing handed over.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn storm(first: u32, count: u32) -> Vec<AcceptedAlert> {
    let severity = |n| match n % 3 {
        0 => Severity::High,
        1 => Severity::Normal,
        _ => Severity::Low,
    };
    let channels = |n: u32| [n % 7, n % 11 + 7, n % 13 + 18];
    (first..first + count)
        .map(|n| alert(severity(n), "storm", &channels(n)))
        .collect()
}

async fn accept_in_turn(rig: &Rig, alerts: &[AcceptedAlert]) {
    for alert in alerts {
        rig.accept(alert).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_that_is_killed_is_taken_over_and_nothing_skips() {
    let rig = Rig::new(Format::Sealed).await;
    let mut alerts = Vec::new();
    let mut running = FanOutProcess::start(&rig);
    for round in 0..3 {
        let more = storm(round * 500, 500);
        accept_in_turn(&rig, &more).await;
        alerts.extend(more);
        // Some of this round is there, in the middle of which the process is killed.
        rig.published(alerts.len() * 3 - 900).await;
        let next = FanOutProcess::start(&rig);
        drop(std::mem::replace(&mut running, next));
    }
    let published = rig.published(alerts.len() * 3).await;
    let (taken, repeated) = taken(&published);
    println!("{repeated} of {} were published again", published.len());
    assert_eq!(taken, expected(&rig.topics, 0, &alerts));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_that_ends_hands_over_without_publishing_again() {
    let rig = Rig::new(Format::Sealed).await;
    let mut alerts = Vec::new();
    let mut running = rig.fan_out();
    for round in 0..3 {
        let more = storm(round * 200, 200);
        accept_in_turn(&rig, &more).await;
        alerts.extend(more);
        let next = rig.fan_out();
        std::mem::replace(&mut running, next).stop().await;
    }
    let published = rig.published(alerts.len() * 3).await;
    assert_eq!(taken(&published), (expected(&rig.topics, 0, &alerts), 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_fan_outs_share_one_turn() {
    let rig = Rig::new(Format::Sealed).await;
    let running: Vec<_> = (0..4).map(|_| rig.fan_out()).collect();
    let alerts = storm(0, 500);
    accept_in_turn(&rig, &alerts).await;
    let published = rig.published(alerts.len() * 3).await;
    assert_eq!(taken(&published).0, expected(&rig.topics, 0, &alerts));
    for fan_out in running {
        fan_out.stop().await;
    }
    assert_eq!(rig.committed().await, Some(alerts.len() as i64));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_one_process_cannot_open_is_left_to_another_that_can() {
    let rig = Rig::new(Format::Sealed).await;
    let without = rig.fan_out_with(other_sealer(), Arc::new(SystemClock::start()));
    rig.joined().await;
    // It keeps the partition while another one joins, until it meets the alerts.
    let with = rig.fan_out();
    let alerts = storm(0, 5);
    accept_in_turn(&rig, &alerts).await;
    let published = rig.published(alerts.len() * 3).await;
    assert_eq!(taken(&published), (expected(&rig.topics, 0, &alerts), 0));
    without.stop().await;
    with.stop().await;
}

/// A clock an hour ahead, of which each second takes a thousandth.
struct Hurried(SystemClock);

impl Clock for Hurried {
    fn now(&self) -> Now {
        let Now { mono, utc } = self.0.now();
        Now {
            mono: mono * 1000,
            utc: utc.plus(Duration::from_secs(3600)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_nobody_can_open_is_a_dead_letter_and_stops_nobody_for_ever() {
    let rig = Rig::new(Format::Sealed).await;
    accept_in_turn(&rig, &storm(0, 1)).await;
    let alert = rig.records(&rig.topics.alerts, 1).await.remove(0);
    let clock = Arc::new(Hurried(SystemClock::start()));
    let without = rig.fan_out_with(other_sealer(), clock);
    let letter = rig.records(&rig.topics.dead_letters, 1).await.remove(0);
    assert_eq!(letter.payload(), alert.payload());
    assert_eq!(letter.key(), alert.key());
    let reason = header_of(&letter, "error-notifier-reason").unwrap();
    let reason = String::from_utf8_lossy(reason);
    assert!(
        reason.contains("'k1'") && reason.contains("--kafka-key-file"),
        "{reason}"
    );
    rig.committed_to(1).await;
    without.stop().await;
}
