//! What alerts cost a server, by turns with another one: so whatever else the machine does
//! strikes both.

use std::{sync::Arc, thread::sleep, time::Duration};

use tests::{
    figures::median,
    harness::{LONG, Server, wait_for},
};

use crate::{clock::Meter, load::closed, scenarios::ROUNDS};

const SPAN: Duration = Duration::from_millis(1_500);
/// Asking for what is left costs the server something, so it is asked seldom.
const GLANCE: Duration = Duration::from_millis(10);

/// Alerts to a server.
pub(super) struct Case<'a> {
    pub(super) server: &'a Server,
    pub(super) requests: Arc<[Vec<u8>]>,
    pub(super) connections: usize,
}

/// What they cost, in microseconds of the server's processor time, from the request to the
/// recorded outcome.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) an_alert: f64,
}

/// What each case costs, medians of some rounds.
pub(super) fn costs<const N: usize>(cases: [Case<'_>; N]) -> [Cost; N] {
    let mut costs: [Vec<Cost>; N] = std::array::from_fn(|_| Vec::new());
    for round in 0..=ROUNDS {
        for (case, costs) in cases.iter().zip(&mut costs) {
            let cost = cost(case);
            // The first round warms up.
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    costs.map(|costs| Cost {
        an_alert: median(costs.iter().map(|one| one.an_alert).collect()),
    })
}

fn cost(case: &Case<'_>) -> Cost {
    let server = case.server;
    let waiting = depth(server);
    let meter = Meter::of(&server.process);
    let load = closed(server.address(), case.connections, &case.requests, SPAN);
    assert_eq!(load.refused, 0, "{}", server.process.tail());
    wait_for("what was posted to be settled", LONG, || {
        sleep(GLANCE);
        (depth(server) <= waiting).then_some(())
    });
    let used = meter.used().as_secs_f64() * 1e6;
    Cost {
        an_alert: used / load.accepted as f64,
    }
}

/// Deliveries that have not ended.
pub(super) fn depth(server: &Server) -> f64 {
    let depth = server.metric("error_notifier_queue_depth");
    depth.expect("the metric is there")
}
