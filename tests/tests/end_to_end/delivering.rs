//! What becomes of an accepted alert.

use serde_json::json;
use tests::harness::{Connection, Database, Directory, LONG, Site, State, until, wait_for};

#[test]
fn an_alert_reaches_each_user_once_and_its_gtid_stands_in_the_lines_of_both_sides() {
    let site = Site::new(2);
    let mut connection = Connection::open(site.server.address()).unwrap();
    let body = json!({ "target": ["@all", "@user1"], "severity": "HIGH", "message": "disk full" })
        .to_string();
    let headers = [("X-Global-Transaction-Id", "gtid-of-this-test")];
    let answer = connection
        .request("POST", "/v1/alerts", &headers, body.as_bytes())
        .unwrap();
    assert_eq!(
        answer.header("x-global-transaction-id"),
        Some("gtid-of-this-test")
    );
    assert_eq!(answer.json()["data"]["userCount"], 2);

    site.server.drain(LONG);
    for (channel, token) in [("C1", "token-1"), ("C2", "token-2")] {
        let messages = site.wait_for(channel, 1);
        assert_eq!(messages.len(), 1);
        assert_eq!(
            (messages[0].text.as_str(), messages[0].token.as_str()),
            ("[high] disk full", token)
        );
    }
    until("the lines of the request and of both deliveries", || {
        let count = |message: &str| {
            let log = site.server.log();
            let is_one = |line: &&serde_json::Value| {
                line["message"] == message && line.to_string().contains("gtid-of-this-test")
            };
            log.iter().filter(is_one).count()
        };
        count("request") == 1 && count("delivery") == 2
    });
}

#[test]
fn a_long_text_arrives_in_parts_that_are_in_order_and_whole() {
    let site = Site::new(1);
    let message: String = (0..1_500)
        .map(|number| format!("{number:04} word\n"))
        .collect();
    site.accepted(&["@user1"], "low", &message);
    site.accepted(&["@user1"], "low", "after it");
    let texts = site.wait_for("C1", 5);
    let mut whole = String::new();
    for (number, part) in (1..).zip(&texts[..4]) {
        whole += part
            .text
            .strip_suffix(&format!(" ({number}/4)"))
            .unwrap_or_else(|| panic!("{}", part.text));
    }
    assert_eq!(whole, format!("[low] {message}"));
    assert_eq!(texts[4].text, "[low] after it");
    site.server.drain(LONG);
    assert_eq!(site.mockup.stats().accepted, 5);
}

#[test]
fn a_deleted_user_is_still_told_what_waits_with_the_credentials_of_acceptance() {
    let site = Site::new(1);
    site.mockup.set_faults(&json!({ "status": 500 }));
    site.accepted(&["@user1"], "normal", "before the end");
    site.wait_for_failures(1);
    let path = format!("/v1/users/{}", site.directory.users[0].id);
    assert_eq!(site.server.request("DELETE", &path, "").status, 204);
    assert_eq!(
        site.server.alert(&["@user1"], "low", "to nobody").json()["data"]["userCount"],
        0
    );

    site.mockup.set_faults(&json!({}));
    let messages = site.wait_for("C1", 1);
    assert_eq!(
        (messages[0].text.as_str(), messages[0].token.as_str()),
        ("[normal] before the end", "token-1")
    );
    site.server.drain(LONG);
    assert_eq!(site.mockup.stats().accepted, 1);
}

#[test]
fn a_deleted_user_is_still_told_what_waits_after_a_restart() {
    let mut site = Site::new(1);
    site.mockup.set_faults(&json!({ "status": 500 }));
    site.accepted(&["@user1"], "normal", "before the end");
    site.wait_for_failures(1);
    let path = format!("/v1/users/{}", site.directory.users[0].id);
    assert_eq!(site.server.request("DELETE", &path, "").status, 204);
    site.server.process.kill();
    site.start_again();
    site.mockup.set_faults(&json!({}));
    assert_eq!(site.wait_for("C1", 1)[0].token, "token-1");
}

#[test]
fn what_waits_is_sent_with_the_new_token_once_there_is_one() {
    let site = Site::new(1);
    site.mockup.set_faults(&json!({ "status": 500 }));
    site.accepted(&["@user1"], "normal", "waits");
    site.wait_for_failures(1);
    let path = format!("/v1/users/{}", site.directory.users[0].id);
    let body = r#"{"name":"user1","token":"rotated","channelId":"C1"}"#;
    assert_eq!(site.server.request("PUT", &path, body).status, 200);
    site.mockup.set_faults(&json!({}));
    assert_eq!(site.wait_for("C1", 1)[0].token, "rotated");
}

#[test]
fn a_refused_token_is_told_by_one_dead_letter_and_the_rest_waits_for_a_new_one() {
    let site = Site::new(2);
    site.mockup
        .set_faults(&json!({ "channels": { "C1": { "error": "invalid_auth" } } }));
    site.accepted(&["@all"], "normal", "one");
    site.wait_for_failures(1);
    site.accepted(&["@all"], "normal", "two");
    assert_eq!(site.wait_for("C2", 2).len(), 2);
    let path = format!("/v1/users/{}", site.directory.users[0].id);
    let body = r#"{"name":"user1","token":"rotated","channelId":"C1"}"#;
    assert_eq!(site.server.request("PUT", &path, body).status, 200);
    site.mockup.set_faults(&json!({}));
    site.server.drain(LONG);
    let told = site.wait_for("C1", 1);
    assert_eq!(
        (&*told[0].text, &*told[0].token),
        ("[normal] two", "rotated")
    );
    let dead_letters = Database::live(site.server.options.data()).dead_letters();
    assert_eq!(dead_letters.len(), 1);
    assert!(dead_letters[0].1.contains("invalid_auth"));
}

#[test]
fn retry_after_is_obeyed_even_where_a_high_alert_arrives_and_across_a_restart() {
    let mut site = Site::new(1);
    site.mockup
        .set_faults(&json!({ "status": 429, "retryAfter": 3 }));
    let before = jiff::Timestamp::now();
    site.accepted(&["@user1"], "low", "first");
    site.wait_for_failures(1);
    site.mockup.set_faults(&json!({}));
    site.accepted(&["@user1"], "high", "second");
    until("the wait to be recorded", || {
        site.server
            .metric("error_notifier_store_commit_seconds_count")
            .is_some_and(|commits| commits >= 4.0)
    });
    site.server.process.kill();
    site.start_again();

    let messages = site.wait_for("C1", 2);
    let texts: Vec<_> = messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, ["[high] second", "[low] first"]);
    let received: jiff::Timestamp = messages[0].received_at.parse().unwrap();
    let waited = received.duration_since(before);
    assert!(waited.as_secs() >= 3, "{waited:?}");
    assert_eq!(site.mockup.stats().rate_limited, 1);
}

#[test]
fn an_outage_is_waited_out() {
    let site = Site::new(3);
    site.mockup.set_faults(&json!({ "down": true }));
    for number in 0..5 {
        site.accepted(&["@all"], "normal", &number.to_string());
    }
    site.wait_for_failures(3);
    site.mockup.set_faults(&json!({}));
    site.server.drain(LONG);
    for channel in ["C1", "C2", "C3"] {
        let expected: Vec<_> = (0..5).map(|number| format!("[normal] {number}")).collect();
        assert_eq!(site.mockup.texts(channel), expected);
    }
}

#[test]
fn a_permanent_error_is_a_dead_letter_with_the_reason_and_stops_nobody() {
    let site = Site::new(5);
    site.mockup.set_faults(&json!({ "channels": {
        "C1": { "error": "channel_not_found" },
        "C2": { "error": "not_in_channel" },
        "C3": { "error": "msg_too_long" },
        "C4": { "error": "is_archived" },
    } }));
    site.accepted(&["@all"], "high", "one");
    site.accepted(&["@all"], "low", "two");
    site.server.drain(LONG);
    assert_eq!(site.mockup.texts("C5"), ["[high] one", "[low] two"]);
    assert_eq!(site.mockup.stats().failed, 8);
    let dead = r#"error_notifier_deliveries_total{channel="slack",outcome="dead"}"#;
    assert_eq!(site.server.metric(dead), Some(8.0));
    let database = Database::live(site.server.options.data());
    let dead_letters = database.dead_letters();
    for (channel, reason) in [
        ("C1", "channel_not_found"),
        ("C2", "not_in_channel"),
        ("C3", "msg_too_long"),
        ("C4", "is_archived"),
    ] {
        let reasons: Vec<_> = dead_letters
            .iter()
            .filter(|(at, _)| at == channel)
            .collect();
        assert_eq!(reasons.len(), 2);
        assert!(
            reasons.iter().all(|(_, why)| why.contains(reason)),
            "{reasons:?}"
        );
    }
    for alert in database.alerts_after(0) {
        let open = alert
            .deliveries
            .iter()
            .filter(|delivery| delivery.state == State::Open);
        assert_eq!(open.count(), 0);
    }

    // What is mended is used again.
    site.mockup.set_faults(&json!({}));
    site.accepted(&["@user1"], "low", "three");
    assert_eq!(site.wait_for("C1", 1)[0].text, "[low] three");
}

#[test]
fn a_slow_destination_delays_itself_alone() {
    let site = Site::new(2);
    site.mockup
        .set_faults(&json!({ "channels": { "C1": { "latencyMs": 600_000 } } }));
    for number in 0..50 {
        site.accepted(&["@user1", "@user2"], "normal", &number.to_string());
    }
    let received = site.wait_for("C2", 50);
    let expected: Vec<_> = (0..50).map(|number| format!("[normal] {number}")).collect();
    assert_eq!(
        received
            .into_iter()
            .map(|message| message.text)
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(site.mockup.texts("C1"), ["[normal] 0"]);
}

#[test]
fn a_higher_severity_overtakes_and_within_one_the_order_is_that_of_acceptance() {
    let paced = |options: tests::harness::ServerOptions| {
        options.with("--slack-pace", "2").with("--slack-burst", "1")
    };
    let site = Site::with(Directory::of_users(1), paced);
    for (severity, message) in [
        ("low", "1"),
        ("low", "2"),
        ("normal", "3"),
        ("high", "4"),
        ("low", "5"),
        ("high", "6"),
    ] {
        site.accepted(&["@user1"], severity, message);
    }
    site.wait_for("C1", 6);
    let expected = [
        "[low] 1",
        "[high] 4",
        "[high] 6",
        "[normal] 3",
        "[low] 2",
        "[low] 5",
    ];
    assert_eq!(site.mockup.texts("C1"), expected);
}

#[test]
fn the_same_idempotency_key_is_one_alert_across_a_crash() {
    let mut site = Site::new(1);
    let post = |site: &Site| {
        let mut connection = Connection::open(site.server.address()).unwrap();
        let body = br#"{"target":["@user1"],"severity":"low","message":"once"}"#;
        let answer = connection
            .request("POST", "/v1/alerts", &[("Idempotency-Key", "key-1")], body)
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let first = post(&site);
    site.server.process.kill();
    site.start_again();
    let second = post(&site);
    assert_eq!(second.json()["data"], first.json()["data"]);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    site.server.drain(LONG);
    wait_for("the message", LONG, || {
        (!site.mockup.texts("C1").is_empty()).then_some(())
    });
    assert_eq!(
        Database::live(site.server.options.data())
            .alerts_after(0)
            .len(),
        1
    );
}
