//! From when an alert should be posted to the arrival of its message, at fixed rates and
//! the default pace, spread over so many destinations that the pace holds nothing up.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tests::harness::Alert;

use crate::{
    load::{Load, Receiver, micros, open, post_request, times},
    report::{Report, spread},
    subject::{Programs, Run, Subject, paced},
};

/// Alerts a second, and for how long.
const RATES: [(f64, u64); 4] = [(20.0, 15), (1_000.0, 8), (5_000.0, 8), (10_000.0, 8)];
/// So many connections that none that is due waits for one.
const CONNECTIONS: usize = 256;
/// Each is sent to once in two seconds at most: half of the default pace.
const DESTINATIONS: usize = 20_000;

pub(crate) fn measure(run: &Run, report: &mut Report) {
    let receiver = Receiver::start();
    for (rate, seconds) in RATES {
        let span = Duration::from_secs(seconds);
        let mut plots = Vec::new();
        let (_, bare) = post(&receiver, rate, span, |begins| {
            open(
                receiver.address(),
                CONNECTIONS,
                rate,
                span,
                |number| {
                    let text =
                        format!("{{\"channel\":\"C1\",\"text\":\"[normal] alert #{number} \"}}");
                    post_request("/api/chat.postMessage", &text)
                },
                begins,
            )
        });
        let path = format!("{rate:.0} a second");
        report.row(
            &format!("{path}, whoever posts straight to the receiver: p50, p99, p99.9, max"),
            &spread(&bare),
            "",
            bare.value_at_quantile(0.5) as f64,
        );
        plots.push(("straight to the receiver".to_owned(), bare));
        for (place, program) in run.programs.iter().enumerate() {
            let name = Programs::name(place);
            let (load, received) = through(program, &receiver, DESTINATIONS, rate, span);
            report.row(
                &format!("{path}{name}, posted → received: p50, p99, p99.9, max"),
                &spread(&received),
                goal(rate),
                received.value_at_quantile(0.99) as f64,
            );
            report.row(
                &format!("{path}{name}, posted → answered 200: p50, p99, p99.9, max"),
                &spread(&load.times),
                "",
                load.times.value_at_quantile(0.99) as f64,
            );
            plots.push((format!("through error-notifier{name}"), received));
        }
        let title = format!("posted → received at {rate:.0} alerts a second");
        report.histogram(&format!("latency-{rate:.0}"), &title, &plots);
    }
}

fn goal(rate: f64) -> &'static str {
    match rate as u64 {
        20 => "p50 ≤ 2 ms, goal 1.5; p99 ≤ 5 ms, goal 3",
        10_000 => "p99 ≤ 15 ms",
        _ => "",
    }
}

/// Posts through the program at the default pace, to each of so many destinations in turn;
/// answers the load, and how long messages took to the receiver.
pub(super) fn through(
    program: &Path,
    receiver: &Receiver,
    destinations: usize,
    rate: f64,
    span: Duration,
) -> (Load, Histogram<u64>) {
    let url = format!("http://{}", receiver.address());
    let subject = Subject::start(program, destinations, |options| {
        paced(options).with("--slack-url", &url)
    });
    let address = subject.server.address();
    post(receiver, rate, span, |begins| {
        open(
            address,
            CONNECTIONS,
            rate,
            span,
            move |number| {
                let alert = Alert {
                    targets: vec![format!("@user{}", number * 7919 % destinations + 1)],
                    severity: "normal",
                    message: format!("alert #{number} "),
                };
                post_request("/v1/alerts", &alert.body())
            },
            begins,
        )
    })
}

/// Runs a load and answers how long each of its messages took to the receiver.
fn post(
    receiver: &Receiver,
    rate: f64,
    span: Duration,
    load: impl FnOnce(Box<dyn Fn(usize, Instant) + Send>) -> Load,
) -> (Load, Histogram<u64>) {
    let count = (rate * span.as_secs_f64()) as usize;
    receiver.expect(count);
    let begun: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let noted = begun.clone();
    let load = load(Box::new(move |_, at| {
        noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(at);
    }));
    let came = receiver.all();
    let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
    let mut received = times();
    for (begun, came) in begun.iter().zip(&came) {
        let came = came.expect("every message arrives within a minute");
        received.saturating_record(micros(came.saturating_duration_since(*begun)));
    }
    assert_eq!(load.refused, 0);
    (load, received)
}
