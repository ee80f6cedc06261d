//! Destinations that are dead, slow or limited, and what the others notice of them.

use std::{
    collections::HashMap,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tests::{
    figures::{Times, median},
    harness::{Alert, Connection, Mockup, Outcome, post, wait_for},
};

use crate::{
    report::Report,
    subject::{Programs, Run, Subject, paced},
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

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for (place, program) in run.programs.iter().enumerate() {
        let (mut well, mut troubled) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // By turns, so that a machine that gets slower favours neither.
            if pair % 2 == 0 {
                well.push(times(program, &json!({})));
                troubled.push(times(program, &faults()));
            } else {
                troubled.push(times(program, &faults()));
                well.push(times(program, &json!({})));
            }
        }
        tell(report, Programs::name(place), &well, &troubled);
    }
}

fn tell(report: &mut Report, name: &str, well: &[Vec<Duration>], troubled: &[Vec<Duration>]) {
    let (alone, beside) = (median_p99(well), median_p99(troubled));
    let (all_alone, all_beside) = (together(well).p99_ms(), together(troubled).p99_ms());
    report.row(
        &format!(
            "{} destinations beside {IN_TROUBLE} dead, {IN_TROUBLE} slow (10 s) and {IN_TROUBLE} limited ones{name}: p99 posted → received without and with them, medians of {PAIRS}; of all runs together",
            DESTINATIONS - 3 * IN_TROUBLE
        ),
        &format!(
            "{alone:.2}, {beside:.2} ms: ratio {:.2}; {all_alone:.2}, {all_beside:.2} ms: ratio {:.2}",
            beside / alone,
            all_beside / all_alone
        ),
        "ratio ≤ 1.1",
        beside / alone,
    );
}

fn median_p99(runs: &[Vec<Duration>]) -> f64 {
    let p99 = |run: &Vec<Duration>| run.iter().copied().collect::<Times>().p99_ms();
    median(runs.iter().map(p99).collect())
}

fn together(runs: &[Vec<Duration>]) -> Times {
    runs.iter().flatten().copied().collect()
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
fn times(program: &Path, faults: &Value) -> Vec<Duration> {
    let subject = Subject::start(program, DESTINATIONS, paced);
    subject.mockup.set_faults(faults);
    let mut client = Connection::open(subject.server.address()).expect("a server");
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
    // The slow ones are not waited for.
    let received = arrivals(&posted, &subject.mockup);
    posted
        .iter()
        .map(|(text, at)| received[text].duration_since(*at).unsigned_abs())
        .collect()
}

/// When each of those texts arrived, once all have.
fn arrivals(posted: &HashMap<String, Timestamp>, mockup: &Mockup) -> HashMap<String, Timestamp> {
    wait_for("those that are well", PATIENCE, || {
        let messages = mockup.messages().into_iter();
        let received: HashMap<_, Timestamp> = messages
            .filter(|message| posted.contains_key(&message.text))
            .map(|message| {
                let at = message.received_at.parse().expect("a time");
                (message.text, at)
            })
            .collect();
        (received.len() == posted.len()).then_some(received)
    })
}
