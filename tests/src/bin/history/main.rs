//! `make history DELIVERIES=10000000`: the history at size, as Markdown.
//!
//! A data folder is filled with copies of rows that the server itself has written,
//! then asked over HTTP, and accepted into beside an empty one. Load, server and
//! mockup share the machine; compare a figure with what stands beside it.

mod ask;
mod fill;
mod load;

use std::{fs, path::Path, time::Instant};

use tests::{
    figures::{head, row},
    harness::{Directory, LONG, Mockup, Scratch, Server, ServerOptions, free_address},
};

/// Users, each with a channel of their own.
const USERS: usize = 1_000;
/// The first so many of them are in a group each, and told by its name.
const GROUPS: usize = 20;

fn main() {
    let count = std::env::args()
        .nth(1)
        .map_or(Some(1_000_000), |text| text.parse().ok());
    let Some(count) = count else {
        eprintln!("usage: history [DELIVERIES]");
        std::process::exit(2);
    };
    let scratch = Scratch::new("history");
    let mockup = Mockup::start(&scratch);
    let mut directory = Directory::of_users(USERS);
    (0..GROUPS).for_each(|member| directory.add_group(vec![member]));
    let options = ServerOptions::new(&scratch.join("full"), &mockup)
        .with("--log-http", "off")
        .with("--log-level", "warn")
        .with("--history-max-bytes", "1TiB")
        .with("--retention", "3650d");
    let empty = options
        .clone()
        .on(&scratch.join("empty"))
        .listening(free_address());

    head();
    let server = options.start();
    directory.import(&server);
    templates(&server);
    server.stop();
    let begun = Instant::now();
    let span = fill::fill(options.data(), count);
    row(
        &format!("filling a data folder with {count} deliveries, one an alert"),
        &format!("{:.0} s", begun.elapsed().as_secs_f64()),
        "",
    );
    let bytes = bytes_of(options.data());
    row(
        "bytes on disk a delivery, its alert and indexes included",
        &format!("{:.0}", bytes as f64 / count as f64),
        "",
    );

    let full = options.start();
    row(
        "from start to ready with them",
        &format!("{:.0} ms", full.ready_after.as_secs_f64() * 1e3),
        "",
    );
    let small = empty.start();
    directory.import(&small);
    ask::measure(&full, span);
    load::compare(&full, &small);
    small.stop();
    full.stop();
    load::trimming(&options);
}

/// An alert to each user, delivered: the rows that all others are copies of.
fn templates(server: &Server) {
    for number in 1..=USERS {
        let target = match number <= GROUPS {
            true => format!("@@group{number}"),
            false => format!("@user{number}"),
        };
        let answer = server.alert(&[&target], "normal", "node down");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    server.drain(LONG);
}

fn bytes_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("a data folder");
    let database = files.filter_map(Result::ok).filter(|file| {
        let name = file.file_name();
        name.to_string_lossy().starts_with("error-notifier.db")
    });
    database
        .filter_map(|file| file.metadata().ok())
        .map(|data| data.len())
        .sum()
}
