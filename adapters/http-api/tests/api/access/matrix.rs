//! Every operation and every kind of token, by the one table of what operations need.

use axum::{body::Body, http::Response};
use common::UtcMillis;
use http_api::{Access, Needs, OpenTo, RULES, Rule};
use http_body_util::BodyExt;
use producer::domain::{ApiTokenSecret, Scope};
use serde_json::Value;
use tower::ServiceExt;

use super::holders::{How, holder, revoked, with_scopes, with_token};
use crate::{history::site::Site, support::NOBODY};

/// What a request shows, and what is expected of it.
struct Column {
    name: String,
    token: Option<String>,
    shown: Shown,
}

enum Shown {
    /// Nothing that is taken: 401 with this code.
    Refused(&'static str),
    /// A token with this scope alone.
    Scope(Scope),
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Admitted,
    Refused(u16, String),
}

async fn columns(site: &Site) -> Vec<Column> {
    let column = |name: &str, token: Option<String>, shown| Column {
        name: name.to_owned(),
        token,
        shown,
    };
    let expired = How {
        scopes: &Scope::ALL,
        expires_at: Some(UtcMillis(1)),
        ..How::default()
    };
    let expired = holder(site, expired).await;
    let revoked = revoked(site).await;
    let unknown = ApiTokenSecret::generate().text().expose().to_owned();
    let whole = with_scopes(site, &Scope::ALL).await.token;
    let cut = whole[..whole.len() - 1].to_owned();
    let mut columns = vec![
        column("no token", None, Shown::Refused("TOKEN_MISSING")),
        column(
            "a wrong token",
            Some(unknown),
            Shown::Refused("TOKEN_UNKNOWN"),
        ),
        column("a cut token", Some(cut), Shown::Refused("TOKEN_MALFORMED")),
        column(
            "an expired token",
            Some(expired.token),
            Shown::Refused("TOKEN_EXPIRED"),
        ),
        column(
            "a revoked token",
            Some(revoked.token),
            Shown::Refused("TOKEN_REVOKED"),
        ),
    ];
    for scope in Scope::ALL {
        let holder = with_scopes(site, &[scope]).await;
        columns.push(column(
            scope.as_str(),
            Some(holder.token),
            Shown::Scope(scope),
        ));
    }
    columns
}

fn expected(rule: &Rule, shown: &Shown, open_metrics: bool) -> Outcome {
    let needed = match rule.needs {
        Needs::Nothing => return Outcome::Admitted,
        Needs::MetricsOpen if open_metrics => return Outcome::Admitted,
        Needs::MetricsOpen => None,
        Needs::Scope(scope) | Needs::Unrestricted(scope) => Some(scope),
    };
    match (shown, needed) {
        (Shown::Refused(code), _) => Outcome::Refused(401, (*code).to_owned()),
        (Shown::Scope(_), None) | (Shown::Scope(Scope::Admin), _) => Outcome::Admitted,
        (Shown::Scope(has), Some(needed)) if *has == needed => Outcome::Admitted,
        (Shown::Scope(_), Some(_)) => Outcome::Refused(403, "SCOPE_MISSING".to_owned()),
    }
}

/// A path of the table with ids that nothing has.
fn path(rule: &Rule) -> String {
    rule.path
        .replace("{id}", NOBODY)
        .replace("{destinationId}", NOBODY)
        .replace("{*rest}", "index.html")
}

async fn outcome(response: Response<Body>) -> Outcome {
    let status = response.status().as_u16();
    if !matches!(status, 401 | 403 | 405 | 429) {
        return Outcome::Admitted;
    }
    let challenge = response.headers().get("www-authenticate").cloned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let envelope: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(envelope["httpCode"], status);
    let challenge = challenge.unwrap();
    let challenge = challenge.to_str().unwrap();
    assert!(challenge.starts_with("Bearer realm="), "{challenge}");
    Outcome::Refused(status, envelope["errorCode"].as_str().unwrap().to_owned())
}

async fn check_every_pair(open_metrics: bool) {
    let access = Access {
        open_to: OpenTo::Nobody,
        open_metrics,
    };
    let site = Site::accessed(access).await;
    for column in columns(&site).await {
        for rule in RULES {
            let request = with_token(rule.method.as_str(), &path(rule), column.token.as_deref());
            let response = site.router.clone().oneshot(request).await.unwrap();
            let found = outcome(response).await;
            let wanted = expected(rule, &column.shown, open_metrics);
            assert_eq!(
                found, wanted,
                "{} {} with {}",
                rule.method, rule.path, column.name
            );
        }
    }
}

#[tokio::test]
async fn every_operation_answers_every_kind_of_token_as_the_table_says() {
    check_every_pair(true).await;
}

#[tokio::test]
async fn metrics_that_are_not_open_need_a_token_of_any_scope() {
    check_every_pair(false).await;
}
