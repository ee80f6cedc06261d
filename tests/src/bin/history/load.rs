//! Accepting, with much on disk and with nothing, and while history is trimmed.

use std::{
    thread,
    time::{Duration, Instant},
};

use tests::{
    figures::{median, row},
    harness::{Alert, Connection, LONG, Outcome, Server, ServerOptions, post},
};

use crate::USERS;

const CONNECTIONS: usize = 64;
/// Alerts of each connection in a round of comparing speeds.
const ALERTS: usize = 300;
const ROUNDS: usize = 5;
/// A round of latencies, in which each connection posts at an easy pace.
const PACED_CONNECTIONS: usize = 16;
const PACED_ALERTS: usize = 200;
const INTERVAL: Duration = Duration::from_millis(20);

/// Accepting speed beside that of an empty database.
pub(crate) fn compare(full: &Server, empty: &Server) {
    let mut ratios = Vec::new();
    let mut speeds = Vec::new();
    for round in 0..=ROUNDS {
        let (of_empty, of_full) = match round % 2 {
            0 => (speed(empty), speed(full)),
            _ => {
                let of_full = speed(full);
                (speed(empty), of_full)
            }
        };
        // The first round warms up.
        if round > 0 {
            ratios.push(of_full / of_empty);
            speeds.push(of_full);
        }
    }
    row(
        &format!(
            "alerts accepted a second over {CONNECTIONS} connections, median of {ROUNDS}; as a part of what an empty database takes"
        ),
        &format!("{:.0}; {:.2}", median(speeds), median(ratios)),
        "ratio ≥ 0.9",
    );
}

fn speed(server: &Server) -> f64 {
    let begun = Instant::now();
    let times = run(server, CONNECTIONS, ALERTS, Duration::ZERO);
    let speed = times.len() as f64 / begun.elapsed().as_secs_f64();
    server.drain(LONG);
    speed
}

/// How much slower accepting is while history is trimmed.
pub(crate) fn trimming(options: &ServerOptions) {
    let mut quiet = Vec::new();
    let mut trimming = Vec::new();
    for _ in 0..3 {
        quiet.push(p99(&options.clone()).0);
        // All but the last day's are too old.
        let (p99, trimmed) = p99(&options.clone().with("--retention", "1d"));
        assert!(trimmed > 0.0, "nothing was trimmed");
        trimming.push(p99);
    }
    let (quiet, trimming) = (median(quiet), median(trimming));
    row(
        "p99 of accepting 800 a second, quiet and while history is trimmed, medians of 3",
        &format!(
            "{quiet:.2}, {trimming:.2} ms: factor {:.2}",
            trimming / quiet
        ),
        "factor ≤ 1.5",
    );
}

/// The p99 of accepting in milliseconds, and how many alerts were trimmed meanwhile.
fn p99(options: &ServerOptions) -> (f64, f64) {
    let server = options.start();
    run(&server, PACED_CONNECTIONS, 10, INTERVAL);
    let trimmed = || {
        let name = "error_notifier_store_trimmed_alerts_total";
        server.metric(name).expect("the metric is there")
    };
    let before = trimmed();
    let mut times = run(&server, PACED_CONNECTIONS, PACED_ALERTS, INTERVAL);
    let trimmed = trimmed() - before;
    server.drain(LONG);
    server.stop();
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    (p99.as_secs_f64() * 1000.0, trimmed)
}

/// Posts over that many connections, each so many alerts, one an `interval`; gives
/// how long each took.
fn run(server: &Server, connections: usize, alerts: usize, interval: Duration) -> Vec<Duration> {
    let address = server.address();
    let connections = (0..connections).map(|number| {
        thread::spawn(move || {
            let mut connection = Connection::open(address).expect("a server");
            let begun = Instant::now();
            let mut times = Vec::with_capacity(alerts);
            for count in 0..alerts {
                // Each at its own time, however long those before it took.
                let due = begun + interval * count as u32;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                let user = (count * 64 + number) * 7 % USERS + 1;
                let alert = Alert {
                    targets: vec![format!("@user{user}")],
                    severity: "normal",
                    message: format!("node{number} down for the {count}th time"),
                };
                let sent = Instant::now();
                let outcome = post(&mut connection, &alert);
                times.push(sent.elapsed());
                assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
            }
            times
        })
    });
    let connections: Vec<_> = connections.collect();
    let times = connections
        .into_iter()
        .map(|one| one.join().expect("a connection"));
    times.flatten().collect()
}
