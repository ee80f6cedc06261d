//! Thousands of alerts to one channel within seconds: what its pace cannot carry
//! arrives in digests.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tests::{
    figures::{Times, ms},
    harness::{Alert, Connection, Message, Mockup, Outcome, Stats, post, wait_for},
};

use crate::{
    report::Report,
    subject::{Programs, Run, Subject, paced},
};

const ALERTS: usize = 5_000;
const SPAN: Duration = Duration::from_secs(4);
/// One in so many is high.
const HIGH: usize = 100;
const PATIENCE: Duration = Duration::from_secs(180);

/// An alert that was accepted.
struct Posted {
    text: String,
    is_high: bool,
    accepted: Timestamp,
}

/// When its text arrived, for each alert.
struct Storm {
    alerts: Vec<(Posted, Timestamp)>,
    stats: Stats,
}

impl Storm {
    /// From the answer to the arrival.
    fn took(&self, is_meant: impl Fn(&Posted) -> bool) -> Times {
        let meant = self.alerts.iter().filter(|(posted, _)| is_meant(posted));
        meant
            .map(|(posted, at)| at.duration_since(posted.accepted).unsigned_abs())
            .collect()
    }

    /// From the first answer to the last arrival.
    fn all(&self) -> Duration {
        let first = self.alerts.iter().map(|(posted, _)| posted.accepted).min();
        let last = self.alerts.iter().map(|(_, at)| *at).max();
        let span = first
            .zip(last)
            .map(|(first, last)| last.duration_since(first));
        span.map(|span| span.unsigned_abs()).unwrap_or_default()
    }
}

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for (place, program) in run.programs.iter().enumerate() {
        tell(report, Programs::name(place), &storm(program));
    }
}

fn storm(program: &Path) -> Storm {
    let subject = Subject::start(program, 1, paced);
    // As Slack: <https://docs.slack.dev/apis/web-api/rate-limits>.
    let limits = json!({ "rateLimitPerSecond": 1, "rateBurst": 4 });
    subject.mockup.set_faults(&limits);
    let mut client = Connection::open(subject.server.address()).expect("a server");
    let begun = Instant::now();
    let posted: Vec<_> = (0..ALERTS)
        .map(|number| {
            let due = begun + SPAN * number as u32 / ALERTS as u32;
            sleep(due.saturating_duration_since(Instant::now()));
            alert(&mut client, number)
        })
        .collect();
    let received = arrivals(&posted, &subject.mockup);
    let storm = Storm {
        alerts: posted.into_iter().zip(received).collect(),
        stats: subject.mockup.stats(),
    };
    subject.server.stop();
    storm
}

fn alert(client: &mut Connection, number: usize) -> Posted {
    let is_high = number.is_multiple_of(HIGH);
    let alert = Alert {
        targets: vec!["@user1".into()],
        severity: if is_high { "high" } else { "normal" },
        message: format!("disk {number:05} of node{:03} is full", number % 997),
    };
    assert!(matches!(post(client, &alert), Outcome::Accepted { .. }));
    Posted {
        accepted: Timestamp::now(),
        is_high,
        text: alert.message,
    }
}

/// When each text first arrived, once all have.
fn arrivals(posted: &[Posted], mockup: &Mockup) -> Vec<Timestamp> {
    wait_for("every alert's text", PATIENCE, || {
        // Asked seldom: whoever asks takes part of the machine.
        sleep(Duration::from_millis(250));
        let messages = mockup.messages();
        let received: Option<Vec<_>> = posted.iter().map(|one| first(one, &messages)).collect();
        received.filter(|_| mockup.stats().in_progress == 0)
    })
}

fn first(posted: &Posted, messages: &[Message]) -> Option<Timestamp> {
    let of_it = messages
        .iter()
        .filter(|one| one.text.contains(&posted.text));
    of_it
        .map(|one| one.received_at.parse().expect("a time"))
        .min()
}

fn tell(report: &mut Report, name: &str, storm: &Storm) {
    let (high, all) = (storm.took(|one| one.is_high), storm.took(|_| true));
    report.row(
        &format!(
            "{ALERTS} alerts in {} s to one channel that takes one message a second{name}: {} high ones, accepted → received, median, p99, slowest",
            SPAN.as_secs(),
            high.count()
        ),
        &format!("{}, {}, {}", high.median(), high.p99(), high.slowest()),
        "p99 ≤ 2 s",
        high.p99_ms(),
    );
    report.row(
        &format!("all of them{name}, median, slowest; the last since the first was accepted"),
        &format!("{}, {}; {}", all.median(), all.slowest(), ms(storm.all())),
        "≤ 60 s",
        storm.all().as_secs_f64(),
    );
    report.row(
        &format!("messages that carried them{name}; answers 429"),
        &format!("{}; {}", storm.stats.accepted, storm.stats.rate_limited),
        "at most one 429",
        storm.stats.accepted as f64,
    );
}
