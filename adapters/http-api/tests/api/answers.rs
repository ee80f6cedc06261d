//! Answers that no single route gives: paths, methods, bodies, keys, failures.

use axum::body::Body;
use producer::ports::{AcceptError, StoreError};
use serde_json::json;

use crate::support::{Answer, Api, ONE, request};

const ALERT: &str = r#"{"target":["@all"],"severity":"low","message":"m"}"#;

fn code(answer: &Answer) -> String {
    answer.envelope()["errorCode"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_path_is_404_in_the_envelope() {
    let api = Api::new();
    for path in [
        "/",
        "/v1",
        "/v1/alerts/",
        "/v2/alerts",
        "/health",
        "/v1/users/1/x",
    ] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), code(&answer)),
            (404, "NOT_FOUND".to_owned()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_with_those_it_takes() {
    let api = Api::new();
    let user = format!("/v1/users/{ONE}");
    for (method, path, allowed) in [
        ("PUT", "/v1/alerts", "GET,HEAD,POST"),
        ("PATCH", "/v1/users", "GET,HEAD,POST"),
        ("POST", &user, "GET,HEAD,PUT,DELETE"),
        ("GET", "/v1/noti-groups/subscribe", "POST"),
        ("PUT", "/v1/noti-groups/unsubscribe", "DELETE,POST"),
        ("DELETE", "/v1/directory", "GET,HEAD,POST"),
        ("POST", "/health/live", "GET,HEAD"),
        ("BREW", "/metrics", "GET,HEAD"),
        ("POST", "/v3/api-docs", "GET,HEAD"),
    ] {
        let answer = api.json(method, path, "{}").await;
        assert_eq!(
            (answer.status.as_u16(), code(&answer)),
            (405, "METHOD_NOT_ALLOWED".to_owned()),
            "{path}"
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_415() {
    let api = Api::new();
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonx"),
    ] {
        for (method, path) in [
            ("POST", "/v1/alerts"),
            ("POST", "/v1/users"),
            ("POST", "/v1/noti-groups"),
            ("DELETE", "/v1/noti-groups/unsubscribe"),
        ] {
            let mut request = request(method, path);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = api.send(request.body(ALERT.into()).unwrap()).await;
            assert_eq!(answer.status, 415, "{path} {content_type:?}");
            assert_eq!(
                answer.more_information(),
                "The Content-Type must be application/json."
            );
        }
    }
    assert!(api.queue.accepted().is_empty());
    let request =
        request("POST", "/v1/alerts").header("content-type", "Application/JSON;charset=UTF-8");
    assert_eq!(
        api.send(request.body(ALERT.into()).unwrap()).await.status,
        200
    );
}

#[tokio::test]
async fn a_body_over_1_mib_is_413_naming_the_limit() {
    let api = Api::new();
    let padded = |length: usize| format!("{ALERT}{}", " ".repeat(length - ALERT.len()));
    assert_eq!(api.alert(padded(1 << 20)).await.status, 200);
    let streamed = |length| {
        let chunks = padded(length).into_bytes();
        let (mut sender, body) = http_body_util::channel::Channel::<bytes::Bytes>::new(1);
        tokio::spawn(async move {
            for chunk in chunks.chunks(10_000) {
                sender
                    .send_data(bytes::Bytes::copy_from_slice(chunk))
                    .await
                    .unwrap();
            }
        });
        Body::new(body)
    };
    assert_eq!(api.alert(streamed(1 << 20)).await.status, 200);
    for body in [
        Body::from(padded((1 << 20) + 1)),
        streamed((1 << 20) + 1),
        streamed(3 << 20),
    ] {
        let answer = api.alert(body).await;
        assert_eq!(
            (answer.status.as_u16(), code(&answer)),
            (413, "BODY_TOO_LARGE".to_owned())
        );
        assert_eq!(
            answer.more_information(),
            "The body must have at most 1048576 bytes."
        );
    }
    assert_eq!(api.queue.accepted().len(), 2);
}

#[tokio::test]
async fn a_repeated_request_with_the_same_key_is_one_alert() {
    let api = Api::new();
    let first = api.alert_with_key("key-1", "m").await;
    assert_eq!(
        (first.status.as_u16(), first.header("idempotency-replayed")),
        (200, None)
    );
    for same in ["key-1", "\"key-1\""] {
        let again = api.alert_with_key(same, "m").await;
        assert_eq!(
            (again.status.as_u16(), again.header("idempotency-replayed")),
            (200, Some("true"))
        );
        assert_eq!(again.data(), first.data());
    }
    assert_eq!(api.queue.accepted().len(), 1);
    assert_eq!(api.queue.keys(), ["key-1"]);
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_422() {
    let api = Api::new();
    api.alert_with_key("key-1", "m").await;
    let answer = api.alert_with_key("key-1", "another").await;
    assert_eq!(
        (answer.status.as_u16(), code(&answer)),
        (422, "IDEMPOTENCY_KEY_REUSED".to_owned())
    );
}

#[tokio::test]
async fn a_key_that_is_not_1_to_255_visible_ascii_characters_is_400_naming_the_header() {
    let api = Api::new();
    assert_eq!(api.alert_with_key(&"k".repeat(255), "m").await.status, 200);
    for key in ["", "\"\"", "a b", "a\tb", "\u{e9}", &"k".repeat(256)] {
        let answer = api.alert_with_key(key, "m").await;
        assert_eq!(answer.status, 400, "{key:?}");
        assert_eq!(answer.envelope()["errors"][0]["field"], "Idempotency-Key");
    }
    let twice = request("POST", "/v1/alerts")
        .header("content-type", "application/json")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    assert_eq!(
        api.send(twice.body(ALERT.into()).unwrap()).await.status,
        400
    );
    assert_eq!(api.queue.accepted().len(), 1);
}

fn wants_a_retry(answer: &Answer) {
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds));
}

#[tokio::test]
async fn a_full_queue_is_503_with_retry_after() {
    let api = Api::new();
    api.queue
        .refuse_with(AcceptError::Full("/var/lib/x has no room".into()));
    let answer = api.alert(ALERT).await;
    assert_eq!(
        (answer.status.as_u16(), code(&answer)),
        (503, "QUEUE_FULL".to_owned())
    );
    wants_a_retry(&answer);
    assert!(answer.envelope().get("data").is_none());
    assert!(!answer.text().contains("/var/lib"));
}

#[tokio::test]
async fn an_alert_that_may_have_been_accepted_is_503_and_says_so_with_its_id() {
    let api = Api::new();
    let alert = common::AlertId::generate();
    api.queue.refuse_with(AcceptError::MaybeAccepted {
        alert,
        reason: "the commit's answer was lost".into(),
    });
    let answer = api.alert(ALERT).await;
    assert_eq!(
        (answer.status.as_u16(), code(&answer)),
        (503, "MAYBE_ACCEPTED".to_owned())
    );
    wants_a_retry(&answer);
    assert_eq!(answer.data()["alertId"], alert.to_string());
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_503_and_nothing_was_accepted() {
    let api = Api::new();
    api.queue
        .refuse_with(AcceptError::KeyUnknown("db.internal is away".into()));
    let answer = api.alert(ALERT).await;
    assert_eq!(
        (answer.status.as_u16(), code(&answer)),
        (503, "IDEMPOTENCY_KEY_UNKNOWN".to_owned())
    );
    wants_a_retry(&answer);
    assert!(answer.envelope().get("data").is_none());
    assert!(!answer.text().contains("db.internal"));
}

#[tokio::test]
async fn a_failure_of_ours_is_500_and_tells_nothing_of_the_inside() {
    for reason in ["secret_table is corrupt", "panic"] {
        let api = Api::new();
        api.queue.refuse_with(AcceptError::Failed(reason.into()));
        let answer = api.alert(ALERT).await;
        assert_eq!(answer.status, 500);
        assert_eq!(
            answer.envelope(),
            json!({"httpCode": 500, "httpMessage": "Internal Server Error",
                "moreInformation": "An internal server error occurred.", "errorCode": "INTERNAL_ERROR"})
        );
        assert!(answer.header("x-global-transaction-id").is_some());
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_503_with_retry_after_and_is_still_read() {
    let api = Api::new();
    api.store
        .fail_with(StoreError::Unwritable("read-only file system".into()));
    let subscription = json!({"notiGroupId": ONE, "userId": ONE}).to_string();
    for (method, path) in [
        ("POST", "/v1/noti-groups/subscribe".to_owned()),
        ("DELETE", "/v1/noti-groups/unsubscribe".to_owned()),
        ("DELETE", format!("/v1/users/{ONE}")),
        ("DELETE", format!("/v1/noti-groups/{ONE}")),
    ] {
        let answer = api.json(method, &path, subscription.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), code(&answer)),
            (503, "DIRECTORY_UNWRITABLE".to_owned())
        );
        wants_a_retry(&answer);
        assert!(!answer.text().contains("read-only"));
    }
    assert_eq!(api.get("/v1/users").await.status, 200);
}

#[tokio::test]
async fn a_directory_that_may_have_been_changed_is_503_and_says_so() {
    let api = Api::new();
    api.store
        .fail_with(StoreError::MaybeDone("the commit's answer was lost".into()));
    let answer = api.json("DELETE", &format!("/v1/users/{ONE}"), "").await;
    assert_eq!(
        (answer.status.as_u16(), code(&answer)),
        (503, "MAYBE_DONE".to_owned())
    );
    wants_a_retry(&answer);
    assert!(!answer.text().contains("commit"));
}

#[tokio::test]
async fn a_failure_of_the_directory_is_500() {
    let api = Api::new();
    api.store
        .fail_with(StoreError::Failed("secret_table".into()));
    let body = json!({"name": "ann", "token": "t", "channelId": "c"}).to_string();
    let answer = api.json("POST", "/v1/users", body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.more_information()),
        (500, "An internal server error occurred.".to_owned())
    );
}

#[tokio::test]
async fn a_refused_token_is_not_repeated() {
    let api = Api::new();
    for body in [
        r#"{"name":"ann","channelId":"c","token":"my secret"}"#,
        r#"{"name":"ann","channelId":"c","token":["my secret"]}"#,
        r#"{"name":"ann","channelId":"c","token":"my secret"#,
    ] {
        let answer = api.json("POST", "/v1/users", body).await;
        assert_eq!(answer.status, 400);
        assert!(!answer.text().contains("my secret"), "{}", answer.text());
    }
}
