//! Whether anything costs more where there is much: users, deliveries that wait.

mod cost;

use std::{path::Path, thread::sleep, time::Duration};

use serde_json::{Map, json};
use tests::{
    figures::machine::{cpu_time, peak_mib},
    harness::{Directory, Mockup, Scratch, Server, ServerOptions, free_address, wait_for},
};

use crate::{
    report::Report,
    subject::{Programs, Run, options, requests_to},
};

use cost::{Case, costs};

/// Who alerts go to, in all of it.
const FEW: usize = 10;
const MANY: usize = 100_000;
const CONNECTIONS: usize = 16;
const GOAL: &str = "ratio ≤ 1.15";
const PATIENCE: Duration = Duration::from_secs(600);
/// A server is at rest that uses less than a tenth of a core for so long.
const REST: Duration = Duration::from_millis(500);

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for (place, program) in run.programs.iter().enumerate() {
        let name = Programs::name(place);
        users(program, name, report);
        backlog(program, run.deliveries, name, report);
    }
}

/// An alert to one of the same ten users, in a directory of ten and in a large one.
fn users(program: &Path, name: &str, report: &mut Report) {
    let scratch = Scratch::new("bench");
    let mockup = Mockup::start(&scratch);
    let options = options(program, &scratch, &mockup);
    let small = start(&options, &scratch, "small", &Directory::of_users(FEW));
    let large = start(&options, &scratch, "large", &Directory::of_users(MANY));
    let case = |server, users, count| Case {
        server,
        requests: requests_to(users, 1, count),
        connections: CONNECTIONS,
    };
    let [few, many, new] = costs([
        case(&small, FEW, FEW),
        case(&large, FEW, FEW),
        case(&large, MANY, MANY),
    ]);
    tell(
        report,
        &format!("an alert to one of ten users, in a directory of {FEW} and of {MANY}{name}"),
        few.an_alert,
        many.an_alert,
    );
    report.row(
        &format!("the same to any of the {MANY}{name}, so that each is a new destination"),
        &format!("{:.0} µs", new.an_alert),
        "",
        new.an_alert,
    );
}

/// An alert to one of ten users while nothing waits, and while many wait for others.
fn backlog(program: &Path, deliveries: usize, name: &str, report: &mut Report) {
    let scratch = Scratch::new("bench");
    let mockup = Mockup::start(&scratch);
    let options = options(program, &scratch, &mockup);
    let others = deliveries.min(MANY);
    let mut directory = Directory::of_users(FEW + others);
    directory.add_group((FEW..FEW + others).collect());
    let free = start(&options, &scratch, "free", &directory);
    let full = start(&options, &scratch, "full", &directory);
    limit_all_but_few(&mockup);
    for number in 0..deliveries.div_ceil(others) {
        let answer = full.alert(&["@@group1"], "normal", &format!("node{number} down"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    await_rest(&full);
    report.row(
        &format!(
            "waiting for {others} destinations that ask for an hour{name}; memory at its peak"
        ),
        &format!(
            "{}; {:.0} MiB",
            cost::depth(&full),
            peak_mib(full.process.id())
        ),
        "",
        cost::depth(&full),
    );
    let case = |server| Case {
        server,
        requests: requests_to(FEW, 1, FEW),
        connections: CONNECTIONS,
    };
    let [none, much] = costs([case(&free), case(&full)]);
    tell(
        report,
        &format!("an alert and its delivery, while none and while those wait{name}"),
        none.an_alert,
        much.an_alert,
    );
}

/// A server on a folder of that name that knows that directory.
fn start(options: &ServerOptions, scratch: &Scratch, name: &str, who: &Directory) -> Server {
    let options = options.clone().on(&scratch.join(name));
    let server = options.listening(free_address()).start();
    who.import(&server);
    server
}

/// The first few channels take everything, the others ask to be left alone for an hour.
fn limit_all_but_few(mockup: &Mockup) {
    let few: Map<_, _> = (1..=FEW)
        .map(|number| (format!("C{number}"), json!({ "errorRate": 0 })))
        .collect();
    mockup.set_faults(&json!({ "status": 429, "retryAfter": 3600, "channels": few }));
}

/// Waits until it has done what there was to do.
fn await_rest(server: &Server) {
    let id = server.process.id();
    wait_for("a server at rest", PATIENCE, || {
        let before = cpu_time(id);
        sleep(REST);
        (cpu_time(id) - before < REST / 10).then_some(())
    });
}

/// The processor time of the server with little and with much.
fn tell(report: &mut Report, what: &str, little: f64, much: f64) {
    report.row(
        &format!("processor time of {what}"),
        &format!("{little:.0}, {much:.0} µs: ratio {:.2}", much / little),
        GOAL,
        much / little,
    );
}
