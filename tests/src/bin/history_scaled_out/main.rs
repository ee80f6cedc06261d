//! `make history-scaled-out DELIVERIES=10000000`: the history in PostgreSQL at size, as
//! Markdown.
//!
//! A database of its own is filled with records as the queue tells them, through the port
//! that they are written by, and asked through the port that they are read by. Both and the
//! server share the machine; compare a figure with what stands beside it.

mod ask;
mod fill;

use std::{sync::Arc, time::Instant};

use common::SystemClock;
use postgres::{Postgres, Settings};
use tests::services;

use fill::{Filling, Shape};

/// Users, each with a channel of their own.
const USERS: u64 = 1_000;
/// The users of an alert to everybody.
const EVERYBODY: u64 = 100_000;

#[tokio::main]
async fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(Some(1_000_000), |text| text.parse().ok());
    let Some(count) = count else {
        eprintln!("usage: history_scaled_out [DELIVERIES]");
        std::process::exit(2);
    };
    let server = services::Postgres::start();
    let settings = Settings::new(
        server.url().parse().expect("a URL"),
        tests::services::secret_key(),
    );
    let clock = Arc::new(SystemClock::start());
    let store = Postgres::connect(settings, clock).await.expect("a server");
    let bytes = || -> u64 {
        let size = server.sql(services::Postgres::DATABASE, SIZE);
        size.trim().parse().expect("a number")
    };
    println!("| what | figure |\n|---|---|");
    let mut filling = Filling::new(count);
    let history = &*store.history;
    let empty = bytes();
    let begun = Instant::now();
    let first = filling.fill(history, count / 10, Shape::One).await;
    row(
        "recording a second, the first tenth: an alert and its outcome",
        &rate(first, begun),
    );
    filling.fill(history, count * 8 / 10, Shape::One).await;
    let begun = Instant::now();
    let last = filling.fill(history, count / 10, Shape::One).await;
    row("recording a second, the last tenth", &rate(last, begun));
    let filled = bytes();
    row(
        &format!(
            "bytes on disk a delivery, of {count}, one an alert; alert, indexes and feed included"
        ),
        &format!("{:.0}", (filled - empty) as f64 / count as f64),
    );
    let begun = Instant::now();
    filling.fill(history, EVERYBODY, Shape::Everybody).await;
    row(
        "an alert to 100,000 users and its outcomes: outcomes a second",
        &rate(EVERYBODY, begun),
    );
    row(
        "bytes on disk a delivery of that",
        &format!("{:.0}", (bytes() - filled) as f64 / EVERYBODY as f64),
    );
    for (batch, what) in [(1, "1"), (10, "10"), (100, "100")] {
        let begun = Instant::now();
        let outcomes = filling.singly(history, 500 * batch, batch).await;
        row(
            &format!("recording in batches of {what}: outcomes a second"),
            &rate(outcomes, begun),
        );
    }
    server.sql(services::Postgres::DATABASE, "ANALYZE");
    ask::measure(history, &filling).await;
}

const SIZE: &str = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
     WHERE relname IN ('alert', 'delivery', 'attempt', 'alert_block', 'feed', 'digest',
       'history_untold', 'history_log', 'history_state', 'destination')";

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn rate(count: u64, since: Instant) -> String {
    format!("{:.0}", count as f64 / since.elapsed().as_secs_f64())
}
