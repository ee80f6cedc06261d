//! Someone is told that telling failed.

use serde_json::json;
use tests::harness::{Directory, LONG, Site, until};

const ACCEPTED: &str = r#"error_notifier_warnings_total{result="accepted"}"#;
const REACHED_NOBODY: &str = r#"error_notifier_warnings_total{result="reached_nobody"}"#;
const UNTOLD: &str = "error_notifier_mishaps_untold";

/// Users, of whom that target is warned.
fn site(users: usize, target: &str) -> Site {
    Site::with(Directory::of_users(users), |options| {
        options.with("--ops-target", target)
    })
}

#[test]
fn a_high_delivery_that_died_is_told_once_in_the_minute_however_many_follow() {
    let site = site(2, "@user2");
    site.mockup
        .set_faults(&json!({"channels": {"C1": {"error": "channel_not_found"}}}));
    site.accepted(&["@user1"], "low", "nobody is woken for this");
    site.server.drain(LONG);
    let died = site.accepted(&["@user1"], "high", "node1 down");
    let warning = site.wait_for("C2", 1).remove(0);
    assert!(
        warning.text.starts_with("[high] telling people failed:"),
        "{}",
        warning.text
    );
    assert!(
        warning.text.contains(
            "1 delivery of severity high died: slack C1: refused for good: channel_not_found"
        ),
        "{}",
        warning.text
    );
    assert!(!warning.text.contains("node1 down"), "{}", warning.text);
    assert_eq!(warning.token, "token-2");
    let detail = site
        .server
        .request("GET", &format!("/v1/alerts/{died}"), "");
    let delivery = detail.json()["data"]["deliveries"][0]["id"].clone();
    assert!(
        warning.text.contains(delivery.as_str().unwrap()),
        "{}",
        warning.text
    );

    for _ in 0..3 {
        site.accepted(&["@user1"], "high", "node1 down");
    }
    until("three more that nobody was told of", || {
        site.server.metric(UNTOLD) == Some(3.0)
    });
    assert_eq!(site.server.metric(ACCEPTED), Some(1.0));
    assert_eq!(site.mockup.texts("C2").len(), 1);
    let high = r#"error_notifier_dead_letters_total{channel="slack",severity="high"}"#;
    assert_eq!(site.server.metric(high), Some(4.0));

    // It is an alert as any other, and in the history.
    let found = site
        .server
        .request("GET", "/v1/alerts?q=telling%20people%20failed", "");
    let item = found.json()["data"]["items"][0].clone();
    assert_eq!(item["target"], json!(["@user2"]));
    assert_eq!(item["states"]["delivered"], 1);
}

#[test]
fn a_warning_does_not_stand_in_the_line_that_it_warns_of() {
    let site = site(1, "@user1");
    // The only operator's own channel gives no answer.
    site.mockup
        .set_faults(&json!({"channels": {"C1": {"latencyMs": 600_000}}}));
    site.accepted(&["@user1"], "normal", "hangs");
    site.wait_for("C1", 1);
    site.mockup.set_faults(&json!({}));
    site.accepted(&["@user1"], "high", "stands behind it");
    site.accepted(&["@nobody"], "normal", "to nobody");
    let messages = site.wait_for("C1", 2);
    assert!(
        messages[1].text.contains("1 alert reached nobody: @nobody"),
        "{}",
        messages[1].text
    );
}

#[test]
fn an_opened_breaker_is_told_and_one_that_a_warning_opened_calls_for_no_other() {
    let site = site(2, "@user2");
    site.mockup
        .set_faults(&json!({"channels": {"C1": {"error": "invalid_auth"}}}));
    site.accepted(&["@user1"], "normal", "node1 down");
    let warning = site.wait_for("C2", 1).remove(0);
    assert!(
        warning.text.contains("1 breaker opened: credential "),
        "{}",
        warning.text
    );
    assert!(!warning.text.contains("token-1"), "{}", warning.text);
    let opened = r#"error_notifier_breakers_opened_total{kind="credential"}"#;
    assert_eq!(site.server.metric(opened), Some(1.0));
}

#[test]
fn a_warning_that_dies_is_a_dead_letter_and_makes_no_other() {
    let site = site(1, "@user1");
    site.mockup
        .set_faults(&json!({"channels": {"C1": {"error": "channel_not_found"}}}));
    site.accepted(&["@nobody"], "normal", "to nobody");
    until("the warning to die", || {
        let high = r#"error_notifier_dead_letters_total{channel="slack",severity="high"}"#;
        site.server.metric(high) == Some(1.0)
    });
    assert_eq!(site.server.metric(UNTOLD), Some(0.0));
    assert_eq!(site.server.metric(ACCEPTED), Some(1.0));
    site.server.drain(LONG);
    let letters = site.server.request("GET", "/v1/dead-letters", "").json();
    let letter = letters["data"]["items"][0].clone();
    assert_eq!(letter["address"], "C1");

    // It can be replayed as any other.
    site.mockup.set_faults(&json!({}));
    let path = format!("/v1/deliveries/{}/replay", letter["id"].as_str().unwrap());
    assert_eq!(site.server.request("POST", &path, "").status, 200);
    assert!(site.wait_for("C1", 1)[0].text.contains("@nobody"));
}

#[test]
fn a_target_that_nobody_has_is_counted_and_logged_and_ends_nothing() {
    let site = site(1, "@@operators");
    site.accepted(&["@nobody"], "normal", "to nobody");
    until("the warning in vain", || {
        site.server.metric(REACHED_NOBODY) == Some(1.0)
    });
    until("its line in the log", || {
        let log = site.server.log();
        log.iter()
            .any(|line| line.to_string().contains("a warning reached nobody"))
    });
    assert_eq!(site.server.metric(UNTOLD), Some(0.0));
    site.accepted(&["@user1"], "normal", "goes on");
    site.wait_for("C1", 1);
    site.server.stop();
}

#[test]
fn what_nobody_was_told_when_the_process_ended_is_told_by_the_next() {
    let mut site = site(1, "@user1");
    site.accepted(&["@first"], "normal", "to nobody");
    site.wait_for("C1", 1);
    site.accepted(&["@second"], "normal", "to nobody");
    site.server.process.terminate();
    assert_eq!(site.server.process.wait(LONG).code(), Some(0));
    site.start_again();
    let told = site.wait_for("C1", 2).remove(1);
    assert!(told.text.contains("@second"), "{}", told.text);
}
