//! `/v1/tokens`: made, listed, shown, revoked.

use common::UtcMillis;
use producer::domain::Scope;
use serde_json::{Value, json};

use super::holders::{How, holder, json_with_token, with_scopes, with_token};
use crate::{
    history::site::Site,
    support::{Answer, NOBODY, ONE},
};

struct Admin {
    site: Site,
    token: String,
}

impl Admin {
    async fn new() -> Self {
        let site = Site::new().await;
        let token = with_scopes(&site, &[Scope::Admin]).await.token;
        Self { site, token }
    }

    async fn create(&self, body: Value) -> Answer {
        let request = json_with_token("POST", "/v1/tokens", &self.token, &body);
        self.site.send(request).await
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let request = with_token(method, path, Some(&self.token));
        self.site.send(request).await
    }
}

#[tokio::test]
async fn a_token_is_shown_when_it_is_made_and_never_again() {
    let admin = Admin::new().await;
    let body = json!({"name": "ci", "scopes": ["directory:read", "alerts:read"]});
    let answer = admin.create(body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.data();
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let path = format!("/v1/tokens/{id}");
    assert_eq!(answer.header("location"), Some(&*path));
    // In the order in which scopes are shown everywhere.
    assert_eq!(made["scopes"], json!(["alerts:read", "directory:read"]));
    let answer = admin
        .site
        .send(with_token("GET", "/v1/users", Some(token)))
        .await;
    assert_eq!(answer.status, 200);
    let shown = admin.ask("GET", &path).await;
    assert_eq!(shown.data()["name"], "ci");
    let listed = admin.ask("GET", "/v1/tokens").await;
    for answer in [shown, listed] {
        assert!(!answer.text().contains(token) && !answer.text().contains("\"token\""));
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_from_the_answer_on_and_stays_in_the_list() {
    let admin = Admin::new().await;
    let body = json!({"name": "ci", "scopes": ["directory:read"]});
    let made = admin.create(body).await.data();
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["token"].as_str().unwrap(),
    );
    let path = format!("/v1/tokens/{id}");
    for _ in 0..2 {
        assert_eq!(admin.ask("DELETE", &path).await.status, 204);
        let answer = admin
            .site
            .send(with_token("GET", "/v1/users", Some(token)))
            .await;
        assert_eq!(answer.envelope()["errorCode"], "TOKEN_REVOKED");
    }
    assert!(admin.ask("GET", &path).await.data()["revokedAt"].is_string());
    assert_eq!(
        admin
            .ask("DELETE", &format!("/v1/tokens/{NOBODY}"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_token_can_be_restricted_and_expire() {
    let admin = Admin::new().await;
    let answer = admin
        .create(
            json!({"name": "ci", "scopes": ["alerts:write"], "notiGroupIds": [ONE],
            "expiresAt": "2999-01-01T00:00:00Z"}),
        )
        .await;
    let made = answer.data();
    assert_eq!(made["expiresAt"], "2999-01-01T00:00:00Z");
    assert_eq!(
        made["notiGroups"],
        json!([{"id": ONE, "name": "group_name1"}])
    );
}

#[tokio::test]
async fn the_name_of_a_token_that_has_expired_is_free() {
    let admin = Admin::new().await;
    let expired = How {
        name: Some("ci"),
        scopes: &[Scope::AlertsRead],
        expires_at: Some(UtcMillis(1)),
        ..How::default()
    };
    let expired = holder(&admin.site, expired).await;
    let ci = json!({"name": "ci", "scopes": ["alerts:read"]});
    assert_eq!(admin.create(ci.clone()).await.status, 201);
    // The old one is what it was: of no use.
    let old = admin
        .ask("GET", &format!("/v1/tokens/{}", expired.id))
        .await;
    assert!(old.data()["revokedAt"].is_string());
    // The new one has not expired, so its name is taken.
    assert_eq!(admin.create(ci).await.status, 409);
}

#[tokio::test]
async fn the_first_token_made_over_the_network_lets_others_be_made() {
    let site = Site::new().await;
    let ci = json!({"name": "ci", "scopes": ["alerts:write", "alerts:read"]});
    let answer = site.post("/v1/tokens", ci.clone()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.more_information(),
        "scopes of the first API token must have admin in it, since no other could be made over the network after it; or make it with `error-notifier token create --offline`."
    );
    // Nothing was made, so it is still open.
    let admin = json!({"name": "admin", "scopes": ["admin"]});
    let made = site.post("/v1/tokens", admin).await;
    assert_eq!(made.status, 201);
    let data = made.data();
    let token = data["token"].as_str().unwrap();
    let answer = site
        .send(json_with_token("POST", "/v1/tokens", token, &ci))
        .await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn a_token_that_cannot_be_made_is_refused_with_what_to_mend() {
    let admin = Admin::new().await;
    let ci = json!({"name": "ci", "scopes": ["admin"]});
    assert_eq!(admin.create(ci.clone()).await.status, 201);
    for (body, status, said) in [
        (ci, 409, "API token name already exists."),
        (json!({"scopes": ["admin"]}), 400, "name must be given."),
        (json!({"name": "a"}), 400, "scopes must be given."),
        (
            json!({"name": "a", "scopes": []}),
            400,
            "scopes must name at least one scope.",
        ),
        (
            json!({"name": "a", "scopes": ["root"]}),
            400,
            "scopes must each be one of alerts:write, alerts:read, directory:read, directory:write, admin.",
        ),
        (
            json!({"name": "a", "scopes": ["alerts:write"], "expiresAt": "2020-01-01T00:00:00Z"}),
            400,
            "expiresAt must be a time that is yet to come.",
        ),
        (
            json!({"name": "a", "scopes": ["alerts:write"], "notiGroupIds": [NOBODY]}),
            404,
            "The requested noti group does not exist.",
        ),
        (
            json!({"name": "a", "scopes": ["alerts:write"], "notiGroupIds": []}),
            400,
            "notiGroupIds must name 1 to 100 groups, or be left out for a token that may target anybody.",
        ),
        (
            json!({"name": "a", "scopes": ["alerts:write", "admin"], "notiGroupIds": [ONE]}),
            400,
            "scopes of a token that is restricted to groups must be alerts:write alone; the others reach beyond groups.",
        ),
    ] {
        let answer = admin.create(body.clone()).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.more_information(), said, "{body}");
    }
}

#[tokio::test]
async fn tokens_are_listed_by_name_in_pages_with_all_of_one_name() {
    let admin = Admin::new().await;
    // Three of one name, two of them revoked.
    for _ in 0..3 {
        let made = admin
            .create(json!({"name": "b", "scopes": ["admin"]}))
            .await;
        if let Some(id) = made.data()["id"].as_str() {
            let twice = admin
                .create(json!({"name": "b", "scopes": ["admin"]}))
                .await;
            assert_eq!(twice.status, 409);
            let path = format!("/v1/tokens/{id}");
            assert_eq!(admin.ask("DELETE", &path).await.status, 204);
        }
    }
    admin
        .create(json!({"name": "ba", "scopes": ["admin"]}))
        .await;
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/tokens?name=b&limit=1&cursor={cursor}");
        let page = admin.ask("GET", &path).await.data();
        for item in page["items"].as_array().unwrap() {
            names.push(item["name"].as_str().unwrap().to_owned());
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    names.retain(|name| name.starts_with('b') && name.len() < 3);
    assert_eq!(names, ["b", "b", "b", "ba"]);
}
