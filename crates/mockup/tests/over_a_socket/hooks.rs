//! Receivers of webhooks.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::client::{Answer, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"type":"alert.raised","data":{"text":"[high] node1 down"}}"#;

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// The headers of a webhook that is signed with `secret`.
fn headers(secret: &str, timestamp: u64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(&secret[6..]).unwrap();
    let content = format!("msg_1.{timestamp}.{body}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes());
    let signature = BASE64_STANDARD.encode(tag);
    format!(
        "webhook-id: msg_1\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: v1,bm9uZQ== v1,{signature}\r\n"
    )
}

async fn post(server: &Server, headers: &str, body: &str) -> Answer {
    server.ask("POST", "/_mock/hooks/ops", headers, body).await
}

async fn with_secret() -> Server {
    let server = Server::start().await;
    let body = json!({"secret": SECRET}).to_string();
    let answer = server.ask("PUT", "/_mock/hooks/ops", "", &body).await;
    assert_eq!(answer.status, 204);
    server
}

#[tokio::test]
async fn a_webhook_is_a_message_with_what_came_along() {
    let server = with_secret().await;
    let at = now();
    let answer = post(&server, &headers(SECRET, at, BODY), BODY).await;
    assert_eq!(answer.status, 204);
    let message = server.messages().await.remove(0);
    assert_eq!(message["channel"], "hooks/ops");
    assert_eq!(message["text"], "[high] node1 down");
    assert_eq!(message["answer"], "sent");
    let body: Value = serde_json::from_str(BODY).unwrap();
    let expected = json!({"id": "msg_1", "timestamp": at, "verified": true, "body": body});
    assert_eq!(message["webhook"], expected);
}

#[tokio::test]
async fn a_wrong_signature_or_time_is_401_and_not_recorded() {
    let server = with_secret().await;
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSA";
    for (headers, body, error) in [
        (headers(other, now(), BODY), BODY, "wrong_signature"),
        (headers(SECRET, now(), BODY), "{}", "wrong_signature"),
        (headers(SECRET, now() - 301, BODY), BODY, "wrong_timestamp"),
        (headers(SECRET, now() + 310, BODY), BODY, "wrong_timestamp"),
    ] {
        let answer = post(&server, &headers, body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!(error))
        );
    }
    assert!(server.messages().await.is_empty());
}

#[tokio::test]
async fn without_a_secret_nothing_is_checked_and_it_says_so() {
    let server = with_secret().await;
    let answer = server.ask("DELETE", "/_mock/hooks/ops", "", "").await;
    assert_eq!(answer.status, 204);
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSA";
    assert_eq!(
        post(&server, &headers(other, now(), BODY), BODY)
            .await
            .status,
        204
    );
    let message = server.messages().await.remove(0);
    assert_eq!(message["webhook"]["verified"], false);
}

#[tokio::test]
async fn what_is_no_webhook_is_400_and_says_what_is_missing() {
    let server = Server::start().await;
    let signed = |body: &str| headers(SECRET, now(), body);
    for (headers, body, error) in [
        (String::new(), BODY, "no_webhook_id"),
        ("webhook-id: a\r\n".to_owned(), BODY, "no_webhook_timestamp"),
        (
            "webhook-id: a\r\nwebhook-timestamp: 1\r\n".to_owned(),
            BODY,
            "no_webhook_signature",
        ),
        (signed("x"), "x", "invalid_json"),
        (signed("{}"), "{}", "no_text"),
    ] {
        let answer = post(&server, &headers, body).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (400, &json!(error))
        );
    }
    let answer = server
        .ask("PUT", "/_mock/hooks/ops", "", r#"{"secret":"x"}"#)
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        server.ask("POST", "/_mock/hooks/", "", BODY).await.status,
        404
    );
    assert_eq!(
        server
            .ask("POST", "/_mock/hooks/a/b", "", BODY)
            .await
            .status,
        404
    );
    assert_eq!(
        server.ask("GET", "/_mock/hooks/ops", "", "").await.status,
        405
    );
}

#[tokio::test]
async fn the_faults_of_the_mockup_and_of_the_channel_hold_for_webhooks() {
    let server = with_secret().await;
    let signed = headers(SECRET, now(), BODY);
    for (faults, status) in [
        (json!({"status": 503, "retryAfter": 3}), 503),
        (json!({"error": "internal_error"}), 400),
        (json!({"channels": {"hooks/ops": {"status": 410}}}), 410),
    ] {
        server.break_with(faults).await;
        assert_eq!(post(&server, &signed, BODY).await.status, status);
    }
    server
        .break_with(json!({"rateLimitPerSecond": 0.01, "rateBurst": 1}))
        .await;
    assert_eq!(post(&server, &signed, BODY).await.status, 204);
    assert_eq!(post(&server, &signed, BODY).await.status, 429);
}
