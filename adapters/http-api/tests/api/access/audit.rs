//! Who changed what, and from where.

use http_api::{RULES, Rule};
use producer::domain::Scope;
use serde_json::{Value, json};

use super::holders::{Holder, json_with_token, lines_with_token, with_scopes, with_token};
use crate::{
    history::site::{Site, each},
    support::{Api, NOBODY, ONE, TWO},
};

const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

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

/// What there is to change.
struct Things {
    alert: String,
    /// Two of its deliveries, which are dead.
    dead: Vec<String>,
    /// A token that may be revoked.
    token: String,
}

/// A request of that operation which changes something: its path, its body, and what the
/// audit log calls it; `None` for an operation that changes nothing, or whose record is the
/// alert itself. A new operation has to be added here.
fn changing(rule: &Rule, things: &Things) -> Option<(String, Value, &'static str)> {
    let Things { alert, dead, token } = things;
    let destinations = format!("/v1/users/{ONE}/destinations");
    let hook = |url: &str| json!({"kind": "webhook", "address": url, "credential": HOOK_SECRET});
    let pair = |user: &str| json!({"notiGroupId": ONE, "userId": user});
    let user = json!({"name": "cat", "token": "t", "channelId": "C7"});
    let group = json!({"name": "operators", "desc": "who runs it"});
    let (path, body, action) = match (rule.method.as_str(), rule.path) {
        ("GET", _) | ("POST", "/v1/alerts") => return None,
        ("POST", "/v1/alerts/{id}/cancel") => (
            format!("/v1/alerts/{alert}/cancel"),
            Value::Null,
            "alert.cancelled",
        ),
        ("POST", "/v1/alerts/replay") => {
            let body = json!({"since": "2026-01-01T00:00:00Z", "address": "elsewhere"});
            (rule.path.into(), body, "alerts.replayed")
        }
        ("POST", "/v1/deliveries/{id}/replay") => (
            format!("/v1/deliveries/{}/replay", dead[0]),
            Value::Null,
            "delivery.replayed",
        ),
        ("DELETE", "/v1/dead-letters/{id}") => (
            format!("/v1/dead-letters/{}", dead[1]),
            Value::Null,
            "dead_letter.discarded",
        ),
        ("POST", "/v1/dead-letters/replay") => {
            (rule.path.into(), json!({}), "dead_letters.replayed")
        }
        ("POST", "/v1/noti-groups") => (rule.path.into(), group, "group.created"),
        ("PUT", "/v1/noti-groups/{id}") => (
            format!("/v1/noti-groups/{NOBODY}"),
            json!({"name": "admins", "desc": "others"}),
            "group.created",
        ),
        ("DELETE", "/v1/noti-groups/{id}") => (
            format!("/v1/noti-groups/{NOBODY}"),
            Value::Null,
            "group.deleted",
        ),
        ("POST", "/v1/noti-groups/subscribe") => (rule.path.into(), pair(TWO), "group.subscribed"),
        ("DELETE", "/v1/noti-groups/unsubscribe") => {
            (rule.path.into(), pair(TWO), "group.unsubscribed")
        }
        ("POST", "/v1/noti-groups/unsubscribe") => {
            (rule.path.into(), pair(ONE), "group.unsubscribed")
        }
        ("POST", "/v1/users") => (rule.path.into(), user, "user.created"),
        ("PUT", "/v1/users/{id}") => (
            format!("/v1/users/{ONE}"),
            json!({"name": "dot", "channelId": "C8"}),
            "user.updated",
        ),
        ("DELETE", "/v1/users/{id}") => (format!("/v1/users/{TWO}"), Value::Null, "user.deleted"),
        ("POST", "/v1/users/{id}/destinations") => (
            destinations,
            hook("https://example.org/1"),
            "destination.created",
        ),
        ("PUT", "/v1/users/{id}/destinations/{destinationId}") => {
            let path = format!("{destinations}/{NOBODY}");
            (path, hook("https://example.org/2"), "destination.created")
        }
        ("DELETE", "/v1/users/{id}/destinations/{destinationId}") => (
            format!("{destinations}/{NOBODY}"),
            Value::Null,
            "destination.deleted",
        ),
        ("POST", "/v1/directory") => {
            let line = json!({"type": "user", "id": NOBODY, "name": "eve", "token": "t", "channelId": "C9"});
            let group = json!({"type": "group", "id": ONE, "name": "imported", "desc": "imported", "users": []});
            let lines = json!(format!("{line}\n{group}\n"));
            (rule.path.into(), lines, "directory.imported")
        }
        ("POST", "/v1/tokens") => (
            rule.path.into(),
            json!({"name": "ci", "scopes": ["alerts:write"]}),
            "token.created",
        ),
        ("DELETE", "/v1/tokens/{id}") => {
            (format!("/v1/tokens/{token}"), Value::Null, "token.revoked")
        }
        ("POST", "/v1/secrets/rotate") => (rule.path.into(), Value::Null, "secrets.rotated"),
        (method, path) => panic!("nobody has said what {method} {path} changes"),
    };
    Some((path, body, action))
}

#[tokio::test]
async fn every_operation_that_changes_something_is_one_line_of_the_record() {
    let site = Site::new().await;
    let dead = site.dead_letters().await;
    let alerts = site.get("/v1/alerts").await.data();
    let admin = with_scopes(&site, &[Scope::Admin]).await;
    let things = Things {
        alert: each(&alerts, "id").remove(0),
        dead,
        token: with_scopes(&site, &[Scope::AlertsRead])
            .await
            .id
            .to_string(),
    };
    let last = async || {
        let listed = with_token("GET", "/v1/audit?limit=1", Some(&admin.token));
        site.send(listed).await.data()["items"][0].clone()
    };
    for rule in RULES {
        let Some((path, body, action)) = changing(rule, &things) else {
            continue;
        };
        let method = rule.method.as_str();
        let before = last().await["sequence"].as_u64().unwrap();
        let request = match body {
            Value::Null => with_token(method, &path, Some(&admin.token)),
            Value::String(lines) => lines_with_token(&path, &admin.token, lines),
            body => json_with_token(method, &path, &admin.token, &body),
        };
        let answer = site.send(request).await;
        assert!(
            answer.status.is_success(),
            "{method} {path}: {}",
            answer.text()
        );
        let line = last().await;
        assert_eq!(line["action"], action, "{method} {path}");
        assert_eq!(line["who"], admin.id.to_string(), "{method} {path}");
        assert_eq!(
            line["sequence"].as_u64().unwrap(),
            before + 1,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_order_about_what_does_not_exist_is_no_line() {
    let (site, admin) = admin().await;
    for (method, path) in [
        ("POST", format!("/v1/alerts/{NOBODY}/cancel")),
        ("POST", format!("/v1/deliveries/{NOBODY}/replay")),
        ("DELETE", format!("/v1/dead-letters/{NOBODY}")),
    ] {
        let answer = site
            .send(with_token(method, &path, Some(&admin.token)))
            .await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let listed = with_token("GET", "/v1/audit?limit=1", Some(&admin.token));
    let listed = site.send(listed).await.data();
    assert_eq!(listed["items"][0]["action"], "token.created");
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
