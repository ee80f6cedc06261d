//! The default pace over so many destinations that together they take more than the machine
//! can send: what is reached, and how long a message takes at half of that.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tests::harness::LONG;

use super::latency;
use crate::{
    load::{Receiver, closed},
    report::{Report, spread},
    subject::{Programs, Run, Subject, paced, requests_to},
};

const DESTINATIONS: usize = 50_000;
const CONNECTIONS: usize = 64;
const SPAN: Duration = Duration::from_secs(5);
const PACED_SPAN: Duration = Duration::from_secs(8);

pub(crate) fn measure(run: &Run, report: &mut Report) {
    let receiver = Receiver::start();
    for (place, program) in run.programs.iter().enumerate() {
        let name = Programs::name(place);
        let reached = reached(program);
        report.row(
            &format!("one message a second to each of {DESTINATIONS} destinations{name}: alerts posted, sent and settled a second"),
            &format!("{reached:.0}"),
            "",
            reached,
        );
        let rate = (reached / 2.0).round();
        let (_, received) = latency::through(program, &receiver, DESTINATIONS, rate, PACED_SPAN);
        report.row(
            &format!(
                "at half of that, {rate:.0} a second{name}, posted → received: p50, p99, p99.9, max"
            ),
            &spread(&received),
            "p99 ≤ 15 ms",
            received.value_at_quantile(0.99) as f64,
        );
    }
}

fn reached(program: &Path) -> f64 {
    let subject = Subject::start(program, DESTINATIONS, paced);
    let requests = requests_to(DESTINATIONS, 1, DESTINATIONS);
    let begun = Instant::now();
    let load = closed(subject.server.address(), CONNECTIONS, &requests, SPAN);
    subject.server.drain(LONG);
    let took = begun.elapsed();
    assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
    assert_eq!(
        subject.mockup.stats().accepted,
        load.accepted,
        "every alert is a message of its own"
    );
    load.accepted as f64 / took.as_secs_f64()
}
