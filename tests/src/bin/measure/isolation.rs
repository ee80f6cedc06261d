//! Destinations that are dead, slow or limited, and what the others notice of them.

use std::{
    collections::HashMap,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tests::{
    figures::{Times, median, row},
    harness::{
        Alert, Connection, Directory, Mockup, Outcome, Scratch, ServerOptions, post, wait_for,
    },
};

const DESTINATIONS: usize = 200;
/// Of each kind of trouble; they come first.
const IN_TROUBLE: usize = 20;
const ALERTS: usize = 1_500;
/// 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);
/// A p99 of 1,050 alerts hangs on its ten slowest, so it takes many runs to tell an
/// effect from the machine's noise.
const PAIRS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure() {
    let (mut well, mut troubled) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // By turns, so that a machine that gets slower favours neither.
        if pair % 2 == 0 {
            well.push(run(&json!({})));
            troubled.push(run(&faults()));
        } else {
            troubled.push(run(&faults()));
            well.push(run(&json!({})));
        }
    }
    let (alone, beside) = (median_p99(&well), median_p99(&troubled));
    let (all_alone, all_beside) = (together(well).p99_ms(), together(troubled).p99_ms());
    row(
        &format!(
            "{} destinations beside {IN_TROUBLE} dead, {IN_TROUBLE} slow (10 s) and {IN_TROUBLE} limited ones: p99 posted → received without and with them, medians of {PAIRS}; of all runs together",
            DESTINATIONS - 3 * IN_TROUBLE
        ),
        &format!(
            "{alone:.2}, {beside:.2} ms: ratio {:.2}; {all_alone:.2}, {all_beside:.2} ms: ratio {:.2}",
            beside / alone,
            all_beside / all_alone
        ),
        "ratio ≤ 1.1",
    );
}

fn median_p99(runs: &[Vec<Duration>]) -> f64 {
    let p99 = |run: &Vec<Duration>| run.iter().copied().collect::<Times>().p99_ms();
    median(runs.iter().map(p99).collect())
}

fn together(runs: Vec<Vec<Duration>>) -> Times {
    runs.into_iter().flatten().collect()
}

fn faults() -> Value {
    let kinds = [
        json!({ "status": 500 }),
        json!({ "latencyMs": 10_000 }),
        json!({ "status": 429, "retryAfter": 30 }),
    ];
    let channels: Map<_, _> = (0..3 * IN_TROUBLE)
        .map(|place| (format!("C{}", place + 1), kinds[place % 3].clone()))
        .collect();
    json!({ "channels": channels })
}

/// The times of those that are well.
fn run(faults: &Value) -> Vec<Duration> {
    let scratch = Scratch::new("measure");
    let mockup = Mockup::start(&scratch);
    mockup.set_faults(faults);
    let options = ServerOptions::new(&scratch.join("data"), &mockup).with("--slack-pace", "1");
    let server = options.start();
    Directory::of_users(DESTINATIONS).import(&server);
    let mut client = Connection::open(server.address()).expect("a server");
    let mut posted = HashMap::new();
    let begun = Instant::now();
    for number in 0..ALERTS {
        sleep((begun + INTERVAL * number as u32).saturating_duration_since(Instant::now()));
        let place = number * 7 % DESTINATIONS;
        let alert = Alert {
            targets: vec![format!("@user{}", place + 1)],
            severity: "normal",
            message: format!("node{number} down"),
        };
        if place >= 3 * IN_TROUBLE {
            posted.insert(alert.text(), Timestamp::now());
        }
        assert!(matches!(
            post(&mut client, &alert),
            Outcome::Accepted { .. }
        ));
    }
    let received = wait_for("those that are well", PATIENCE, || {
        let messages = mockup.messages();
        let received: HashMap<_, Timestamp> = messages
            .iter()
            .filter(|message| posted.contains_key(&message.text))
            .map(|message| {
                (
                    message.text.clone(),
                    message.received_at.parse().expect("a time"),
                )
            })
            .collect();
        (received.len() == posted.len()).then_some(received)
    });
    // The slow ones are not waited for.
    drop(server);
    posted
        .iter()
        .map(|(text, at)| received[text].duration_since(*at).unsigned_abs())
        .collect()
}
