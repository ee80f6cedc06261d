//! While there is no token, and when the first one comes.

use axum::{body::Body, http::Request};
use http_api::{Access, HttpMetrics, LogHttp, OpenTo, Operations, Readiness, operations_router};
use producer::domain::Scope;
use serde_json::json;
use std::sync::Arc;
use tower::ServiceExt;

use super::holders::{revoked, with_scopes, with_token};
use crate::{
    history::site::Site,
    support::{Answer, Api, FakeDestinations, request},
};

fn open(open_to: OpenTo) -> Access {
    Access {
        open_to,
        open_metrics: true,
    }
}

fn from_page(path: &str, host: &str) -> Request<Body> {
    let request = request("GET", path).header("host", host);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn without_tokens_an_api_of_this_machine_is_open_to_its_programs() {
    let api = Api::new();
    let answer = api.send(from_page("/v1/users", "localhost:8080")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(api.get("/v1/users").await.status, 200);
}

#[tokio::test]
async fn without_tokens_an_api_of_this_machine_is_closed_to_web_pages() {
    let api = Api::new();
    for path in ["/v1/users", "/v1/tokens", "/v1/destinations"] {
        let answer = api.send(from_page(path, "attacker.example")).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.envelope()["errorCode"], "FOREIGN_PAGE");
    }
    // A page's own request to 127.0.0.1, whose answer it cannot read.
    let replay = request("POST", "/v1/alerts/replay")
        .header("host", "127.0.0.1:8080")
        .header("origin", "https://attacker.example");
    let answer = api.send(replay.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.envelope()["errorCode"], "FOREIGN_PAGE");
    // Health says nothing that is worth the trouble.
    let answer = api
        .send(from_page("/health/live", "attacker.example"))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_api_that_is_open_to_everybody_answers_under_any_name() {
    let site = Site::accessed(open(OpenTo::Everybody)).await;
    let answer = site.send(from_page("/v1/users", "alerts.example")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_api_that_is_open_to_nobody_answers_nobody_without_a_token() {
    let site = Site::accessed(open(OpenTo::Nobody)).await;
    let answer = site.get("/v1/users").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.envelope()["errorCode"], "TOKEN_MISSING");
    assert_eq!(site.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn the_first_token_closes_the_api_and_its_end_does_not_open_it() {
    for open_to in [OpenTo::ThisMachine, OpenTo::Everybody] {
        let site = Site::accessed(open(open_to)).await;
        assert_eq!(site.get("/v1/users").await.status, 200);
        revoked(&site).await;
        assert_eq!(site.get("/v1/users").await.status, 401, "{open_to:?}");
    }
}

#[tokio::test]
async fn with_tokens_an_api_answers_under_any_name() {
    let site = Site::new().await;
    let holder = with_scopes(&site, &[Scope::DirectoryRead]).await;
    let mut request = with_token("GET", "/v1/users", Some(&holder.token));
    let host = "alerts.example".parse().unwrap();
    request.headers_mut().insert("host", host);
    assert_eq!(site.send(request).await.status, 200);
}

#[tokio::test]
async fn an_unknown_path_is_one_for_everybody() {
    let site = Site::accessed(open(OpenTo::Nobody)).await;
    let answer = site.get("/nowhere").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.envelope()["errorCode"], "NOT_FOUND");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_405_to_whoever_is_let_in() {
    let answer = Api::new()
        .send(request("PATCH", "/v1/users").body(Body::empty()).unwrap())
        .await;
    assert_eq!(answer.status, 405);
    let site = Site::accessed(open(OpenTo::Nobody)).await;
    let admin = with_scopes(&site, &[Scope::Admin]).await;
    let asked = |token: Option<&str>| with_token("PATCH", "/v1/users", token);
    assert_eq!(site.send(asked(Some(&admin.token))).await.status, 405);
    assert_eq!(site.send(asked(None)).await.status, 401);
}

/// What a process without an API answers there.
async fn of_operations(access: Access, path: &str) -> Answer {
    use http_body_util::BodyExt;
    let process = Operations {
        readiness: Readiness::default(),
        health: Arc::new(|| Ok(())),
        registry: Arc::default(),
        destinations: Arc::new(FakeDestinations::default()),
    };
    let router = operations_router(process, access, HttpMetrics::default(), LogHttp::Off);
    let request = from_page(path, "consumer.example");
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

#[tokio::test]
async fn a_process_without_tokens_tells_of_destinations_only_where_it_is_open() {
    // The fake delivers nothing, and says so to whom it may.
    for (open_to, status) in [
        (OpenTo::Everybody, 503),
        (OpenTo::Nobody, 403),
        (OpenTo::ThisMachine, 403),
    ] {
        let answer = of_operations(open(open_to), "/v1/destinations").await;
        assert_eq!(answer.status, status, "{open_to:?}");
        for path in ["/health/live", "/health/ready", "/metrics"] {
            assert_eq!(of_operations(open(open_to), path).await.status, 200);
        }
    }
    let closed = Access {
        open_to: OpenTo::Nobody,
        open_metrics: false,
    };
    let answer = of_operations(closed, "/metrics").await;
    assert_eq!(answer.envelope()["errorCode"], "KEEPS_NO_TOKENS");
}

#[tokio::test]
async fn a_token_in_another_form_is_malformed() {
    let site = Site::new().await;
    let token = with_scopes(&site, &Scope::ALL).await.token;
    let ask = async |values: &[String]| {
        let mut request = with_token("GET", "/v1/users", None);
        for value in values {
            let value = value.parse().unwrap();
            request.headers_mut().append("authorization", value);
        }
        site.send(request).await
    };
    for values in [
        vec![token.clone()],
        vec![format!("Basic {token}")],
        vec![format!("Bearer")],
        vec![format!("Bearer {token} x")],
    ] {
        let answer = ask(&values).await;
        assert_eq!(answer.status, 401, "{values:?}");
        assert_eq!(answer.envelope()["errorCode"], "TOKEN_MALFORMED");
        assert_eq!(
            answer.header("www-authenticate"),
            Some(r#"Bearer realm="error-notifier", error="invalid_token""#)
        );
    }
    assert_eq!(ask(&[format!("bearer {token}")]).await.status, 200);
    // As any header that says who asks must.
    let twice = ask(&[format!("Bearer {token}"), format!("Bearer {token}")]).await;
    assert_eq!(twice.status, 400);
    let once = "the header authorization must stand there once.";
    assert!(twice.text().contains(once), "{}", twice.text());
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let site = Site::new().await;
    let holder = with_scopes(&site, &[Scope::AlertsRead]).await;
    let answer = site
        .send(with_token("GET", "/v1/users", Some(&holder.token)))
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.envelope(),
        json!({
            "httpCode": 403,
            "httpMessage": "Forbidden",
            "moreInformation": "This needs an API token with the scope directory:read.",
            "errorCode": "SCOPE_MISSING",
        })
    );
    assert_eq!(
        answer.header("www-authenticate"),
        Some(
            r#"Bearer realm="error-notifier", error="insufficient_scope", scope="directory:read""#
        )
    );
}
