//! Alerts posted, stored, sent and settled, beside the limit that the bare parts make: what
//! a bare axum, a bare client and a bare writer cost an alert in processor time, on the
//! cores that all of them and the two ends share.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tests::{
    figures::median,
    harness::{Mockup, Scratch},
};

use super::ROUNDS;
use crate::{
    ceilings::{BareServer, bare_client, bare_writer},
    clock::Meter,
    load::closed,
    report::Report,
    subject::{Programs, Run, Subject, USERS, requests},
};

const SPAN: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 64;
const DRAIN: Duration = Duration::from_secs(120);
/// Alerts that share a commit under this load.
const A_COMMIT: usize = 16;

/// A round of one program.
struct Round {
    alerts: u64,
    took: Duration,
    /// Processor time of the server, the mockup and whoever posts.
    cpu: [Duration; 3],
    peak_mib: f64,
}

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for recipients in [1, 10] {
        let requests = requests(recipients);
        let mut limits = Vec::new();
        let mut rounds: Vec<Vec<Round>> = run.programs.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            limits.push(limit(recipients, &requests));
            for (program, rounds) in run.programs.iter().zip(&mut rounds) {
                rounds.push(round(program, recipients, &requests));
            }
        }
        for (place, rounds) in rounds.iter().enumerate() {
            tell(report, recipients, Programs::name(place), rounds, &limits);
        }
    }
}

/// Alerts a second that the bare parts would carry, on all cores.
fn limit(recipients: usize, requests: &Arc<[Vec<u8>]>) -> f64 {
    let span = SPAN / 2;
    let server = BareServer::start();
    let meter = Meter::of(&server.process);
    let load = closed(server.address, CONNECTIONS, requests, span);
    let accepting = (meter.used() + load.cpu).as_secs_f64() / load.accepted as f64;

    let scratch = Scratch::new("bench-limit");
    let mockup = Mockup::start(&scratch);
    let meter = Meter::of(&mockup.process);
    let sent = bare_client(mockup.address(), CONNECTIONS, span);
    let sending = (meter.used() + sent.cpu).as_secs_f64() / sent.count as f64;

    let written = bare_writer(A_COMMIT, recipients, span);
    let writing = written.cpu.as_secs_f64() / written.count as f64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores as f64 / (accepting + sending * recipients as f64 + writing)
}

fn round(program: &Path, recipients: usize, requests: &Arc<[Vec<u8>]>) -> Round {
    let subject = Subject::start(program, USERS, |options| options);
    let (server, mockup) = (
        Meter::of(&subject.server.process),
        Meter::of(&subject.mockup.process),
    );
    let begun = Instant::now();
    let load = closed(subject.server.address(), CONNECTIONS, requests, SPAN);
    subject.server.drain(DRAIN);
    let took = begun.elapsed();
    assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
    assert_eq!(
        subject.mockup.stats().accepted,
        load.accepted * recipients as u64,
        "every delivery arrives once"
    );
    Round {
        alerts: load.accepted,
        took,
        cpu: [server.used(), mockup.used(), load.cpu],
        peak_mib: subject.peak_mib(),
    }
}

fn tell(report: &mut Report, recipients: usize, name: &str, rounds: &[Round], limits: &[f64]) {
    let of = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    let rate = |round: &Round| round.alerts as f64 / round.took.as_secs_f64();
    let ratios = rounds
        .iter()
        .zip(limits)
        .map(|(round, limit)| rate(round) / limit);
    let ratio = median(ratios.collect());
    report.row(
        &format!(
            "{recipients} recipients{name}: alerts, deliveries a second; of the combined limit"
        ),
        &format!(
            "{:.0}, {:.0}; {ratio:.2} of {:.0}",
            of(&rate),
            of(&rate) * recipients as f64,
            median(limits.to_vec())
        ),
        "≥ 0.80, goal 0.90",
        ratio,
    );
    let micros =
        |whose: usize| of(&|round| round.cpu[whose].as_secs_f64() * 1e6 / round.alerts as f64);
    report.row(
        &format!("{recipients} recipients{name}: processor time an alert of the server, the mockup, whoever posts; memory at its peak"),
        &format!(
            "{:.0}, {:.0}, {:.0} µs; {:.0} MiB",
            micros(0),
            micros(1),
            micros(2),
            of(&|round| round.peak_mib)
        ),
        match recipients {
            1 => "≤ 40 MiB",
            _ => "",
        },
        micros(0),
    );
}
