//! Every process ended in order and started again, under load.

use std::time::Duration;

use serde_json::json;
use tests::{
    crash::judge,
    harness::{Alert, LONG, Outcome, Posted, wait_for},
    scaled_out::Clients,
};

use crate::site;

#[test]
fn a_rolling_restart_refuses_nothing_loses_nothing_and_sends_nothing_twice() {
    let mut site = site(20, 2, 2);
    site.mockup
        .set_faults(&json!({ "latencyMs": 30, "jitterMs": 30 }));
    let addresses: Vec<_> = site.producers.iter().map(|one| one.address()).collect();
    let pause = Duration::from_millis(20);
    let clients = Clients::start(&addresses, 6, pause, true, |client, count| {
        Some(Alert {
            targets: vec![
                format!("@user{}", (client * 7 + count) % 20 + 1),
                format!("@user{}", count % 20 + 1),
            ],
            severity: ["high", "normal", "low"][count % 3],
            message: format!("client {client} alert {count}"),
        })
    });
    site.mockup.wait_for(100);
    for number in 0..2 {
        site.producers[number].stop();
        site.producers[number].start();
    }
    for number in 0..2 {
        site.consumers[number].stop();
        site.consumers[number].start();
    }
    let enough = site.mockup.stats().accepted + 100;
    wait_for("more messages", LONG, || {
        (site.mockup.stats().accepted >= enough).then_some(())
    });
    let sent = clients.stop();
    let mut topics = site.topics();
    wait_for("every delivery to end", LONG, || {
        topics.read();
        (topics.ended() == topics.accepted()).then_some(())
    });
    let refused: Vec<_> = sent
        .iter()
        .filter(|one| !matches!(one.posted.outcome, Outcome::Accepted { .. }))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let posted: Vec<Posted> = sent.into_iter().map(|one| one.posted).collect();
    let messages = site.mockup.messages();
    let verdict = judge(&site.directory, &posted, &topics.stored(), &messages);
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!(verdict.twice, 0);
}
