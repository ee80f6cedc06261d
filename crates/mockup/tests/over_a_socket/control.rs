//! `/health/…`, `/_mock/stats`, `/_mock/messages`, `/_mock/refusals` and the reading
//! and writing of `/_mock/faults`.

use mockup::Settings;
use serde_json::{Value, json};

use crate::client::Server;

fn texts(messages: &Value) -> Vec<&str> {
    let messages = messages.as_array().unwrap().iter();
    messages.map(|it| it["text"].as_str().unwrap()).collect()
}

async fn with_three_messages() -> Server {
    let server = Server::start().await;
    for (channel, text) in [("C1", "one"), ("C2", "two"), ("C1", "three")] {
        server.post(channel, text).await.unwrap();
    }
    server
}

#[tokio::test]
async fn the_stats_count_what_was_received_and_what_became_of_it() {
    let server = Server::start().await;
    server
        .break_with(json!({"channels": {
            "limited": {"rateLimitPerSecond": 0.01},
            "told": {"status": 429},
            "refused": {"error": "is_archived"},
            "lost": {"loseAnswerRate": 1},
            "down": {"down": true},
        }}))
        .await;
    for channel in ["C1", "C1", "limited", "limited", "told", "refused", ""] {
        assert!(server.post(channel, "t").await.is_some());
    }
    for channel in ["lost", "down"] {
        assert!(server.post(channel, "t").await.is_none());
    }
    assert_eq!(
        server.stats().await,
        json!({
            "received": 9, "accepted": 4, "rateLimited": 2, "failed": 4,
            "answersLost": 1, "clientGone": 0, "inProgress": 0,
        })
    );
}

#[tokio::test]
async fn it_is_ready_though_it_is_told_to_be_broken_and_no_count_shows_who_asked() {
    let server = Server::start().await;
    server.break_with(json!({"down": true})).await;
    let before = server.stats().await;
    for path in ["/health/live", "/health/ready"] {
        let answer = server.ask("GET", path, "", "").await;
        assert_eq!(answer.status, 204);
    }
    assert_eq!(server.stats().await, before);
}

#[tokio::test]
async fn messages_are_listed_oldest_first() {
    let server = with_three_messages().await;
    let messages = server.get("/_mock/messages").await;
    assert_eq!(texts(&messages), ["one", "two", "three"]);
    let seqs: Vec<_> = (0..3).map(|at| messages[at]["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2, 3]);
}

#[tokio::test]
async fn a_message_is_shown_with_its_channel_token_and_times() {
    let server = Server::start().await;
    let answer = server.post("C1", "text").await.unwrap().json();
    let message = server.messages().await.remove(0);
    assert_eq!(message["channel"], "C1");
    assert_eq!(message["token"], "xoxb-1");
    assert_eq!(message["ts"], answer["ts"]);
    assert_eq!(message["answer"], "sent");
    assert_eq!(message["closedAt"], Value::Null);
    let [received, answered] = ["receivedAt", "answeredAt"].map(|key| {
        let at = message[key].as_str().unwrap();
        assert_eq!(at.len(), "2026-11-23T21:09:00.000001Z".len(), "{at}");
        assert!(at.ends_with('Z'));
        at.parse::<jiff::Timestamp>().unwrap()
    });
    assert!(received <= answered);
}

#[tokio::test]
async fn a_refusal_is_shown_with_what_was_refused_and_how() {
    let server = Server::start().await;
    server
        .break_with(json!({"channels": {
            "told": {"status": 503, "retryAfter": 7},
            "limited": {"rateLimitPerSecond": 0.01},
        }}))
        .await;
    for (channel, text) in [("told", "a"), ("limited", "b"), ("limited", "c"), ("", "d")] {
        server.post(channel, text).await.unwrap();
    }
    let refusals = server.get("/_mock/refusals").await;
    let shown: Vec<_> = (0..3)
        .map(|at| {
            let keys = [
                "seq",
                "channel",
                "text",
                "status",
                "error",
                "retryAfter",
                "answer",
            ];
            json!(keys.map(|key| &refusals[at][key]))
        })
        .collect();
    assert_eq!(
        shown,
        [
            json!([1, "told", "a", 503, "internal_error", 7, "sent"]),
            json!([2, "limited", "c", 429, "ratelimited", 100, "sent"]),
            json!([3, "", "d", 200, "channel_not_found", null, "sent"]),
        ]
    );
    let [received, answered] = ["receivedAt", "answeredAt"].map(|key| {
        refusals[0][key]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    });
    assert!(received <= answered);
    let of_one = server.get("/_mock/refusals?channel=told&limit=5").await;
    assert_eq!(texts(&of_one), ["a"]);
}

#[tokio::test]
async fn refusals_are_forgotten_with_the_messages() {
    let server = Server::start().await;
    server.break_with(json!({"status": 500})).await;
    server.post("C1", "t").await.unwrap();
    server.ask("DELETE", "/_mock/messages", "", "").await;
    assert_eq!(server.get("/_mock/refusals").await, json!([]));
}

#[tokio::test]
async fn messages_can_be_asked_for_by_channel() {
    let server = with_three_messages().await;
    let messages = server.get("/_mock/messages?channel=C1&limit=").await;
    assert_eq!(texts(&messages), ["one", "three"]);
    let none = server.get("/_mock/messages?channel=C3").await;
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn a_limit_gives_the_newest_messages() {
    let server = with_three_messages().await;
    let two = server.get("/_mock/messages?limit=2").await;
    assert_eq!(texts(&two), ["two", "three"]);
    let newest_of_channel = server.get("/_mock/messages?channel=C1&limit=1").await;
    assert_eq!(texts(&newest_of_channel), ["three"]);
}

#[tokio::test]
async fn a_query_that_makes_no_sense_is_a_400_that_says_why() {
    let server = Server::start().await;
    for (query, part) in [("limit=many", "limit"), ("chanel=C1", "chanel")] {
        let path = format!("/_mock/messages?{query}");
        let answer = server.ask("GET", &path, "", "").await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().contains(part));
    }
}

#[tokio::test]
async fn only_the_newest_messages_are_kept_and_all_are_counted() {
    let server = Server::with(Settings {
        keep_messages: 2,
        ..Settings::default()
    })
    .await;
    for text in ["one", "two", "three"] {
        server.post("C1", text).await.unwrap();
    }
    let messages = server.get("/_mock/messages").await;
    assert_eq!(texts(&messages), ["two", "three"]);
    assert_eq!(server.stats().await["accepted"], 3);
}

#[tokio::test]
async fn forgetting_the_messages_resets_the_stats() {
    let server = with_three_messages().await;
    let answer = server.ask("DELETE", "/_mock/messages", "", "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(server.get("/_mock/messages").await, json!([]));
    let stats = server.stats().await;
    for count in stats.as_object().unwrap().values() {
        assert_eq!(count, 0, "{stats}");
    }
}

#[tokio::test]
async fn faults_are_shown_as_they_were_put() {
    let server = Server::start().await;
    assert_eq!(server.get("/_mock/faults").await, json!({}));
    let faults = json!({
        "latencyMs": 1, "jitterMs": 2, "errorRate": 0.5, "rateLimitPerSecond": 3.0,
        "rateBurst": 4, "down": false, "loseAnswerRate": 0.25, "error": "fatal_error",
        "status": 503, "retryAfter": 5, "channels": {"C1": {"down": true}},
    });
    server.break_with(faults.clone()).await;
    assert_eq!(server.get("/_mock/faults").await, faults);
}

#[tokio::test]
async fn each_put_replaces_all_faults() {
    let server = Server::start().await;
    server
        .break_with(json!({"status": 503, "channels": {"C1": {"down": true}}}))
        .await;
    server.break_with(json!({"latencyMs": 1})).await;
    assert_eq!(server.get("/_mock/faults").await, json!({"latencyMs": 1}));
    assert_eq!(server.post("C1", "t").await.unwrap().status, 200);
}

#[tokio::test]
async fn deleting_the_faults_mends_everything() {
    let server = Server::start().await;
    server.break_with(json!({"down": true})).await;
    let answer = server.ask("DELETE", "/_mock/faults", "", "").await;
    assert_eq!(answer.status, 204);
    assert_eq!(server.get("/_mock/faults").await, json!({}));
    assert!(server.post("C1", "t").await.is_some());
}

#[tokio::test]
async fn an_unknown_fault_is_a_400_that_names_it_and_changes_nothing() {
    let server = Server::start().await;
    server.break_with(json!({"latencyMs": 1})).await;
    for body in [r#"{"latency":5}"#, r#"{"channels":{"C1":{"latency":5}}}"#] {
        let answer = server.ask("PUT", "/_mock/faults", "", body).await;
        assert_eq!(answer.status, 400);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("`latency`") && error.contains("`latencyMs`"));
    }
    assert_eq!(server.get("/_mock/faults").await, json!({"latencyMs": 1}));
}

#[tokio::test]
async fn faults_over_1_mib_are_a_413() {
    let server = Server::start().await;
    let body = " ".repeat((1 << 20) + 1);
    let answer = server.ask("PUT", "/_mock/faults", "", &body).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn another_method_on_a_control_path_is_a_405_that_names_the_right_ones() {
    let server = Server::start().await;
    for (path, method, allow) in [
        ("/health/ready", "POST", "GET"),
        ("/_mock/stats", "POST", "GET"),
        ("/_mock/messages", "PUT", "GET, DELETE"),
        ("/_mock/faults", "POST", "GET, PUT, DELETE"),
    ] {
        let answer = server.ask(method, path, "", "").await;
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some(allow));
    }
}
