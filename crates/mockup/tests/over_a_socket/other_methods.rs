//! `auth.test`, `api.test`, and paths that are not there.

use serde_json::json;

use crate::client::{FORM, JSON, Server, TOKEN};

#[tokio::test]
async fn auth_test_says_who_the_token_is() {
    let server = Server::start().await;
    for method in ["GET", "POST"] {
        let answer = server.ask(method, "/api/auth.test", TOKEN, "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["ok"], true);
        assert_eq!(answer.json()["user_id"], "U0MOCKUP");
    }
}

#[tokio::test]
async fn auth_test_takes_the_token_from_the_body_or_the_query() {
    let server = Server::start().await;
    let in_body = server
        .ask("POST", "/api/auth.test", FORM, "token=xoxb-1")
        .await;
    assert_eq!(in_body.json()["ok"], true);
    let in_query = server
        .ask("GET", "/api/auth.test?token=xoxb-1", "", "")
        .await;
    assert_eq!(in_query.json()["ok"], true);
}

#[tokio::test]
async fn auth_test_without_a_token_is_not_authed() {
    let server = Server::start().await;
    let answer = server.ask("POST", "/api/auth.test", "", "").await;
    assert_eq!(answer.json(), json!({"ok": false, "error": "not_authed"}));
}

#[tokio::test]
async fn auth_test_is_broken_like_messages_and_not_counted() {
    let server = Server::start().await;
    server.break_with(json!({"error": "invalid_auth"})).await;
    let answer = server.ask("POST", "/api/auth.test", TOKEN, "").await;
    assert_eq!(answer.json()["error"], "invalid_auth");
    server.break_with(json!({"down": true})).await;
    let mut connection = server.connect().await;
    connection.send("POST", "/api/auth.test", TOKEN, b"").await;
    assert!(connection.answer().await.is_none());
    assert_eq!(server.stats().await["received"], 0);
}

#[tokio::test]
async fn api_test_gives_its_arguments_back() {
    let server = Server::start().await;
    let plain = server.ask("POST", "/api/api.test", "", "").await;
    assert_eq!(plain.json(), json!({"ok": true}));
    let query = server.ask("GET", "/api/api.test?foo=bar", "", "").await;
    assert_eq!(query.json(), json!({"ok": true, "args": {"foo": "bar"}}));
    let body = server
        .ask("POST", "/api/api.test", JSON, r#"{"error":"my_error"}"#)
        .await;
    assert_eq!(
        body.json(),
        json!({"ok": false, "error": "my_error", "args": {"error": "my_error"}})
    );
}

#[tokio::test]
async fn a_method_that_the_mockup_does_not_play_is_unknown_method() {
    let server = Server::start().await;
    let answer = server.ask("POST", "/api/chat.update", TOKEN, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({"ok": false, "error": "unknown_method"})
    );
}

#[tokio::test]
async fn another_path_is_a_404_that_names_the_paths_there_are() {
    let server = Server::start().await;
    for path in ["/", "/_mock/", "/_mock/else"] {
        let answer = server.ask("GET", path, "", "").await;
        assert_eq!(answer.status, 404);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains("/api/chat.postMessage"));
    }
}
