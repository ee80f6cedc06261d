//! What each fault does to a message. The arithmetic of shares, jitter and
//! overriding is tested beside the code.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, advance, pause};

use crate::client::{JSON, Server};

#[tokio::test]
async fn down_closes_the_connection_unanswered_and_records_nothing() {
    let server = Server::start().await;
    server.break_with(json!({"down": true})).await;
    assert!(server.post("C1", "t").await.is_none());
    assert_eq!(server.messages().await.len(), 0);
    let stats = server.stats().await;
    assert_eq!(
        (&stats["received"], &stats["failed"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn a_lost_answer_was_recorded_before_the_connection_is_closed() {
    let server = Server::start().await;
    server.break_with(json!({"loseAnswerRate": 1})).await;
    assert!(server.post("C1", "lost").await.is_none());
    let message = server.messages().await.remove(0);
    assert_eq!(message["text"], "lost");
    assert_eq!(message["answer"], "lost");
    assert!(message["answeredAt"].is_null() && message["closedAt"].is_string());
}

#[tokio::test]
async fn an_error_rate_of_one_makes_every_message_a_500() {
    let server = Server::start().await;
    server.break_with(json!({"errorRate": 1})).await;
    let answer = server.post("C1", "t").await.unwrap();
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["ok"], false);
    assert_eq!(server.messages().await.len(), 0);
}

#[tokio::test]
async fn an_error_refuses_every_message_as_slack_does() {
    let server = Server::start().await;
    server.break_with(json!({"error": "token_revoked"})).await;
    let answer = server.post("C1", "t").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"ok": false, "error": "token_revoked"})
    );
}

#[tokio::test]
async fn a_channel_can_be_told_not_to_exist() {
    let server = Server::start().await;
    server
        .break_with(json!({"channels": {"C9": {"error": "channel_not_found"}}}))
        .await;
    let missing = server.post("C9", "t").await.unwrap();
    assert_eq!(
        missing.json(),
        json!({"ok": false, "error": "channel_not_found"})
    );
    assert_eq!(server.post("C1", "t").await.unwrap().json()["ok"], true);
}

#[tokio::test]
async fn a_status_of_429_with_a_retry_after_is_what_every_message_gets() {
    let server = Server::start().await;
    server
        .break_with(json!({"status": 429, "retryAfter": 60}))
        .await;
    for _ in 0..3 {
        let answer = server.post("C1", "t").await.unwrap();
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("retry-after"), Some("60"));
        assert_eq!(answer.json(), json!({"ok": false, "error": "ratelimited"}));
    }
    assert_eq!(server.stats().await["rateLimited"], 3);
}

#[tokio::test]
async fn a_status_is_answered_even_to_a_message_that_cannot_be_read() {
    let server = Server::start().await;
    server.break_with(json!({"status": 503})).await;
    let answer = server
        .ask("POST", "/api/chat.postMessage", JSON, "not json")
        .await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), None);
}

#[tokio::test]
async fn a_limited_message_is_a_429_with_the_time_to_wait() {
    let server = Server::start().await;
    server
        .break_with(json!({"rateLimitPerSecond": 0.01, "rateBurst": 2}))
        .await;
    for _ in 0..2 {
        assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
    }
    let answer = server.post("C1", "t").await.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("100"));
    assert_eq!(answer.json(), json!({"ok": false, "error": "ratelimited"}));
    assert_eq!(server.messages().await.len(), 2);
}

#[tokio::test]
async fn a_retry_after_replaces_the_time_to_wait() {
    let server = Server::start().await;
    server
        .break_with(json!({"rateLimitPerSecond": 0.01, "retryAfter": 3}))
        .await;
    server.post("C1", "t").await.unwrap();
    let answer = server.post("C1", "t").await.unwrap();
    assert_eq!(answer.header("retry-after"), Some("3"));
}

#[tokio::test]
async fn a_limited_channel_limits_no_other() {
    let server = Server::start().await;
    server.break_with(json!({"rateLimitPerSecond": 0.01})).await;
    server.post("C1", "t").await.unwrap();
    assert_eq!(server.post("C1", "t").await.unwrap().status, 429);
    assert_eq!(server.post("C2", "t").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_limited_channel_takes_a_message_again_after_the_wait() {
    let server = Server::start().await;
    server.break_with(json!({"rateLimitPerSecond": 0.01})).await;
    server.post("C1", "t").await.unwrap();
    assert_eq!(server.post("C1", "t").await.unwrap().status, 429);
    pause();
    advance(Duration::from_secs(100)).await;
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_put_of_faults_fills_the_buckets_again() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.break_with(json!({"rateLimitPerSecond": 0.01})).await;
        assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
        assert_eq!(server.post("C1", "t").await.unwrap().status, 429);
    }
}

#[tokio::test]
async fn a_message_without_a_token_uses_up_nothing_of_the_rate() {
    let server = Server::start().await;
    server.break_with(json!({"rateLimitPerSecond": 0.01})).await;
    let body = r#"{"channel":"C1","text":"t"}"#;
    let refused = server
        .ask("POST", "/api/chat.postMessage", JSON, body)
        .await;
    assert_eq!(refused.json()["error"], "not_authed");
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
}

/// In paused time a sleep ends as soon as nothing else can happen, and the clock
/// shows what it would have taken.
#[tokio::test]
async fn a_latency_holds_the_answer_back() {
    let server = Server::start().await;
    server.break_with(json!({"latencyMs": 5000})).await;
    pause();
    let before = Instant::now();
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
    assert!(before.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_latency_holds_refusals_back_too() {
    let server = Server::start().await;
    server
        .break_with(json!({"latencyMs": 5000, "status": 500}))
        .await;
    pause();
    let before = Instant::now();
    assert_eq!(server.post("C1", "t").await.unwrap().status, 500);
    assert!(before.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_slow_channel_holds_up_no_other() {
    let server = Server::start().await;
    server
        .break_with(json!({"channels": {"slow": {"latencyMs": 600_000}}}))
        .await;
    let mut slow = server.connect().await;
    slow.post("slow", "t").await;
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
}
