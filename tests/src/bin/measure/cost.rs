//! What an alert costs, with a small and with a large directory.

use tests::{
    figures::{machine::cpu_time, median, row},
    harness::{Alert, LONG, Load, Outcome, Server},
};

use crate::USERS;

const ROUNDS: usize = 5;
const CONNECTIONS: usize = 16;
const ALERTS: usize = 8_000;

/// Processor time of the server an alert, from the request to the recorded
/// outcome: the same ten users in both, by turns, so that whatever else the
/// machine does strikes both.
pub(crate) fn measure(small: &Server, large: &Server) {
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        let measured = [cost(small, 10), cost(large, 10), cost(large, USERS)];
        // The first round warms up.
        if round > 0 {
            costs
                .iter_mut()
                .zip(measured)
                .for_each(|(costs, cost)| costs.push(cost));
        }
    }
    let [small, large, spread] = costs.map(median);
    row(
        &format!(
            "processor time an alert to one of ten users, in a directory of 10 and of {USERS}"
        ),
        &format!("{small:.0}, {large:.0} µs: ratio {:.2}", large / small),
        "ratio ≤ 1.15",
    );
    row(
        "the same to any of them, so that each is a new destination",
        &format!("{spread:.0} µs"),
        "",
    );
}

fn cost(server: &Server, users: usize) -> f64 {
    let before = cpu_time(server.process.id());
    let load = Load::start(server.address(), CONNECTIONS, move |connection, count| {
        let number = (count * CONNECTIONS + connection) * 7919 % users + 1;
        (count < ALERTS / CONNECTIONS).then(|| Alert {
            targets: vec![format!("@user{number}")],
            severity: "normal",
            message: format!("node{connection} down for the {count}th time"),
        })
    });
    let posted = load.join();
    assert!(
        posted
            .iter()
            .all(|posted| matches!(posted.outcome, Outcome::Accepted { .. }))
    );
    server.drain(LONG);
    let used = cpu_time(server.process.id()) - before;
    used.as_secs_f64() * 1e6 / posted.len() as f64
}
