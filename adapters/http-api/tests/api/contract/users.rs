//! Users.

use serde_json::{Value, json};

use super::case::{NO_GROUP, NO_USER, case};
use crate::support::{Api, NOBODY, ONE};

#[tokio::test]
async fn users_are_created_and_refused_as_the_contract_says() {
    let post = |says, body: Value, status| case(says, "POST", "/v1/users", body, status);
    let user = |name: &str| json!({"name": name, "token": "t", "channelId": "c"});
    let with = |field: &str, value: Value| {
        let mut body = json!({"name": "ann", "token": "t", "channelId": "c"});
        body[field] = value;
        body
    };
    let long = |length| json!("x".repeat(length));
    let cases = [
        post("a user", user("ann"), 201),
        post("`장애알림` (4) is a user's name", user("장애알림"), 201),
        post("name of 30", with("name", long(30)), 201),
        post("name of 31", with("name", long(31)), 400)
            .informs("name must be 1 to 30 characters long, and has 31."),
        post("empty name", user(""), 400),
        post("`all` is no name", user("all"), 400)
            .informs("name must not be `all`, which is the target of every user."),
        post("a name does not begin with `@`", user("@ann"), 400)
            .informs("name must not begin with `@`, which marks a target."),
        post("a control character", user("a\u{7}b"), 400)
            .informs("name must not hold control characters."),
        post("name taken", user("user_name1"), 409).informs("User name already exists."),
        post("token of 2048", with("token", long(2048)), 201),
        post("token of 2049", with("token", long(2049)), 400)
            .informs("token must be 1 to 2048 characters long."),
        post("no token", with("token", Value::Null), 400)
            .informs("token must be given when a user is created."),
        post("channel id of 200", with("channelId", long(200)), 201),
        post("channel id of 201", with("channelId", long(201)), 400)
            .informs("channelId must be 1 to 200 characters long, and has 201."),
        post("no channel id", with("channelId", Value::Null), 400)
            .informs("channelId must be given."),
        post("no name", with("name", Value::Null), 400).informs("name must be given."),
        case(
            "no such user",
            "GET",
            &format!("/v1/users/{NOBODY}"),
            Value::Null,
            404,
        )
        .informs(NO_USER),
        case(
            "no such user",
            "DELETE",
            &format!("/v1/users/{NOBODY}"),
            Value::Null,
            404,
        )
        .informs(NO_USER),
        case(
            "no such group",
            "GET",
            &format!("/v1/noti-groups/{NOBODY}"),
            Value::Null,
            404,
        )
        .informs(NO_GROUP),
        case(
            "no such group",
            "DELETE",
            &format!("/v1/noti-groups/{NOBODY}"),
            Value::Null,
            404,
        )
        .informs(NO_GROUP),
    ];
    for case in cases {
        case.hold().await;
    }
}

#[tokio::test]
async fn a_created_user_is_at_their_location_and_the_token_never_comes_back() {
    let api = Api::new();
    let body = json!({"name": "ann", "token": "a-long-secret-1234", "channelId": "c"}).to_string();
    let answer = api.json("POST", "/v1/users", body).await;
    let data = answer.data();
    let path = format!("/v1/users/{}", data["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(
        data,
        json!({"id": data["id"], "name": "ann", "channelId": "c", "tokenHint": "1234", "groups": [],
            "createdAt": "2026-11-23T08:00:00Z", "updatedAt": "2026-11-23T08:00:00Z"})
    );
    assert_eq!(api.get(&path).await.data(), data);
}

#[tokio::test]
async fn a_token_of_fewer_than_16_characters_has_no_hint_and_groups_are_named() {
    let api = Api::new();
    let data = api.get(&format!("/v1/users/{ONE}")).await.data();
    assert!(data.get("tokenHint").is_none());
    assert_eq!(data["groups"], json!([{"id": ONE, "name": "group_name1"}]));
    assert!(!data.to_string().contains("test_token1"));
}

#[tokio::test]
async fn putting_a_user_creates_or_replaces_and_keeps_a_token_left_out() {
    let api = Api::new();
    let path = format!("/v1/users/{NOBODY}");
    let no_token = json!({"name": "ann", "channelId": "c1"}).to_string();
    let answer = api.json("PUT", &path, no_token).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.more_information(),
        "token must be given when a user is created."
    );
    let body = json!({"name": "ann", "token": "0123456789abcdef", "channelId": "c1"}).to_string();
    let answer = api.json("PUT", &path, body.clone()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    assert_eq!(api.json("PUT", &path, body).await.status, 200);
    let moved = json!({"name": "ann2", "channelId": "c2"}).to_string();
    let answer = api.json("PUT", &path, moved).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.data()["name"], "ann2");
    assert_eq!(answer.data()["channelId"], "c2");
    assert_eq!(answer.data()["tokenHint"], "cdef");
    let taken = json!({"name": "user_name1", "channelId": "c2"}).to_string();
    let answer = api.json("PUT", &path, taken).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.more_information(), "User name already exists.");
}
