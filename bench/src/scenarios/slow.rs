//! A Slack that takes its time to answer: how many deliveries a second, and what limits them.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::json;
use tests::harness::{Mockup, wait_for};

use crate::{
    clock::Meter,
    load::closed,
    report::Report,
    subject::{Programs, Run, Subject, requests_to},
};

const LATENCY_MS: u64 = 100;
const DESTINATIONS: usize = 2_000;
const CONNECTIONS: usize = 64;
/// How long alerts are posted. Those that wait then are delivered before it is over.
const SPAN: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the mockup is asked how much is in flight.
const GLANCE: Duration = Duration::from_millis(50);
/// `--max-in-flight`: the default, and more than there are destinations.
const IN_FLIGHT: [(usize, &str); 2] = [
    (512, "the default `--max-in-flight 512`"),
    (4_000, "`--max-in-flight 4000`"),
];
/// From this share on it is what limits.
const USED_UP: f64 = 0.9;

/// What a run came to.
struct Slow {
    deliveries: u64,
    took: Duration,
    /// Processor time of the server, the mockup and whoever posts.
    cpu: [Duration; 3],
    /// Requests in flight, each time that somebody looked.
    in_flight: Vec<u64>,
    peak_mib: f64,
}

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for recipients in [1, 10] {
        for (most, setting) in IN_FLIGHT {
            for (place, program) in run.programs.iter().enumerate() {
                let slow = slow(program, recipients, most);
                let what = format!(
                    "{recipients} recipients, {setting}{}",
                    Programs::name(place)
                );
                tell(report, &what, &slow, most);
            }
        }
    }
}

fn slow(program: &Path, recipients: usize, most: usize) -> Slow {
    let subject = Subject::start(program, DESTINATIONS, |options| {
        options.with("--max-in-flight", &most.to_string())
    });
    subject
        .mockup
        .set_faults(&json!({ "latencyMs": LATENCY_MS }));
    let requests = requests_to(DESTINATIONS, recipients, DESTINATIONS);
    let (server, mockup) = (
        Meter::of(&subject.server.process),
        Meter::of(&subject.mockup.process),
    );
    let is_over = AtomicBool::new(false);
    scope(|all| {
        let watch = all.spawn(|| in_flight(&subject.mockup, &is_over));
        let begun = Instant::now();
        let address = subject.server.address();
        let load = closed(address, CONNECTIONS, &requests, SPAN);
        assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
        let deliveries = load.accepted * recipients as u64;
        wait_for("every delivery", PATIENCE, || {
            sleep(GLANCE);
            (subject.mockup.stats().accepted >= deliveries).then_some(())
        });
        let took = begun.elapsed();
        is_over.store(true, Ordering::Relaxed);
        Slow {
            deliveries,
            took,
            cpu: [server.used(), mockup.used(), load.cpu],
            in_flight: watch.join().expect("whoever looks"),
            peak_mib: subject.peak_mib(),
        }
    })
}

fn in_flight(mockup: &Mockup, is_over: &AtomicBool) -> Vec<u64> {
    let mut seen = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        sleep(GLANCE);
        seen.push(mockup.stats().in_progress);
    }
    seen
}

fn tell(report: &mut Report, what: &str, slow: &Slow, most: usize) {
    let seconds = slow.took.as_secs_f64();
    let rate = slow.deliveries as f64 / seconds;
    let cores = slow.cpu.map(|cpu| cpu.as_secs_f64() / seconds);
    let mean = slow.in_flight.iter().sum::<u64>() as f64 / slow.in_flight.len().max(1) as f64;
    report.row(
        &format!("Slack at {LATENCY_MS} ms, {DESTINATIONS} destinations, {what}: deliveries a second; limited by"),
        &format!("{rate:.0}; {}", limited_by(mean, most, cores.iter().sum())),
        "≥ 10,000, or the whole path's rate",
        rate,
    );
    report.row(
        "in flight, mean and most; cores used by the server, the mockup, whoever posts; memory at its peak",
        &format!(
            "{mean:.0}, {}; {:.2}, {:.2}, {:.2}; {:.0} MiB",
            slow.in_flight.iter().max().copied().unwrap_or_default(),
            cores[0],
            cores[1],
            cores[2],
            slow.peak_mib
        ),
        "",
        mean,
    );
}

fn limited_by(in_flight: f64, most: usize, cores: f64) -> String {
    // Three quarters of them are for one host.
    let for_a_host = most as f64 * 0.75;
    let there_are = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    if in_flight >= USED_UP * for_a_host {
        format!("the {for_a_host:.0} requests that may be in flight to one host")
    } else if cores >= USED_UP * there_are {
        format!("the {there_are} cores")
    } else if in_flight >= USED_UP * DESTINATIONS as f64 {
        format!("the {DESTINATIONS} destinations, each with one message in flight")
    } else {
        "none of these alone".into()
    }
}
