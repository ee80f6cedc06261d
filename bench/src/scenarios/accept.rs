//! Alerts answered 200 a second, beside a bare axum that answers the same: while delivery
//! is held (Slack answers 429 and asks for a minute, so deliveries wait on the disk), and
//! while it goes on.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::json;
use tests::figures::median;

use super::ROUNDS;
use crate::{
    ceilings::BareServer,
    load::{Load, closed, post_request},
    report::{Report, Series, ms},
    subject::{Programs, Subject, USERS, alerts},
};

const SPAN: Duration = Duration::from_millis(1_500);
/// Recipients, connections, and the ratios to reach, held.
const CASES: [(usize, usize, &str); 7] = [
    (1, 1, ""),
    (1, 64, "≥ 0.50, goal 0.60"),
    (1, 1_024, "≥ 0.55, goal 0.70"),
    (10, 64, "≥ 0.40, goal 0.50"),
    (10, 1_024, ""),
    (1_000, 1, ""),
    (1_000, 64, ""),
];

pub(crate) fn measure(programs: &Programs, report: &mut Report) {
    let mut plot = Vec::new();
    for held in [true, false] {
        let mode = if held {
            "delivery held"
        } else {
            "delivery going on"
        };
        for (recipients, connections, goal) in CASES {
            let goal = if held { goal } else { "" };
            let rates = case(
                programs,
                held,
                recipients,
                connections,
                |place, bare, ours| {
                    let ratios: Vec<f64> = ours
                        .iter()
                        .zip(bare)
                        .map(|(ours, bare)| ours.rate() / bare.rate())
                        .collect();
                    let ratio = median(ratios);
                    let rate = |loads: &[Load]| median(loads.iter().map(Load::rate).collect());
                    let p99 = median(
                        ours.iter()
                            .map(|load| load.times.value_at_quantile(0.99) as f64)
                            .collect(),
                    );
                    report.row(
                    &format!(
                        "{recipients} recipients, {connections} connections, {mode}{}: a second; of bare axum; p99",
                        Programs::name(place)
                    ),
                    &format!(
                        "{:.0} of {:.0}: {ratio:.2}; {}",
                        rate(ours),
                        rate(bare),
                        ms(p99 as u64)
                    ),
                    goal,
                    Some(ratio),
                );
                    rate(ours)
                },
            );
            if connections == 64 {
                plot.push((mode, recipients as f64, rates));
            }
        }
    }
    let series: Vec<Series> = ["delivery held", "delivery going on"]
        .map(|mode| Series {
            name: mode.into(),
            points: plot
                .iter()
                .filter(|(of, ..)| *of == mode)
                .map(|(_, recipients, rate)| (*recipients, *rate))
                .collect(),
        })
        .into();
    report.plot(
        "accept",
        "alerts answered 200 a second, 64 connections",
        ["recipients an alert", "alerts a second"],
        &series,
    );
}

/// Measures a case and has `tell` report each program; answers what it said of the first.
fn case(
    programs: &Programs,
    held: bool,
    recipients: usize,
    connections: usize,
    mut tell: impl FnMut(usize, &[Load], &[Load]) -> f64,
) -> f64 {
    let requests: Arc<[Vec<u8>]> = alerts(recipients)
        .iter()
        .map(|body| post_request("/v1/alerts", body))
        .collect();
    let bare = BareServer::start();
    let mut bare_loads = Vec::new();
    let mut loads: Vec<Vec<Load>> = programs.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        bare_loads.push(closed(bare.address, connections, &requests, SPAN));
        for (program, loads) in programs.iter().zip(&mut loads) {
            loads.push(round(program, held, connections, &requests));
        }
    }
    let told: Vec<f64> = loads
        .iter()
        .enumerate()
        .map(|(place, loads)| tell(place, &bare_loads, loads))
        .collect();
    told.first().copied().unwrap_or_default()
}

/// A server of its own each time, so that none begins with what the last has left.
fn round(program: &Path, held: bool, connections: usize, requests: &Arc<[Vec<u8>]>) -> Load {
    let subject = Subject::start(program, USERS, |options| options);
    if held {
        subject
            .mockup
            .set_faults(&json!({ "status": 429, "retryAfter": 60 }));
    }
    let load = closed(subject.server.address(), connections, requests, SPAN);
    assert_eq!(load.refused, 0, "{}", subject.server.process.tail());
    load
}
