//! Ends that are asked for: nothing is lost, and nothing sent twice.

use std::time::Duration;

use serde_json::json;
use tests::{
    crash::judge,
    harness::{Alert, Database, Directory, LONG, Load, Outcome, Site, request, until},
};

/// Much less than the 25 s that requests under way are given.
const AT_ONCE: Duration = Duration::from_secs(10);

#[test]
fn sigterm_ends_with_exit_code_0_and_nothing_is_lost_or_sent_twice() {
    let mut site = Site::new(16);
    site.mockup
        .set_faults(&json!({ "latencyMs": 20, "jitterMs": 20 }));
    let load = Load::start(site.server.address(), 8, |connection, count| {
        Some(Alert {
            targets: vec![
                format!("@user{}", connection + 1),
                format!("@user{}", count % 16 + 1),
            ],
            severity: ["low", "high"][count % 2],
            message: format!("{connection} {count}"),
        })
    });
    site.mockup.wait_for(100);
    site.server.process.terminate();
    let status = site.server.process.wait(LONG);
    assert_eq!(status.code(), Some(0), "{}", site.server.process.output());
    let posted = load.join();
    assert!(
        posted
            .iter()
            .any(|posted| matches!(posted.outcome, Outcome::Accepted { .. }))
    );

    site.mockup.set_faults(&json!({}));
    site.start_again();
    site.server.drain(LONG);
    let stored = Database::live(site.server.options.data()).alerts_after(0);
    let verdict = judge(&site.directory, &posted, &stored, &site.mockup.messages());
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!(verdict.twice, 0);
    // An alert that was stored was answered: requests under way were let end.
    assert_eq!(verdict.unanswered_stored, 0);
}

#[test]
fn a_second_sigterm_ends_at_once_and_nothing_is_lost() {
    let mut site = Site::new(1);
    site.mockup.set_faults(&json!({ "latencyMs": 600_000 }));
    site.accepted(&["@user1"], "high", "one");
    site.accepted(&["@user1"], "high", "two");
    site.mockup.wait_for(1);
    site.server.process.terminate();
    until("the shutdown to begin", || {
        site.server.process.output().contains("shutting down")
    });
    assert!(site.server.process.is_running());
    site.server.process.terminate();
    let status = site.server.process.wait(AT_ONCE);
    assert_ne!(status.code(), Some(0));

    site.mockup.set_faults(&json!({}));
    site.start_again();
    site.server.drain(LONG);
    let texts = site.mockup.texts("C1");
    assert_eq!(texts, ["[high] one", "[high] one", "[high] two"]);
}

#[test]
fn during_the_drain_delay_ready_is_503_and_alerts_are_accepted_and_delivered() {
    let delayed = |options: tests::harness::ServerOptions| options.with("--drain-delay", "1h");
    let mut site = Site::with(Directory::of_users(1), delayed);
    site.server.process.terminate();
    until("ready to be 503", || {
        site.server.request("GET", "/health/ready", "").status == 503
    });
    assert_eq!(site.server.request("GET", "/health/live", "").status, 200);
    site.accepted(&["@user1"], "low", "late");
    site.wait_for("C1", 1);
    site.server.drain(LONG);
    site.server.process.terminate();
    site.server.process.wait(AT_ONCE);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let mut site = Site::new(1);
    let address = site.server.address();
    let idle: Vec<_> = (0..20)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    site.accepted(&["@user1"], "low", "one");
    site.wait_for("C1", 1);
    site.server.process.terminate();
    assert_eq!(site.server.process.wait(AT_ONCE).code(), Some(0));
    assert!(request(address, "GET", "/health/live", b"").is_err());
    drop(idle);
}
