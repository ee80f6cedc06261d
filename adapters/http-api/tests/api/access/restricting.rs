//! Tokens whose alerts may be for some groups alone, and whose alerts are whose.

use producer::domain::Scope;
use serde_json::{Value, json};

use super::holders::{Holder, How, holder, json_with_token, with_scopes, with_token};
use crate::{
    history::site::Site,
    support::{Answer, NOBODY, ONE},
};

async fn restricted(site: &Site) -> Holder {
    let how = How {
        name: None,
        scopes: &[Scope::AlertsWrite],
        groups: Some(vec![ONE.parse().unwrap()]),
        expires_at: None,
    };
    holder(site, how).await
}

fn alert(target: &[&str]) -> Value {
    json!({"target": target, "severity": "low", "message": "node1 down"})
}

async fn post(site: &Site, path: &str, holder: &Holder, target: &[&str]) -> Answer {
    site.send(json_with_token("POST", path, &holder.token, &alert(target)))
        .await
}

#[tokio::test]
async fn a_restricted_token_posts_to_its_group_and_is_told_what_it_may_target() {
    let site = Site::new().await;
    let holder = restricted(&site).await;
    for path in ["/v1/alerts", "/v1/alerts?dryRun=true"] {
        let answer = post(&site, path, &holder, &["@@group_name1"]).await;
        assert_eq!(answer.data()["userCount"], 1);
        for target in ["@all", "@user_name1", "@@group_name2", "@@nobody"] {
            let answer = post(&site, path, &holder, &["@@group_name1", target]).await;
            assert_eq!(answer.status, 403);
            assert_eq!(answer.envelope()["errorCode"], "TARGET_NOT_ALLOWED");
            assert_eq!(
                answer.more_information(),
                format!("This API token may only target @@group_name1, and not {target}.")
            );
        }
    }
}

#[tokio::test]
async fn a_restricted_token_does_nothing_else() {
    let site = Site::new().await;
    let holder = restricted(&site).await;
    for (method, path) in [
        ("POST", format!("/v1/alerts/{NOBODY}/cancel")),
        ("POST", "/v1/alerts/replay".to_owned()),
        ("POST", format!("/v1/deliveries/{NOBODY}/replay")),
        ("POST", "/v1/dead-letters/replay".to_owned()),
        ("DELETE", format!("/v1/dead-letters/{NOBODY}")),
    ] {
        let answer = site
            .send(with_token(method, &path, Some(&holder.token)))
            .await;
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.envelope()["errorCode"], "TOKEN_RESTRICTED");
    }
}

#[tokio::test]
async fn an_alert_shows_the_token_that_it_was_posted_with() {
    let site = Site::new().await;
    let before = site.alert("@all", "low", "x").await;
    let holder = with_scopes(&site, &[Scope::AlertsWrite, Scope::AlertsRead]).await;
    let posted = post(&site, "/v1/alerts", &holder, &["@all"]).await.data();
    let posted = posted["alertId"].as_str().unwrap();
    let shown = async |id: &str| {
        let path = format!("/v1/alerts/{id}");
        site.send(with_token("GET", &path, Some(&holder.token)))
            .await
            .data()
    };
    assert_eq!(shown(posted).await["callerId"], holder.id.to_string());
    assert_eq!(shown(&before).await.get("callerId"), None);
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_tokens_names_two_requests() {
    let site = Site::new().await;
    let (one, other) = (
        with_scopes(&site, &[Scope::AlertsWrite]).await,
        with_scopes(&site, &[Scope::AlertsWrite]).await,
    );
    let post = async |holder: &Holder, target: &str| {
        let mut request = json_with_token("POST", "/v1/alerts", &holder.token, &alert(&[target]));
        let key = "deploy-42".parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        site.send(request).await
    };
    let first = post(&one, "@all").await.data()["alertId"].clone();
    assert_eq!(post(&one, "@all").await.data()["alertId"], first);
    // Another request of another caller: no conflict, and nobody else's answer.
    let others = post(&other, "@user_name1").await;
    assert_eq!(others.status, 200);
    assert_ne!(others.data()["alertId"], first);
}
