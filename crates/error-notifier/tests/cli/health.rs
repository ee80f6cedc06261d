//! `health` against a prepared server.

use std::net::TcpListener;

use serde_json::json;

use crate::fake_server::{Answer, FakeServer};
use crate::program::program;

#[test]
fn a_ready_server_is_code_0_whether_it_answers_with_a_body_or_without() {
    let ok = json!({ "httpCode": 200, "httpMessage": "OK" });
    for answer in [Answer::envelope(200, ok), Answer::no_content()] {
        let server = FakeServer::start(vec![answer]);
        let ended = program(&["health", "--url", &server.url]).run();
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        assert_eq!(ended.stdout, "ready\n");
        assert_eq!(server.requests()[0].line, "GET /health/ready");
    }
}

#[test]
fn a_server_that_is_not_ready_is_code_1_with_its_reason() {
    let server = FakeServer::start(vec![Answer::refusal(503, "draining")]);
    let ended = program(&["health", "--url", &server.url]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.contains("draining (503"), "{ended:?}");
}

#[test]
fn no_server_is_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let ended = program(&["health", "--url", &url]).run();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("cannot reach"), "{ended:?}");
}
