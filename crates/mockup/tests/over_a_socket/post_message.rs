//! `POST /api/chat.postMessage` without faults.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::client::{Answer, FORM, JSON, Server, TOKEN};

async fn post(server: &Server, head: &str, body: &str) -> Answer {
    server
        .ask("POST", "/api/chat.postMessage", head, body)
        .await
}

/// The Slack error of a call with a token, which must come in a 200.
async fn error_of(head: &str, body: &str) -> Value {
    let server = Server::start().await;
    let answer = post(&server, &format!("{head}{TOKEN}"), body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["ok"], false);
    assert_eq!(server.stats().await["failed"], 1);
    assert_eq!(server.messages().await.len(), 0);
    answer.json()["error"].clone()
}

#[tokio::test]
async fn a_message_is_answered_with_its_channel_its_ts_and_itself() {
    let server = Server::start().await;
    let answer = server.post("C1", "[low] \"node1\" ist müde").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let body = answer.json();
    assert_eq!(body["ok"], true);
    assert_eq!(body["channel"], "C1");
    assert_eq!(body["message"]["type"], "message");
    assert_eq!(body["message"]["text"], "[low] \"node1\" ist müde");
    assert_eq!(body["message"]["ts"], body["ts"]);
    let (seconds, digits) = body["ts"].as_str().unwrap().split_once('.').unwrap();
    assert!(seconds.parse::<u64>().unwrap() > 1_600_000_000);
    assert_eq!(digits.len(), 6);
}

#[tokio::test]
async fn a_json_body_may_name_its_charset() {
    let server = Server::start().await;
    let head = format!("Content-Type: Application/JSON;charset=utf-8\r\n{TOKEN}");
    let answer = post(&server, &head, r#"{"channel":"C1","text":"t"}"#).await;
    assert_eq!(answer.json()["ok"], true);
}

#[tokio::test]
async fn a_form_body_is_read_like_a_json_body() {
    let server = Server::start().await;
    let head = format!("{FORM}{TOKEN}");
    let answer = post(&server, &head, "channel=C1&text=a+b%26c+%EC%9E%A5").await;
    assert_eq!(answer.json()["channel"], "C1");
    assert_eq!(answer.json()["message"]["text"], "a b&c 장");
}

#[tokio::test]
async fn a_message_without_a_token_is_refused_as_not_authed() {
    let server = Server::start().await;
    let answer = post(&server, JSON, r#"{"channel":"C1","text":"t"}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"ok": false, "error": "not_authed"}));
}

#[tokio::test]
async fn an_empty_token_is_none() {
    let server = Server::start().await;
    for head in [
        "Authorization: Bearer \r\n",
        "Authorization: Basic eDp5\r\n",
    ] {
        let body = r#"{"channel":"C1","text":"t","token":""}"#;
        let answer = post(&server, &format!("{JSON}{head}"), body).await;
        assert_eq!(answer.json()["error"], "not_authed");
    }
}

#[tokio::test]
async fn the_token_may_be_in_a_json_body() {
    let server = Server::start().await;
    let body = r#"{"channel":"C1","text":"t","token":"xoxb-2"}"#;
    assert_eq!(post(&server, JSON, body).await.json()["ok"], true);
    assert_eq!(server.messages().await[0]["token"], "xoxb-2");
}

#[tokio::test]
async fn the_token_may_be_in_a_form_body() {
    let server = Server::start().await;
    let answer = post(&server, FORM, "channel=C1&text=t&token=xoxb-2").await;
    assert_eq!(answer.json()["ok"], true);
    assert_eq!(server.messages().await[0]["token"], "xoxb-2");
}

#[tokio::test]
async fn a_token_in_the_header_wins_over_one_in_the_body() {
    let server = Server::start().await;
    let head = format!("{FORM}authorization: bearer xoxb-1\r\n");
    post(&server, &head, "channel=C1&text=t&token=xoxb-2").await;
    assert_eq!(server.messages().await[0]["token"], "xoxb-1");
}

#[tokio::test]
async fn a_message_without_a_text_is_refused_as_no_text() {
    assert_eq!(error_of(JSON, r#"{"channel":"C1"}"#).await, "no_text");
    assert_eq!(error_of(FORM, "channel=C1&text=").await, "no_text");
}

#[tokio::test]
async fn blocks_or_attachments_make_the_text_dispensable() {
    let server = Server::start().await;
    for (encoding, body) in [
        (JSON, r#"{"channel":"C1","blocks":[{"type":"divider"}]}"#),
        (JSON, r#"{"channel":"C1","attachments":[{"text":"a"}]}"#),
        (FORM, "channel=C1&blocks=%5B%5D"),
        (FORM, "channel=C1&attachments=%5B%5D"),
    ] {
        let answer = post(&server, &format!("{encoding}{TOKEN}"), body).await;
        assert_eq!(answer.json()["ok"], true, "{body}");
    }
}

#[tokio::test]
async fn a_message_without_a_channel_is_refused_as_channel_not_found() {
    assert_eq!(error_of(JSON, r#"{"text":"t"}"#).await, "channel_not_found");
    assert_eq!(error_of(JSON, "").await, "channel_not_found");
}

#[tokio::test]
async fn malformed_json_is_refused_as_invalid_json() {
    assert_eq!(error_of(JSON, "{\"channel\":").await, "invalid_json");
    assert_eq!(error_of(JSON, "not json").await, "invalid_json");
    let deep = format!("{{\"blocks\":{}", "[".repeat(100_000));
    assert_eq!(error_of(JSON, &deep).await, "invalid_json");
}

#[tokio::test]
async fn json_nested_deeply_in_an_argument_that_is_not_read_does_no_harm() {
    let server = Server::start().await;
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"channel":"C1","text":"t","blocks":{open}{close}}}"#);
    let answer = post(&server, &format!("{JSON}{TOKEN}"), &body).await;
    assert_eq!(answer.json()["ok"], true);
}

#[tokio::test]
async fn invalid_utf8_in_json_is_refused_as_invalid_json() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let body = b"{\"channel\":\"C1\",\"text\":\"\xff\"}";
    let head = format!("{JSON}{TOKEN}");
    connection
        .send("POST", "/api/chat.postMessage", &head, body)
        .await;
    let answer = connection.answer().await.unwrap();
    assert_eq!(answer.json()["error"], "invalid_json");
}

#[tokio::test]
async fn json_that_is_no_object_is_refused_as_json_not_object() {
    let array = r#"["C1","t","xoxb-1",null,null]"#;
    assert_eq!(error_of(JSON, array).await, "json_not_object");
}

#[tokio::test]
async fn an_argument_of_the_wrong_type_is_refused_as_invalid_arguments() {
    let body = r#"{"channel":7,"text":"t"}"#;
    assert_eq!(error_of(JSON, body).await, "invalid_arguments");
}

#[tokio::test]
async fn a_body_without_a_content_type_is_refused_as_missing_post_type() {
    assert_eq!(error_of("", "channel=C1").await, "missing_post_type");
}

#[tokio::test]
async fn a_body_of_another_content_type_is_refused_as_invalid_post_type() {
    let head = "Content-Type: text/plain\r\n";
    assert_eq!(error_of(head, "channel=C1").await, "invalid_post_type");
}

#[tokio::test]
async fn another_method_is_a_405_that_names_the_right_one_and_is_not_counted() {
    let server = Server::start().await;
    let answer = server.ask("GET", "/api/chat.postMessage", "", "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(server.stats().await["received"], 0);
}

#[tokio::test]
async fn a_body_of_just_1_mib_is_read() {
    let server = Server::start().await;
    let frame = r#"{"channel":"C1","text":""}"#.len();
    let text = "x".repeat((1 << 20) - frame);
    let answer = server.post("C1", &text).await.unwrap();
    assert_eq!(answer.json()["ok"], true);
}

#[tokio::test]
async fn a_body_over_1_mib_is_a_413_and_counts_as_failed() {
    let server = Server::start().await;
    let answer = server.post("C1", &"x".repeat(1 << 20)).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["ok"], false);
    assert_eq!(answer.header("connection"), Some("close"));
    let stats = server.stats().await;
    assert_eq!(
        (&stats["received"], &stats["failed"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn a_body_announced_as_huge_is_a_413_before_it_comes() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let head =
        "POST /api/chat.postMessage HTTP/1.1\r\nHost: m\r\nContent-Length: 99999999999\r\n\r\n";
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.answer().await.unwrap().status, 413);
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let head = format!(
        "POST /api/chat.postMessage HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\
         {FORM}{TOKEN}\r\n"
    );
    connection.write(head.as_bytes()).await;
    connection
        .write(b"b\r\nchannel=C1&\r\n6\r\ntext=t\r\n0\r\n\r\n")
        .await;
    assert_eq!(connection.answer().await.unwrap().json()["ok"], true);
}

#[tokio::test]
async fn no_two_messages_have_the_same_ts() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let mut seen = HashSet::new();
    for _ in 0..500 {
        connection.post("C1", "t").await;
        let answer = connection.answer().await.unwrap().json();
        assert!(seen.insert(answer["ts"].as_str().unwrap().to_owned()));
    }
}
