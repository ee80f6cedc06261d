//! What is done with secrets: all that holds one is filled, used, changed and mistaken.

use serde_json::{Value, json};
use tests::{
    harness::{Mockup, until},
    search::Search,
};

use crate::caller::Caller;

/// The secrets that directories begin with.
pub(crate) fn directory(search: &mut Search) -> tests::harness::Directory {
    let mut directory = tests::harness::Directory::of_users(2);
    for (user, place) in directory
        .users
        .iter_mut()
        .zip(["a user's token", "the operators' token"])
    {
        user.token = search.slack_token_of(place);
    }
    directory
}

/// Gives the first user a webhook, and the mockup its secret.
pub(crate) fn add_hook(caller: &mut Caller, mockup: &Mockup, search: &mut Search, user: &str) {
    let secret = search.webhook_secret("a webhook");
    mockup.give_hook("canary", &secret);
    let address = format!("{}/_mock/hooks/canary", mockup.url());
    let body = json!({"kind": "webhook", "address": address, "credential": secret});
    let path = format!("/v1/users/{user}/destinations");
    assert_eq!(caller.json("POST", &path, &body).0, 201);
}

/// Changes a token twice, so that one is retired.
pub(crate) fn change_tokens(caller: &mut Caller, search: &mut Search) {
    for place in ["a token that was replaced", "the token after it"] {
        let path = "/v1/users/aaaaaaaa-0000-0000-0000-00000000000a";
        let token = search.slack_token_of(place);
        let user = json!({"name": "changed", "token": token, "channelId": "CC"});
        let (status, _) = caller.json("PUT", path, &user);
        assert!(status == 201 || status == 200, "{status}");
    }
}

/// Requests that fail with a secret in them.
pub(crate) fn make_mistakes(caller: &mut Caller, search: &mut Search) {
    let mut wrong = |search: &mut Search, text: &dyn Fn(&str) -> String, expected: u16| {
        let body = text(&json!(search.secret("a request that failed")).to_string());
        let (status, _) = caller.send("POST", "/v1/users", &[], body.as_bytes());
        assert_eq!(status, expected, "{body}");
    };
    wrong(search, &|s| format!("{{\"token\":{s}"), 400);
    wrong(
        search,
        &|s| format!("{{\"token\":[{s}],\"name\":\"n\",\"channelId\":\"C\"}}"),
        400,
    );
    wrong(
        search,
        &|s| format!("{{\"token\":{s},\"name\":7,\"channelId\":\"C\"}}"),
        400,
    );
    wrong(
        search,
        &|s| format!("{{\"credential\":{s},\"name\":\"all\"}}"),
        400,
    );
    let bearer = format!("Bearer en_{}", search.secret("a wrong API token"));
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(caller.send("GET", "/v1/users", &headers, b"").0, 401);
    let alert = json!({"target": ["@nobody"], "severity": "low", "message": "m",
        "password": search.secret("an unknown field")});
    assert_eq!(caller.json("POST", "/v1/alerts", &alert).0, 200);
}

/// An alert that Slack refuses, with the first user's token repeated in its answer.
pub(crate) fn be_refused(caller: &mut Caller, mockup: &Mockup, token: &str) {
    mockup.set_faults(&json!({"channels": {"C1": {"error": token}}}));
    let failed = mockup.stats().failed;
    alert(caller, "refused");
    until("a refusal", || mockup.stats().failed > failed);
    mockup.set_faults(&json!({}));
}

/// Asks for all that can be asked for.
pub(crate) fn look_at_everything(caller: &mut Caller) {
    for path in [
        "/v1/users",
        "/v1/noti-groups",
        "/v1/directory",
        "/v1/tokens",
        "/v1/audit",
        "/v1/alerts",
        "/v1/dead-letters",
        "/health/ready",
        "/metrics",
        "/v3/api-docs",
    ] {
        assert_eq!(caller.get(path).0, 200, "{path}");
    }
    let (_, listed) = caller.get("/v1/alerts");
    let ids = listed["data"]["items"].as_array().unwrap().clone();
    for id in ids.iter().filter_map(|alert| alert["id"].as_str()) {
        assert_eq!(caller.get(&format!("/v1/alerts/{id}")).0, 200);
    }
}

/// An alert to everybody; its id.
pub(crate) fn alert(caller: &mut Caller, message: &str) -> String {
    let body = json!({"target": ["@all"], "severity": "high", "message": message});
    let (status, answer) = caller.json("POST", "/v1/alerts", &body);
    assert_eq!(status, 200, "{answer}");
    text(&answer["data"]["alertId"])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
