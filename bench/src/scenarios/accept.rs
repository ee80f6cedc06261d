//! Alerts answered 200 a second, beside a bare axum that answers the same: while delivery
//! is held (Slack answers 429 and asks for a minute, so deliveries wait on the disk), and
//! while it goes on.

use std::{path::Path, time::Duration};

use serde_json::json;
use tests::figures::median;

use super::ROUNDS;
use crate::{
    ceilings::BareServer,
    load::{Load, closed},
    report::{Report, Series, ms},
    subject::{Programs, Subject, USERS, requests},
};

const SPAN: Duration = Duration::from_millis(1_500);
/// Of these the plot is made.
const PLOTTED: usize = 64;
const MODES: [Mode; 2] = [Mode::Held, Mode::GoingOn];
const CASES: [Case; 7] = [
    case(1, 1, ""),
    case(1, 64, "≥ 0.50, goal 0.60"),
    case(1, 1_024, "≥ 0.55, goal 0.70"),
    case(10, 64, "≥ 0.40, goal 0.50"),
    case(10, 1_024, ""),
    case(1_000, 1, ""),
    case(1_000, 64, ""),
];

/// What becomes of deliveries meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Held,
    GoingOn,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Held => "delivery held",
            Mode::GoingOn => "delivery going on",
        }
    }
}

struct Case {
    recipients: usize,
    connections: usize,
    /// What the ratio should be while delivery is held.
    goal: &'static str,
}

const fn case(recipients: usize, connections: usize, goal: &'static str) -> Case {
    Case {
        recipients,
        connections,
        goal,
    }
}

/// What the rounds of a case came to: of the bare server, and of each program.
struct Rounds {
    bare: Vec<Load>,
    ours: Vec<Vec<Load>>,
}

pub(crate) fn measure(programs: &Programs, report: &mut Report) {
    let mut plot: Vec<Series> = Vec::new();
    for mode in MODES {
        let mut points = Vec::new();
        for case in &CASES {
            let rounds = run(programs, mode, case);
            for (place, ours) in rounds.ours.iter().enumerate() {
                tell(
                    report,
                    mode,
                    case,
                    Programs::name(place),
                    ours,
                    &rounds.bare,
                );
            }
            if case.connections == PLOTTED
                && let Some(ours) = rounds.ours.first()
            {
                points.push((case.recipients as f64, rate(ours)));
            }
        }
        plot.push(Series {
            name: mode.name().into(),
            points,
        });
    }
    report.plot(
        "accept",
        &format!("alerts answered 200 a second, {PLOTTED} connections"),
        ["recipients an alert", "alerts a second"],
        &plot,
    );
}

fn run(programs: &Programs, mode: Mode, case: &Case) -> Rounds {
    let requests = requests(case.recipients);
    let server = BareServer::start();
    let mut rounds = Rounds {
        bare: Vec::new(),
        ours: programs.iter().map(|_| Vec::new()).collect(),
    };
    for _ in 0..ROUNDS {
        let bare = closed(server.address, case.connections, &requests, SPAN);
        rounds.bare.push(bare);
        for (program, ours) in programs.iter().zip(&mut rounds.ours) {
            let subject = start(program, mode);
            let address = subject.server.address();
            let load = closed(address, case.connections, &requests, SPAN);
            assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
            ours.push(load);
        }
    }
    rounds
}

/// A server of its own each time, so that none begins with what the last has left.
fn start(program: &Path, mode: Mode) -> Subject {
    let subject = Subject::start(program, USERS, |options| options);
    if mode == Mode::Held {
        let limited = json!({ "status": 429, "retryAfter": 60 });
        subject.mockup.set_faults(&limited);
    }
    subject
}

fn tell(report: &mut Report, mode: Mode, case: &Case, name: &str, ours: &[Load], bare: &[Load]) {
    let ratios = ours.iter().zip(bare);
    let ratio = median(
        ratios
            .map(|(ours, bare)| ours.rate() / bare.rate())
            .collect(),
    );
    let p99 = ours
        .iter()
        .map(|load| load.times.value_at_quantile(0.99) as f64);
    report.row(
        &format!(
            "{} recipients, {} connections, {}{name}: a second; of bare axum; p99",
            case.recipients,
            case.connections,
            mode.name()
        ),
        &format!(
            "{:.0} of {:.0}: {ratio:.2}; {}",
            rate(ours),
            rate(bare),
            ms(median(p99.collect()) as u64)
        ),
        match mode {
            Mode::Held => case.goal,
            Mode::GoingOn => "",
        },
        ratio,
    );
}

fn rate(loads: &[Load]) -> f64 {
    median(loads.iter().map(Load::rate).collect())
}
