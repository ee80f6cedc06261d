//! `make measure`: the figures of this machine, as Markdown. Names of parts measure those
//! alone.
//!
//! Load, server and mockup share the machine; compare a figure with what stands
//! beside it, from the same run.

mod cost;
mod everybody;
mod isolation;
mod latency;
mod storm;

use std::time::Instant;

use tests::{
    figures::{Times, chosen, head, machine, ms, row},
    harness::{Directory, Mockup, Scratch, ServerOptions},
};

const USERS: usize = 100_000;
const GROUPS: usize = 10_000;
const MEMBERS: usize = 20;
const STARTS: usize = 20;

/// What can be measured, by name.
const PARTS: [(&str, fn()); 5] = [
    ("start", start_and_idle),
    ("latency", latency::measure),
    ("storm", storm::measure),
    ("isolation", isolation::measure),
    ("directory", large_directory),
];

fn main() {
    let parts = chosen(PARTS);
    head();
    row(
        "cores; fdatasync of 4 KiB, median and p99",
        &machine::describe(),
        "",
    );
    for measure in parts {
        measure();
    }
}

fn start_and_idle() {
    let scratch = Scratch::new("measure");
    let mockup = Mockup::start(&scratch);
    let options = ServerOptions::new(&scratch.join("data"), &mockup);
    let first = options.start();
    let first_ready = first.ready_after;
    let idle = machine::resident_mib(first.process.id());
    first.stop();
    let starts = (0..STARTS).map(|_| {
        let server = options.start();
        let ready_after = server.ready_after;
        server.stop();
        ready_after
    });
    let starts: Times = starts.collect();
    row("RSS when idle", &format!("{idle:.1} MiB"), "≤ 15 MB");
    let figure = format!(
        "{}, first {}, slowest {}",
        starts.median(),
        ms(first_ready),
        starts.slowest()
    );
    row(
        &format!("from start to ready, median of {STARTS}"),
        &figure,
        "≤ 100 ms",
    );
}

/// 100,000 users and 10,000 groups.
fn large_directory() {
    let scratch = Scratch::new("measure");
    let mockup = Mockup::start(&scratch);
    let mut directory = Directory::of_users(USERS);
    for group in 0..GROUPS {
        directory.add_group(
            (0..MEMBERS)
                .map(|place| (group * 7919 + place * 104_729) % USERS)
                .collect(),
        );
    }
    let options = ServerOptions::new(&scratch.join("large"), &mockup).with("--log-http", "off");
    let server = options.start();
    let begun = Instant::now();
    directory.import(&server);
    let figure = format!("{:.1} s", begun.elapsed().as_secs_f64());
    row(
        &format!("importing {USERS} users and {GROUPS} groups of {MEMBERS}"),
        &figure,
        "",
    );
    let imported = machine::resident_mib(server.process.id());
    server.stop();
    let server = options.start();
    let started = machine::resident_mib(server.process.id());
    row(
        "RSS with them, after the import and after a restart",
        &format!("{imported:.0}, {started:.0} MiB"),
        "",
    );
    row("from start to ready with them", &ms(server.ready_after), "");

    let few = Directory::of_users(10);
    let small = options
        .clone()
        .listening(tests::harness::free_address())
        .on(&scratch.join("small"))
        .start();
    few.import(&small);
    cost::measure(&small, &server);
    small.stop();
    server.stop();
    everybody::measure(&options, &mockup);
}
