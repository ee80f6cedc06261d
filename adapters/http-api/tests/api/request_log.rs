//! What requests leave in the log.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use http_api::{BODY_TIMEOUT, LogHttp};
use producer::ports::AcceptError;
use serde_json::json;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Api, request};

/// What was logged on this thread since it was made.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        (log, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

fn api(level: LogHttp) -> Api {
    Api::with(level, BODY_TIMEOUT)
}

const ALERT: &str = r#"{"target":["@all"],"severity":"low","message":"m"}"#;

#[tokio::test]
async fn a_request_leaves_one_line_with_method_uri_status_time_transaction_and_alert() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Line);
    let request = request("POST", "/v1/alerts?x=1")
        .header("content-type", "application/json")
        .header("x-global-transaction-id", "gtid-1");
    let answer = api.send(request.body(ALERT.into()).unwrap()).await;
    let line = log.text();
    assert_eq!(line.lines().count(), 1, "{line}");
    let id = answer.data()["alertId"].as_str().unwrap().to_owned();
    for part in [
        r#"method="POST""#,
        "uri=/v1/alerts?x=1",
        "status=200",
        " ms=",
        r#"gtid="gtid-1""#,
        &format!("alert={id}"),
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains("@all"), "{line}");
}

#[tokio::test]
async fn an_answer_that_no_route_gave_leaves_a_line_too() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Line);
    api.get("/nowhere").await;
    api.get("/v1/noti-groups/subscribe").await;
    assert_eq!(log.text().lines().count(), 2);
    assert!(log.text().contains("status=404") && log.text().contains("status=405"));
}

#[tokio::test]
async fn switched_off_it_leaves_nothing_but_failures() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Off);
    api.alert(ALERT).await;
    assert_eq!(log.text(), "");
    api.queue
        .refuse_with(AcceptError::Failed("table\nxoxb-1-abc is corrupt".into()));
    let answer = api.alert(ALERT).await;
    let gtid = answer.header("x-global-transaction-id").unwrap().to_owned();
    let line = log.text();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("ERROR") && line.contains(&gtid), "{line}");
    assert!(line.contains(r"table\n[redacted] is corrupt"), "{line}");
}

#[tokio::test]
async fn an_alert_that_was_not_accepted_is_a_warning_with_its_id_and_reason() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Off);
    api.queue.refuse_with(AcceptError::MaybeAccepted {
        alert: common::AlertId::generate(),
        reason: "no answer from the disk".into(),
    });
    let answer = api.alert(ALERT).await;
    let id = answer.data()["alertId"].as_str().unwrap().to_owned();
    let line = log.text();
    assert!(
        line.contains("WARN") && line.contains(&id) && line.contains("no answer from the disk"),
        "{line}"
    );
}

#[tokio::test]
async fn the_full_log_shows_headers_and_bodies_of_both() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Full);
    let request = request("POST", "/v1/alerts")
        .header("content-type", "application/json")
        .header("x-note", "a note");
    api.send(request.body(ALERT.into()).unwrap()).await;
    let line = log.text();
    assert_eq!(line.lines().count(), 1, "{line}");
    for part in [
        "x-note: a note",
        r#""target":["@all"]"#,
        r#""userCount":2"#,
        "response_headers=content-type: application/json",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

#[tokio::test]
async fn no_secret_reaches_the_full_log_however_it_is_sent() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Full);
    let user = json!({"name": "ann", "token": "s3cr3t-0123456789", "channelId": "c"}).to_string();
    api.json("POST", "/v1/users", user.clone()).await;
    api.json("POST", "/v1/users", user[..user.len() - 2].to_owned())
        .await;
    api.json("POST", "/v1/alerts", user).await;
    api.json("POST", "/v1/users", r#""s3cr3t-0123456789""#)
        .await;
    api.json(
        "POST",
        "/v1/users",
        r#"{"x":{"TOKEN":["s3cr3t-0123456789"]}}"#,
    )
    .await;
    let line = r#"{"type":"user","id":"1","name":"x","channelId":"c","token":"s3cr3t-0123456789"}"#;
    api.import("/v1/directory", format!("{line}\n{line}\n"))
        .await;
    api.import("/v1/directory", format!("{line}\ns3cr3t-0123456789"))
        .await;
    api.get("/v1/users?token=s3cr3t-0123456789").await;
    for header in [
        "authorization",
        "cookie",
        "x-api-key",
        "proxy-authorization",
    ] {
        let request = request("GET", "/v1/users").header(header, "s3cr3t-0123456789");
        api.send(request.body("".into()).unwrap()).await;
    }
    let message =
        r#"{"target":["@all"],"severity":"low","message":"use Bearer s3cr3t-0123456789 here"}"#;
    api.alert(message).await;
    api.get("/v1/directory").await;
    api.get("/v1/users").await;
    let text = log.text();
    assert!(text.lines().count() >= 15, "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(text.contains("use [redacted] here"), "{text}");
}

#[tokio::test]
async fn a_message_cannot_write_a_line_of_its_own_into_the_log() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Full);
    let body = json!({"target": ["@all"], "severity": "low",
        "message": "m\n2026-01-01 INFO request forged\u{1b}[2J\u{85}\u{2028}x"});
    let request = request("POST", "/v1/alerts")
        .header("content-type", "application/json")
        .header(
            "x-note",
            axum::http::HeaderValue::from_bytes(b"a\tb\xc2\x85c").unwrap(),
        );
    api.send(request.body(body.to_string().into()).unwrap())
        .await;
    let text = log.text();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    let line = text.trim_end();
    assert!(
        line.chars()
            .all(|symbol| !symbol.is_control() && symbol != '\u{2028}'),
        "{line:?}"
    );
}

#[tokio::test]
async fn long_bodies_are_shown_by_their_length() {
    let (log, _guard) = Log::begin();
    let api = api(LogHttp::Full);
    let message = "z".repeat(20_000);
    let body = json!({"target": ["@all"], "severity": "low", "message": message}).to_string();
    let length = body.len();
    let answer = api.alert(body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(&*api.queue.accepted()[0].alert.message, message);
    api.store.add_users(200);
    let list = api.get("/v1/users?limit=1000").await;
    let text = log.text();
    assert!(!text.contains("zzz"));
    assert!(
        text.contains(&format!("request_body=[{length} bytes]")),
        "{text}"
    );
    assert!(
        text.contains(&format!("response_body=[{} bytes]", list.body.len())),
        "{text}"
    );
}
