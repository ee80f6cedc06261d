//! `alert`, `dead-letter` and `destination` against a prepared server.

use serde_json::{Value, json};

use crate::fake_server::{Answer, FakeServer, Request};
use crate::program::{Ended, program};

const ALERT: &str = "019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11";
const DELIVERY: &str = "019ab5d6-1f3c-8c55-9c1e-4b0a6c1f5e11";

fn alert() -> Value {
    json!({
        "id": ALERT, "severity": "high", "message": "node1 down\nsecond line",
        "acceptedAt": "2026-11-23T08:00:00Z", "gtid": "G1", "target": ["@all"], "userCount": 3,
        "states": {"queued": 0, "delivered": 2, "dead": 1},
    })
}

fn delivery() -> Value {
    json!({
        "id": DELIVERY, "channel": "slack", "address": "C1", "state": "dead",
        "recipients": [{"id": "1", "name": "user_name1", "target": "@all"}, {"id": "2", "target": "@all"}],
        "reason": "refused for good: channel_not_found",
        "attempts": [{"number": 1, "startedAt": "2026-11-23T08:00:01Z", "tookMs": 7.25,
            "result": "refused", "status": 200, "error": "channel_not_found"}],
    })
}

fn letter() -> Value {
    let mut letter = delivery();
    letter["alertId"] = json!(ALERT);
    letter["severity"] = json!("high");
    letter["message"] = json!("node1 down");
    letter["acceptedAt"] = json!("2026-11-23T08:00:00Z");
    letter
}

fn run(arguments: &[&str], answers: Vec<Answer>) -> (Ended, Vec<Request>) {
    let server = FakeServer::start(answers);
    let ended = program(arguments)
        .env("ERROR_NOTIFIER_URL", &server.url)
        .run();
    assert_eq!(ended.code, 0, "{ended:?}");
    (ended, server.requests())
}

#[test]
fn alerts_are_listed_with_what_became_of_them() {
    let (ended, requests) = run(
        &[
            "alert",
            "list",
            "--severity",
            "high",
            "--user",
            "@a b",
            "-q",
            "node",
        ],
        vec![Answer::items(json!([alert()]))],
    );
    assert_eq!(
        requests[0].line,
        "GET /v1/alerts?severity=high&user=%40a%20b&q=node&limit=50"
    );
    let row = ended.stdout.lines().nth(1).unwrap();
    let expected =
        format!("2026-11-23T08:00:00Z  high      3      1 dead, 2 delivered  node1 down…  {ALERT}");
    assert_eq!(row, expected);
}

#[test]
fn a_short_page_is_gone_on_with_until_there_are_enough() {
    let page = |cursor: Value| Answer::data(json!({"items": [alert()], "nextCursor": cursor}));
    let empty = Answer::data(json!({"items": [], "nextCursor": "b"}));
    let (ended, requests) = run(
        &["alert", "list", "--limit", "2", "--json"],
        vec![page(json!("a")), empty, page(json!("c"))],
    );
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed.as_array().unwrap().len(), 2);
    assert_eq!(requests[2].line, "GET /v1/alerts?limit=1&cursor=b");
}

#[test]
fn a_server_whose_cursor_leads_nowhere_is_not_asked_for_ever() {
    let page = || Answer::data(json!({"items": [], "nextCursor": "a"}));
    let server = FakeServer::start(vec![page(), page()]);
    let ended = program(&["alert", "list", "--url", &server.url]).run();
    assert_eq!(ended.code, 1, "{ended:?}");
}

#[test]
fn an_alert_is_shown_with_all_pages_of_its_deliveries() {
    let mut first = alert();
    first["deliveries"] = json!([delivery()]);
    first["nextCursor"] = json!("n");
    let mut second = first.clone();
    second["nextCursor"] = json!(null);
    let (ended, requests) = run(
        &["alert", "show", ALERT],
        vec![Answer::data(first), Answer::data(second)],
    );
    assert_eq!(requests[1].line, format!("GET /v1/alerts/{ALERT}?cursor=n"));
    assert_eq!(ended.stdout.matches(DELIVERY).count(), 2);
    for part in [
        "targets   @all",
        "user_name1, 2",
        "refused for good: channel_not_found",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn a_delivery_in_a_digest_is_shown_with_it_and_with_how_many_it_carries() {
    const DIGEST: &str = "7b1c2f0e-92ab-5c0d-8e55-0f6a1d2c3b4a";
    let mut delivery = delivery();
    delivery["digest"] = json!({"id": DIGEST, "state": "delivered", "deliveries": 37});
    let mut trimmed = delivery.clone();
    trimmed["digest"] = json!({"id": DIGEST, "state": "delivered"});
    let mut alert = alert();
    alert["deliveries"] = json!([delivery, trimmed]);
    let (ended, _) = run(&["alert", "show", ALERT], vec![Answer::data(alert)]);
    let rows: Vec<_> = ended.stdout.lines().rev().take(2).collect();
    assert!(
        rows[1].contains(&format!("{DIGEST} of 37  {DELIVERY}")),
        "{}",
        rows[1]
    );
    assert!(
        rows[0].contains(&format!("{DIGEST}        {DELIVERY}")),
        "{}",
        rows[0]
    );
}

#[test]
fn cancelling_tells_how_many() {
    for (data, expected) in [
        (json!({"cancelled": 3, "sending": 0}), "cancelled: 3\n"),
        (
            json!({"cancelled": 3, "sending": 1}),
            "cancelled: 3, 1 under way may still arrive\n",
        ),
        (json!({"requested": 3}), "requested: 3\n"),
    ] {
        let (ended, requests) = run(&["alert", "cancel", ALERT], vec![Answer::data(data)]);
        assert_eq!(ended.stdout, expected);
        assert_eq!(requests[0].line, format!("POST /v1/alerts/{ALERT}/cancel"));
    }
}

#[test]
fn what_is_no_id_is_code_2_and_nothing_is_asked() {
    for command in [
        ["alert", "show", "x"],
        ["alert", "cancel", "x"],
        ["dead-letter", "show", "x"],
        ["dead-letter", "discard", "x"],
    ] {
        program(&command).run().one_line_and_code_2();
    }
    program(&["dead-letter", "replay"])
        .run()
        .one_line_and_code_2();
    program(&["dead-letter", "replay", DELIVERY, "--all"])
        .run()
        .one_line_and_code_2();
}

#[test]
fn watching_prints_events_and_goes_on_where_the_stream_ended() {
    let events = "\
: open\n\n\
id: 7-0\nevent: alert\ndata: {\"at\":\"T1\",\"severity\":\"high\",\"message\":\"node1 down\",\"alertId\":\"A\"}\n\n\
: alive\n\n\
id: 7-1\nevent: delivery\ndata: {\"at\":\"T2\",\"state\":\"delivered\",\"channel\":\"slack\",\"address\":\"C1\",\"alertId\":\"A\"}\n\n\
event: gap\ndata: {}\n\n";
    let server = FakeServer::start(vec![
        Answer::body(200, "text/event-stream", events.as_bytes()),
        Answer::refusal(400, "Last-Event-ID is wrong."),
    ]);
    let ended = program(&["alert", "watch", "--url", &server.url]).run();
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stdout,
        "T1  high       node1 down  (alert A)\n\
         T2  delivered  slack C1  (alert A)\n\
         … some events were missed\n"
    );
    let requests = server.requests();
    assert!(!requests[0].headers.contains_key("last-event-id"));
    assert_eq!(requests[1].headers["last-event-id"], "7-1");
}

#[test]
fn a_server_that_was_never_there_is_not_watched() {
    let url = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", free.local_addr().unwrap())
    };
    let ended = program(&["alert", "watch", "--url", &url]).run();
    assert_eq!(ended.code, 1, "{ended:?}");
}

#[test]
fn dead_letters_are_listed_with_their_reasons() {
    let (ended, requests) = run(
        &[
            "dead-letter",
            "list",
            "--reason",
            "not_found",
            "--channel",
            "slack",
        ],
        vec![Answer::items(json!([letter()]))],
    );
    assert_eq!(
        requests[0].line,
        "GET /v1/dead-letters?channel=slack&reason=not%5Ffound&limit=50"
    );
    for part in [
        "C1",
        "refused for good: channel_not_found",
        "node1 down",
        DELIVERY,
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
}

#[test]
fn a_dead_letter_is_shown_with_its_attempts() {
    let mut letter = letter();
    letter["digest"] = json!({"id": ALERT, "state": "dead", "deliveries": 3});
    let (ended, requests) = run(
        &["dead-letter", "show", DELIVERY],
        vec![Answer::data(letter)],
    );
    assert_eq!(requests[0].line, format!("GET /v1/deliveries/{DELIVERY}"));
    let digest = format!("digest    {ALERT} of 3\n");
    assert!(ended.stdout.contains(&digest), "{}", ended.stdout);
    let last = ended.stdout.lines().last().unwrap();
    assert_eq!(
        last,
        "1  2026-11-23T08:00:01Z  7.25 ms  refused  200     channel_not_found"
    );
}

#[test]
fn dead_letters_are_replayed_by_id_or_by_filters_to_the_end() {
    let (ended, requests) = run(
        &["dead-letter", "replay", DELIVERY],
        vec![Answer::data(letter())],
    );
    assert_eq!(ended.stdout, "replayed: 1\n");
    assert_eq!(
        requests[0].line,
        format!("POST /v1/deliveries/{DELIVERY}/replay")
    );
    let page = |count: u64, next: Value| Answer::data(json!({"count": count, "nextCursor": next}));
    let (ended, requests) = run(
        &[
            "dead-letter",
            "replay",
            "--all",
            "--reason",
            "x",
            "--dry-run",
        ],
        vec![page(10_000, json!("n")), page(5, json!(null))],
    );
    assert_eq!(ended.stdout, "would be replayed: 10005\n");
    assert_eq!(requests[0].line, "POST /v1/dead-letters/replay?dryRun=true");
    assert_eq!(requests[0].json()["reason"], "x");
    assert_eq!(requests[1].json()["cursor"], "n");
}

#[test]
fn dead_letters_are_discarded() {
    let (ended, requests) = run(
        &["dead-letter", "discard", DELIVERY],
        vec![Answer::no_content()],
    );
    assert_eq!(ended.stdout, format!("discarded {DELIVERY}\n"));
    assert_eq!(
        requests[0].line,
        format!("DELETE /v1/dead-letters/{DELIVERY}")
    );
}

fn destinations() -> Value {
    let counts = |high, normal, low| json!({"high": high, "normal": normal, "low": low});
    json!({
        "items": [
            {"id": "1", "channel": "slack", "address": "C1", "state": "retry_after",
                "until": "2026-11-23T08:00:30Z", "waiting": counts(1, 2, 0), "parked": counts(0, 0, 40),
                "inFlight": 0, "folding": true, "failures": 1, "error": "rate_limited"},
            {"id": "7", "state": "parked", "waiting": counts(0, 0, 0), "parked": counts(0, 7, 0),
                "inFlight": 0, "folding": false, "failures": 0},
            {"id": "8", "channel": "slack", "address": "C1", "forWarnings": true, "state": "sending",
                "waiting": counts(0, 0, 0), "parked": counts(0, 0, 0), "inFlight": 1,
                "folding": false, "failures": 0},
        ],
        "nextCursor": null,
        "breakers": [{"kind": "host", "name": "webhook https://example.org", "state": "open",
            "since": "2026-11-23T08:00:00Z", "nextProbeAt": "2026-11-23T08:01:00Z",
            "failures": 3, "error": "HTTP 503", "waiting": 6}],
        "moreBreakers": false,
    })
}

#[test]
fn destinations_are_listed_with_what_they_wait_for_and_the_breakers_after_them() {
    let (ended, requests) = run(
        &[
            "destination",
            "list",
            "--state",
            "retry_after",
            "--channel",
            "slack",
        ],
        vec![Answer::data(destinations())],
    );
    assert_eq!(
        requests[0].line,
        "GET /v1/destinations?state=retry%5Fafter&channel=slack&limit=50"
    );
    let lines: Vec<_> = ended
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .filter(|cell| !cell.is_empty())
                .map(str::trim)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        lines[1],
        [
            "slack",
            "C1",
            "retry_after",
            "2026-11-23T08:00:30Z",
            "3",
            "40",
            "1",
            "rate_limited"
        ]
    );
    assert_eq!(lines[2], ["(id 7)", "parked", "0", "7", "0"]);
    assert_eq!(
        lines[3],
        ["slack", "C1 (warnings)", "sending", "0", "0", "0"]
    );
    assert_eq!(
        lines[6],
        [
            "host",
            "webhook https://example.org",
            "open",
            "2026-11-23T08:00:00Z",
            "2026-11-23T08:01:00Z",
            "6",
            "HTTP 503"
        ]
    );
}

#[test]
fn destinations_as_json_are_the_servers_items_and_breakers() {
    let (ended, _) = run(
        &["destination", "list", "--json"],
        vec![Answer::data(destinations())],
    );
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["destinations"], destinations()["items"]);
    assert_eq!(printed["breakers"], destinations()["breakers"]);
}
