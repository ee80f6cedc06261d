//! `make crowd`: what thousands of idle and slow connections do to everyone else's
//! requests, on a server with default limits.
//!
//! Client, crowd, server and mockup share the machine; what counts is the ratio.

use std::{
    process::exit,
    time::{Duration, Instant},
};

use tests::{
    crowd::Crowd,
    figures::{Times, head, machine::resident_mib, row},
    harness::{
        Alert, Connection, Directory, Mockup, Outcome, Scratch, Server, ServerOptions, post,
    },
};

const USUAL: usize = 10_000;
const REQUESTS: usize = 4_000;
/// 500 a second.
const INTERVAL: Duration = Duration::from_millis(2);
/// Every so many requests come on a connection of their own.
const NEW_CONNECTION: usize = 10;
/// Longer than an idle connection may be idle.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(USUAL), |text| text.parse());
    let Ok(count) = count else {
        eprintln!("name a number of connections, such as {USUAL}");
        exit(2);
    };
    let scratch = Scratch::new("crowd");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup).with("--log-http", "off");
    let server = options.start();
    Directory::of_users(10).import(&server);
    // Once for nothing: the first requests meet a process that has just begun.
    requests(&server);
    let alone = requests(&server);
    let resident_alone = resident_mib(server.process.id());

    let begun = Instant::now();
    let mut crowd = Crowd::gather(server.address(), count).unwrap_or_else(|line| {
        eprintln!("{line}");
        exit(2);
    });
    let gathered = begun.elapsed();
    let held = crowd.held();
    let beside = requests(&server);
    let still = crowd.held();
    let resident = resident_mib(server.process.id());
    let left = crowd.outlast(PATIENCE);
    let closed = begun.elapsed();

    head();
    row(
        &format!(
            "{count} connections made, half idle, a quarter with slow heads, a quarter with slow bodies"
        ),
        &format!(
            "in {:.1} s; {held} held at first, {still} after the requests",
            gathered.as_secs_f64()
        ),
        "",
    );
    row(
        &format!(
            "{REQUESTS} alerts posted at 500/s, one in {NEW_CONNECTION} on a new connection: median, p99 alone"
        ),
        &format!("{}, {}", alone.median(), alone.p99()),
        "",
    );
    row(
        "the same beside the crowd",
        &format!("{}, {}", beside.median(), beside.p99()),
        "",
    );
    let ratio = beside.p99_ms() / alone.p99_ms();
    row("p99 beside it to alone", &format!("{ratio:.2}"), "≤ 2");
    row(
        "RSS alone, with the crowd",
        &format!("{resident_alone:.1}, {resident:.1} MiB"),
        "",
    );
    row(
        "connections that the server had not closed in the end",
        &format!("{left}, after {:.0} s", closed.as_secs_f64()),
        "0",
    );
    server.stop();
}

/// Posts alerts, each at its own time, however long those before it took.
fn requests(server: &Server) -> Times {
    let mut kept = Connection::open(server.address()).expect("a server");
    let begun = Instant::now();
    let times = (0..REQUESTS).map(|number| {
        let due = begun + INTERVAL * number as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let alert = Alert {
            targets: vec![format!("@user{}", number % 10 + 1)],
            severity: "normal",
            message: format!("node{number} down"),
        };
        let outcome = if number % NEW_CONNECTION == 0 {
            let mut new = Connection::open(server.address()).expect("a server");
            post(&mut new, &alert)
        } else {
            post(&mut kept, &alert)
        };
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        sent.elapsed()
    });
    times.collect()
}
