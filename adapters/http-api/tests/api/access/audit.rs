//! Who changed what, and from where.

use producer::domain::Scope;
use serde_json::json;

use super::holders::{Holder, json_with_token, with_scopes, with_token};
use crate::{
    history::site::Site,
    support::{Api, NOBODY, ONE, TWO},
};

async fn admin() -> (Site, Holder) {
    let site = Site::new().await;
    let admin = with_scopes(&site, &[Scope::Admin]).await;
    (site, admin)
}

#[tokio::test]
async fn a_change_is_on_record_with_its_token_and_address_and_without_secrets() {
    let (site, admin) = admin().await;
    let body = json!({"name": "cat", "token": "xoxb-canary", "channelId": "C7"});
    let request = json_with_token("POST", "/v1/users", &admin.token, &body);
    let address = request
        .extensions()
        .get::<http_api::ClientAddress>()
        .map(|address| address.0.to_string());
    assert_eq!(site.send(request).await.status, 201);
    let listed = with_token("GET", "/v1/audit?limit=1", Some(&admin.token));
    let listed = site.send(listed).await;
    let last = listed.data()["items"][0].clone();
    assert_eq!(last["action"], "user.created");
    assert_eq!(last["detail"], "cat");
    assert_eq!(last["who"], admin.id.to_string());
    assert_eq!(last["address"].as_str(), address.as_deref());
    assert!(!listed.text().contains("canary"));
}

#[tokio::test]
async fn every_operation_that_changes_something_is_on_record() {
    let (site, admin) = admin().await;
    let group = json!({"notiGroupId": ONE, "userId": TWO});
    let tokens = format!("/v1/tokens/{}", admin.id);
    let requests = [
        (
            "POST",
            "/v1/noti-groups/subscribe",
            Some(&group),
            "group.subscribed",
        ),
        (
            "DELETE",
            "/v1/noti-groups/unsubscribe",
            Some(&group),
            "group.unsubscribed",
        ),
        (
            "DELETE",
            &format!("/v1/noti-groups/{ONE}"),
            None,
            "group.deleted",
        ),
        ("DELETE", &format!("/v1/users/{TWO}"), None, "user.deleted"),
        (
            "POST",
            &format!("/v1/alerts/{NOBODY}/cancel"),
            None,
            "alert.cancelled",
        ),
        (
            "POST",
            &format!("/v1/deliveries/{NOBODY}/replay"),
            None,
            "delivery.replayed",
        ),
        (
            "POST",
            "/v1/dead-letters/replay",
            Some(&json!({})),
            "dead_letters.replayed",
        ),
        (
            "DELETE",
            &format!("/v1/dead-letters/{NOBODY}"),
            None,
            "dead_letter.discarded",
        ),
    ];
    for (method, path, body, action) in requests {
        let request = match body {
            Some(body) => json_with_token(method, path, &admin.token, body),
            None => with_token(method, path, Some(&admin.token)),
        };
        site.send(request).await;
        let listed = with_token("GET", "/v1/audit?limit=1", Some(&admin.token));
        let listed = site.send(listed).await.data();
        assert_eq!(listed["items"][0]["action"], action, "{method} {path}");
    }
    // The last, since nobody may ask after it.
    let revoke = with_token("DELETE", &tokens, Some(&admin.token));
    assert_eq!(site.send(revoke).await.status, 204);
    let other = with_scopes(&site, &[Scope::Admin]).await;
    let listed = with_token("GET", "/v1/audit?limit=2", Some(&other.token));
    let listed = site.send(listed).await.data();
    assert_eq!(listed["items"][1]["action"], "token.revoked");
}

#[tokio::test]
async fn the_log_is_listed_in_pages_by_time_and_by_whom() {
    let (site, admin) = admin().await;
    let ask = async |query: &str| {
        let path = format!("/v1/audit?{query}");
        site.send(with_token("GET", &path, Some(&admin.token)))
            .await
    };
    // The import of the site, and the token.
    let first = ask("limit=1").await.data();
    assert_eq!(first["items"][0]["action"], "token.created");
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = ask(&format!("limit=1&cursor={cursor}")).await.data();
    assert_eq!(second["items"][0]["action"], "directory.imported");
    assert!(second["nextCursor"].is_null());
    assert_eq!(ask("who=anybody").await.data()["items"], json!([]));
    let all = ask("who=local").await.data();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let since = ask("since=2999-01-01T00:00:00Z").await.data();
    assert_eq!(since["items"], json!([]));
    for (query, said) in [
        (
            "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "until must not be before since.",
        ),
        ("limit=0", "limit must be a number from 1 to 1000."),
        (
            "cursor=x",
            "cursor must be the nextCursor of this list's page before.",
        ),
        ("who=", "who must be 1 to 200 characters long, and has 0."),
    ] {
        let answer = ask(query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.more_information(), said);
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_read_now_is_503() {
    let answer = Api::new().get("/v1/audit").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.envelope()["errorCode"], "AUDIT_UNAVAILABLE");
}
