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
    subject::{Programs, Run, Subject, USERS, requests},
};

const SPAN: Duration = Duration::from_millis(1_200);
/// Of these the plot is made.
const PLOTTED: usize = 64;
const MODES: [Mode; 2] = [Mode::Held, Mode::GoingOn];
const CASES: [Case; 9] = [
    case(1, 1, ""),
    case(1, 64, "≥ 0.50, goal 0.60"),
    case(1, 1_024, "≥ 0.55, goal 0.70"),
    case(10, 1, ""),
    case(10, 64, "≥ 0.40, goal 0.50"),
    case(10, 1_024, ""),
    case(1_000, 1, ""),
    case(1_000, 64, ""),
    case(1_000, 1_024, ""),
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

/// What the rounds of a case came to: of the bare server, and of each program in each mode.
struct Rounds {
    bare: Vec<Load>,
    ours: [Vec<Vec<Load>>; 2],
}

pub(crate) fn measure(run: &Run, report: &mut Report) {
    let mut plot = MODES.map(|mode| Series {
        name: mode.name().into(),
        points: Vec::new(),
    });
    for case in &CASES {
        let rounds = rounds(&run.programs, case);
        for ((mode, ours), series) in MODES.into_iter().zip(&rounds.ours).zip(&mut plot) {
            for (place, ours) in ours.iter().enumerate() {
                let name = Programs::name(place);
                tell(report, mode, case, name, ours, &rounds.bare);
            }
            if case.connections == PLOTTED
                && let Some(ours) = ours.first()
            {
                series.points.push((case.recipients as f64, rate(ours)));
            }
        }
    }
    report.plot(
        "accept",
        &format!("alerts answered 200 a second, {PLOTTED} connections"),
        ["recipients an alert", "alerts a second"],
        &plot,
    );
}

/// By turns, the modes too, so that they share what they are compared with.
fn rounds(programs: &Programs, case: &Case) -> Rounds {
    let requests = requests(case.recipients);
    let server = BareServer::start();
    let none = || programs.iter().map(|_| Vec::new()).collect();
    let mut rounds = Rounds {
        bare: Vec::new(),
        ours: [none(), none()],
    };
    for _ in 0..ROUNDS {
        let bare = closed(server.address, case.connections, &requests, SPAN);
        rounds.bare.push(bare);
        for (mode, ours) in MODES.into_iter().zip(&mut rounds.ours) {
            for (program, ours) in programs.iter().zip(ours) {
                let subject = start(program, mode);
                let address = subject.server.address();
                let load = closed(address, case.connections, &requests, SPAN);
                assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
                ours.push(load);
            }
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
