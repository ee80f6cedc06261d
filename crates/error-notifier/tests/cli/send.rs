//! `send` against a prepared server.

use std::net::TcpListener;

use serde_json::json;

use crate::fake_server::{Answer, FakeServer};
use crate::program::program;

fn reached(count: u64) -> Answer {
    Answer::data(json!({ "userCount": count, "alertId": "0192", "unknownTargets": [] }))
}

#[test]
fn the_alert_is_posted_as_it_was_typed_and_the_count_is_printed() {
    let server = FakeServer::start(vec![reached(2)]);
    let ended = program(&[
        "send",
        "--url",
        &server.url,
        "-t",
        "@a",
        "-t",
        "@@g",
        "-s",
        "HIGH",
        "node1 down",
    ])
    .run();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout, "reached 2 users (alert 0192)\n");
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /v1/alerts");
    assert_eq!(
        requests[0].json(),
        json!({ "target": ["@a", "@@g"], "severity": "high", "message": "node1 down" })
    );
    assert!(!requests[0].headers.contains_key("idempotency-key"));
    assert!(!requests[0].headers.contains_key("x-global-transaction-id"));
}

#[test]
fn the_text_is_read_from_standard_input_for_a_dash() {
    let server = FakeServer::start(vec![reached(1)]);
    let ended = program(&["send", "-t", "@all", "-"])
        .env("ERROR_NOTIFIER_URL", &server.url)
        .input("첫째 줄\n둘째\n".as_bytes())
        .run();
    assert_eq!(ended.stdout, "reached 1 user (alert 0192)\n");
    let body = server.requests().remove(0).json();
    assert_eq!(body["message"], "첫째 줄\n둘째");
    assert_eq!(body["severity"], "normal");
}

#[test]
fn key_and_gtid_travel_as_headers() {
    let server = FakeServer::start(vec![reached(1)]);
    program(&[
        "send",
        "--url",
        &server.url,
        "-t",
        "@a",
        "--key",
        "deploy-42",
        "--gtid",
        "G.1",
        "x",
    ])
    .run();
    let headers = server.requests().remove(0).headers;
    assert_eq!(headers["idempotency-key"], "deploy-42");
    assert_eq!(headers["x-global-transaction-id"], "G.1");
}

#[test]
fn reaching_nobody_is_code_3_and_says_what_matched_nobody() {
    let data = json!({ "userCount": 0, "alertId": "0192", "unknownTargets": ["@x", "y"] });
    let server = FakeServer::start(vec![Answer::data(data)]);
    let ended = program(&["send", "--url", &server.url, "-t", "@x", "-t", "y", "x"]).run();
    assert_eq!(ended.code, 3);
    assert_eq!(ended.stderr, "error: the alert reached nobody\n");
    assert!(ended.stdout.ends_with("matched nobody: @x, y\n"));
}

#[test]
fn reaching_nobody_is_code_0_where_it_is_allowed() {
    let server = FakeServer::start(vec![reached(0)]);
    let ended = program(&[
        "send",
        "--url",
        &server.url,
        "-t",
        "@x",
        "--allow-nobody",
        "x",
    ])
    .run();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_server_of_the_original_contract_is_understood() {
    let server = FakeServer::start(vec![Answer::data(json!({ "userCount": 3 }))]);
    let ended = program(&["send", "--url", &server.url, "-t", "@all", "x"]).run();
    assert_eq!(ended.stdout, "reached 3 users\n");
}

#[test]
fn json_prints_the_servers_data() {
    let server = FakeServer::start(vec![reached(2)]);
    let ended = program(&["send", "--url", &server.url, "-t", "@all", "--json", "x"]).run();
    let printed: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["alertId"], "0192");
}

#[test]
fn a_refusal_is_code_1_with_the_servers_reason() {
    let server = FakeServer::start(vec![Answer::refusal(400, "message must not be empty.")]);
    let ended = program(&["send", "--url", &server.url, "-t", "@a", ""]).run();
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stderr,
        "error: message must not be empty. (400 Bad Request)\n"
    );
}

#[test]
fn a_failure_of_the_server_is_told_with_the_gtid_that_finds_it_in_the_log() {
    let server = FakeServer::start(vec![Answer::refusal(
        500,
        "An internal server error occurred.",
    )]);
    let ended = program(&["send", "--url", &server.url, "-t", "@a", "x"]).run();
    assert!(ended.stderr.contains("GTID fake-gtid"), "{ended:?}");
}

#[test]
fn a_server_that_is_not_there_is_one_line_with_code_1() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}");
    let ended = program(&["send", "--url", &url, "-t", "@a", "x"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .stderr
            .starts_with(&format!("error: cannot reach the server at {url}: "))
    );
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn a_server_that_does_not_answer_is_one_line_with_code_1() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let ended = program(&["send", "--url", &url, "--timeout", "50ms", "-t", "@a", "x"]).run();
    assert_eq!(ended.code, 1);
    assert!(
        ended.stderr.contains("did not answer within 50ms"),
        "{ended:?}"
    );
}

#[test]
fn another_kind_of_server_is_recognised_as_such() {
    for (status, body) in [(200, "<html>"), (404, "<html>"), (200, "{\"data\":{}}")] {
        let server = FakeServer::start(vec![Answer::body(status, "text/html", body.as_bytes())]);
        let ended = program(&["send", "--url", &server.url, "-t", "@a", "x"]).run();
        assert_eq!(ended.code, 1);
        assert!(ended.stderr.contains("is --url right?"), "{ended:?}");
    }
}

#[test]
fn input_that_is_not_text_is_code_2_and_nothing_is_sent() {
    let ended = program(&["send", "-t", "@a", "-"]).input(b"\xff\xfe").run();
    ended.one_line_and_code_2();
}
