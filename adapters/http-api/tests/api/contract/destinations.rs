//! The places that a user is told at.

use serde_json::{Value, json};

use super::case::{NO_USER, case};
use crate::support::{Api, NOBODY, ONE};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FIRST: &str =
    "The first destination is the user's token and channelId: change it with PUT /v1/users/{id}.";

fn at(rest: &str) -> String {
    format!("/v1/users/{ONE}/destinations{rest}")
}

fn hook(url: &str) -> Value {
    json!({"kind": "webhook", "address": url, "credential": SECRET})
}

#[tokio::test]
async fn destinations_are_created_and_refused_as_documented() {
    let path = at("");
    let post = |says, body: Value, status| case(says, "POST", &path, body, status);
    let with = |field: &str, value: Value| {
        let mut body = hook("https://example.org/hook");
        body[field] = value;
        body
    };
    let of = |user: &str| format!("/v1/users/{user}/destinations");
    let one = at(&format!("/{NOBODY}"));
    let first = at(&format!("/{ONE}"));
    let cases = [
        post("a webhook", hook("https://example.org/hook"), 201),
        post(
            "a webhook on http is for the sender to judge",
            hook("http://example.org/"),
            201,
        ),
        post(
            "another Slack channel",
            json!({"kind": "slack", "address": "C2", "credential": "t"}),
            201,
        ),
        post("no kind", with("kind", Value::Null), 400).informs("kind must be given."),
        post("unknown kind", with("kind", json!("mail")), 400)
            .informs("kind must be `slack` or `webhook`."),
        post("no address", with("address", Value::Null), 400).informs("address must be given."),
        post("not a URL", with("address", json!("C1")), 400)
            .informs("address must be a URL such as https://example.org/hook."),
        post("another scheme", with("address", json!("gopher://a/")), 400)
            .informs("address must begin with https:// or http://."),
        post(
            "a password in the URL",
            with("address", json!("https://a:b@c/")),
            400,
        )
        .informs("address must not hold a user or a password."),
        post("no credential", with("credential", Value::Null), 400)
            .informs("credential must be given when a destination is created or its kind changes."),
        post(
            "a token is no webhook's secret",
            with("credential", json!("xoxb-1")),
            400,
        )
        .informs("credential of a webhook must be `whsec_` followed by 24 to 64 bytes in base64."),
        post("order 1", with("order", json!(1)), 201),
        post("order 15", with("order", json!(15)), 201),
        post("the same as a float", with("order", json!(15.0)), 201),
        post("order 1.5", with("order", json!(1.5)), 400),
        post("order 0", with("order", json!(0)), 400).informs("order must be 1 to 15."),
        post("order 16", with("order", json!(16)), 400).informs("order must be 1 to 15."),
        post("order -1", with("order", json!(-1)), 400).informs("order must be 1 to 15."),
        post(
            "the first once more",
            json!({"kind": "slack", "address": "test_channel_id1", "credential": "t"}),
            409,
        )
        .informs("The user has this destination already."),
        case("no such user", "GET", &of(NOBODY), Value::Null, 404).informs(NO_USER),
        case("no such user", "POST", &of(NOBODY), hook("https://a/"), 404).informs(NO_USER),
        case("malformed user id", "GET", &of("1"), Value::Null, 400),
        case("malformed id", "GET", &at("/1"), Value::Null, 400),
        case("no such destination", "GET", &one, Value::Null, 404)
            .informs("The requested destination does not exist."),
        case("no such destination", "DELETE", &one, Value::Null, 404)
            .informs("The requested destination does not exist."),
        case("the first stays", "DELETE", &first, Value::Null, 409).informs(FIRST),
        case(
            "the first is the user's",
            "PUT",
            &first,
            hook("https://a/"),
            409,
        )
        .informs(FIRST),
    ];
    for case in cases {
        case.hold().await;
    }
}

#[tokio::test]
async fn a_created_destination_is_at_its_location_and_its_credential_never_comes_back() {
    let api = Api::new();
    let body = hook("HTTPS://Example.org:443/hook").to_string();
    let answer = api.json("POST", &at(""), body).await;
    let data = answer.data();
    let path = at(&format!("/{}", data["id"].as_str().unwrap()));
    assert_eq!(answer.header("location"), Some(path.as_str()));
    let expected = json!({"id": data["id"], "kind": "webhook",
        "address": "https://example.org/hook", "credentialHint": "LaSw", "order": 1});
    assert_eq!(data, expected);
    assert_eq!(api.get(&path).await.data(), data);
    assert_eq!(
        api.get(&at("")).await.data(),
        json!({"destinations": [
            {"id": ONE, "kind": "slack", "address": "test_channel_id1", "order": 0},
            expected,
        ]})
    );
    assert_eq!(api.json("DELETE", &path, "").await.status, 204);
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test]
async fn putting_a_destination_creates_replaces_moves_and_keeps_a_credential_left_out() {
    let api = Api::new();
    let path = at(&format!("/{NOBODY}"));
    let answer = api
        .json("PUT", &path, hook("https://a/1").to_string())
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("location"), Some(path.as_str()));
    api.json("POST", &at(""), hook("https://a/2").to_string())
        .await;
    let moved = json!({"kind": "webhook", "address": "https://a/3", "order": 2}).to_string();
    let answer = api.json("PUT", &path, moved).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.data(),
        json!({"id": NOBODY, "kind": "webhook", "address": "https://a/3",
            "credentialHint": "LaSw", "order": 2})
    );
}

#[tokio::test]
async fn the_users_channel_cannot_become_a_further_destination_of_theirs() {
    let api = Api::new();
    let body = json!({"kind": "slack", "address": "C9", "credential": "t"}).to_string();
    api.json("POST", &at(""), body).await;
    let user = json!({"name": "user_name1", "channelId": "C9"}).to_string();
    let answer = api.json("PUT", &format!("/v1/users/{ONE}"), user).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.envelope()["errorCode"], "DESTINATION_TAKEN");
}
