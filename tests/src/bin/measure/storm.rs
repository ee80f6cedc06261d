//! Thousands of alerts to one channel within seconds: what its pace cannot carry
//! arrives in digests.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tests::{
    figures::{Times, ms, row},
    harness::{
        Alert, Connection, Directory, Message, Mockup, Outcome, Scratch, ServerOptions, post,
        wait_for,
    },
};

const ALERTS: usize = 5_000;
const SPAN: Duration = Duration::from_secs(4);
/// One in so many is high.
const HIGH: usize = 100;
const PATIENCE: Duration = Duration::from_secs(180);

struct Posted {
    text: String,
    is_high: bool,
    accepted: Timestamp,
}

pub(crate) fn measure() {
    let scratch = Scratch::new("measure");
    let mockup = Mockup::start(&scratch);
    // As Slack: <https://docs.slack.dev/apis/web-api/rate-limits>.
    mockup.set_faults(&json!({ "rateLimitPerSecond": 1, "rateBurst": 4 }));
    let options = ServerOptions::new(&scratch.join("data"), &mockup).with("--slack-pace", "1");
    let server = options.start();
    Directory::of_users(1).import(&server);
    let mut client = Connection::open(server.address()).expect("a server");
    let begun = Instant::now();
    let posted: Vec<_> = (0..ALERTS)
        .map(|number| {
            let due = begun + SPAN * number as u32 / ALERTS as u32;
            sleep(due.saturating_duration_since(Instant::now()));
            alert(&mut client, number)
        })
        .collect();
    server.drain(PATIENCE);
    let received = wait_for("every alert's text", PATIENCE, || {
        let messages = mockup.messages();
        let received: Option<Vec<_>> = posted.iter().map(|one| first(one, &messages)).collect();
        received.filter(|_| mockup.stats().in_progress == 0)
    });
    let took = |is_high: bool| -> Times {
        let both = posted.iter().zip(&received);
        both.filter(|(one, _)| !is_high || one.is_high)
            .map(|(one, at)| at.duration_since(one.accepted).unsigned_abs())
            .collect()
    };
    let (high, all) = (took(true), took(false));
    let last = received
        .iter()
        .zip(&posted)
        .map(|(at, _)| at.duration_since(posted[0].accepted).unsigned_abs())
        .max();
    row(
        &format!(
            "storm of {ALERTS} alerts to one channel, one message a second: {} high ones, accepted → received, median, p99, slowest",
            high.count()
        ),
        &format!("{}, {}, {}", high.median(), high.p99(), high.slowest()),
        "p99 ≤ 2 s",
    );
    row(
        "all of them, median, slowest; the last since the first was posted",
        &format!(
            "{}, {}; {}",
            all.median(),
            all.slowest(),
            ms(last.unwrap_or_default())
        ),
        "≤ 60 s",
    );
    let stats = mockup.stats();
    row(
        "messages that carried them; answers 429",
        &format!("{}; {}", stats.accepted, stats.rate_limited),
        "at most one 429",
    );
    server.stop();
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

/// When its text first arrived.
fn first(posted: &Posted, messages: &[Message]) -> Option<Timestamp> {
    let of_it = messages
        .iter()
        .filter(|one| one.text.contains(&posted.text));
    of_it
        .map(|one| one.received_at.parse().expect("a time"))
        .min()
}
