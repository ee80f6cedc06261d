//! How many instructions an alert and a delivery cost, counted by valgrind: the one figure
//! that another hour and another load of the machine leave as it is.

use std::{ffi::OsString, fs, path::Path, process::Command, time::Duration};

use tests::{figures::median, harness::Scratch};

use crate::{
    load::closed,
    report::Report,
    subject::{Programs, Run, Subject, USERS, requests},
};

/// Two runs of different length: what differs is the alerts', not the start's.
const SPANS: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(16)];
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 32;
/// For how many recipients an alert is counted.
const RECIPIENTS: [usize; 2] = [1, 10];
const DRAIN: Duration = Duration::from_secs(300);

pub(crate) fn measure(run: &Run, report: &mut Report) {
    let valgrind = Command::new("valgrind").arg("--version").output();
    assert!(
        valgrind.is_ok_and(|output| output.status.success()),
        "valgrind is to be installed: it counts the instructions"
    );
    for (place, program) in run.programs.iter().enumerate() {
        let [one, ten] = RECIPIENTS
            .map(|recipients| median((0..ROUNDS).map(|_| an_alert(program, recipients)).collect()));
        let delivery = (ten - one) / (RECIPIENTS[1] - RECIPIENTS[0]) as f64;
        report.row(
            &format!(
                "instructions{}: an alert to 1 and to 10 recipients, sent and settled; so, an alert accepted, a delivery",
                Programs::name(place)
            ),
            &format!(
                "{:.1}, {:.1}; {:.1}, {:.1} thousand",
                one / 1000.0,
                ten / 1000.0,
                (one - delivery) / 1000.0,
                delivery / 1000.0
            ),
            "",
            one,
        );
    }
}

/// Instructions that an alert to so many costs until all is settled.
fn an_alert(program: &Path, recipients: usize) -> f64 {
    let [(few, cost_of_few), (many, cost_of_many)] =
        SPANS.map(|span| run_for(program, recipients, span));
    (cost_of_many - cost_of_few) / (many - few)
}

/// How many alerts were posted in that time, and the instructions of the whole run.
fn run_for(program: &Path, recipients: usize, span: Duration) -> (f64, f64) {
    let scratch = Scratch::new("bench-instructions");
    let counts = scratch.join("callgrind.out");
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(&counts);
    let counter = [OsString::from("valgrind"), "--tool=callgrind".into(), file];
    let subject = Subject::start(program, USERS, |options| options.run_by(counter));
    let address = subject.server.address();
    let load = closed(address, CONNECTIONS, &requests(recipients), span);
    assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
    subject.server.drain(DRAIN);
    subject.server.stop();
    let counts = fs::read_to_string(&counts).expect("valgrind's counts");
    let total = counts.lines().find_map(|line| {
        let count = line.strip_prefix("totals:")?;
        count.trim().parse::<f64>().ok()
    });
    (load.accepted as f64, total.expect("a line with the total"))
}
