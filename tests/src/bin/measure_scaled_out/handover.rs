//! The longest time that a destination hears nothing when one of two consumers goes.

use std::{
    collections::HashMap,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tests::{
    figures::row,
    harness::{Alert, Directory, LONG, Message, wait_for},
    scaled_out::{Clients, Site},
};

use super::Servers;

const DESTINATIONS: usize = 60;
const CLIENTS: usize = 10;
/// Each destination is told something about every 300 ms.
const PAUSE: Duration = Duration::from_millis(50);
const BEFORE: Duration = Duration::from_secs(6);
const AFTER: Duration = Duration::from_secs(20);

pub(crate) fn measure(servers: &mut Servers) {
    let options = servers.options().partitions(12);
    let mut site = Site::start(options, Directory::of_users(DESTINATIONS), 1, 2);
    site.mockup.set_faults(&json!({ "latencyMs": 50 }));
    for (how, goal) in [
        ("SIGTERM", "gap ≤ 2 s, twice 0"),
        ("kill -9", "gap ≤ 12 s, twice ≤ in flight"),
    ] {
        one(&mut site, how, goal);
    }
}

fn one(site: &mut Site, how: &str, goal: &str) {
    let producer = [site.producers[0].address()];
    let clients = Clients::start(&producer, CLIENTS, PAUSE, false, move |client, count| {
        let user = (count * CLIENTS + client) % DESTINATIONS + 1;
        Some(Alert {
            targets: vec![format!("@user{user}")],
            severity: "normal",
            message: format!("client {client} alert {count}"),
        })
    });
    sleep(BEFORE);
    let begun = Timestamp::now();
    let asked = Instant::now();
    let in_flight = site.consumers[0].metric("error_notifier_deliveries_in_flight");
    match how {
        "SIGTERM" => {
            site.consumers[0].stop();
        }
        _ => site.consumers[0].kill(),
    }
    let gone = asked.elapsed();
    sleep(AFTER);
    let sent = clients.stop();
    wait_for("every delivery", LONG, || {
        let mut seen: Vec<_> = texts(&site.mockup.messages());
        seen.sort();
        seen.dedup();
        (seen.len() >= sent.len()).then_some(())
    });
    let messages = site.mockup.messages();
    let all = texts(&messages);
    let mut different = all.clone();
    different.sort();
    different.dedup();
    let figure = format!(
        "gap {:.2} s, twice {} (in flight {:.0} before it), the process ended after {:.2} s; {} deliveries",
        longest_gap(&messages, begun).as_secs_f64(),
        all.len() - different.len(),
        in_flight.unwrap_or_default(),
        gone.as_secs_f64(),
        different.len()
    );
    row(
        &format!("one of two consumers ends, by {how}"),
        &figure,
        goal,
    );
    site.mockup.forget();
    site.consumers[0].start();
    sleep(BEFORE);
}

fn texts(messages: &[Message]) -> Vec<(String, String)> {
    let one = |message: &Message| (message.channel.clone(), message.text.clone());
    messages.iter().map(one).collect()
}

/// Between two messages to the same destination, of which the second came after `begun`.
fn longest_gap(messages: &[Message], begun: Timestamp) -> Duration {
    let mut last: HashMap<&str, Timestamp> = HashMap::new();
    let mut longest = Duration::ZERO;
    for message in messages {
        let at: Timestamp = message.received_at.parse().expect("a time");
        if let Some(before) = last.insert(&message.channel, at)
            && at > begun
        {
            longest = longest.max(at.duration_since(before).unsigned_abs());
        }
    }
    longest
}
