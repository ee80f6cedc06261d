//! How many requests one address may send.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
};
use http_api::{Clients, Rate, TrustedProxies};
use tower::ServiceExt;

use crate::support::{Api, socket};

/// So slow that no token comes while a test runs.
const SLOW: Rate = Rate {
    per_second: 0.001,
    burst: 3,
};

/// An API that takes this machine for a proxy: so a test can come from anywhere.
fn behind_a_proxy() -> Clients {
    Clients {
        proxies: TrustedProxies::new(|address| address.is_loopback()),
        address_rate: Some(SLOW),
        token_rate: None,
    }
}

struct Site {
    server: socket::Running,
}

impl Site {
    async fn start(clients: Clients) -> Self {
        let api = Api::with_clients(clients);
        Self {
            server: socket::start_api(api, socket::patient()).await,
        }
    }

    async fn get(&self, path: &str, from: Option<&str>) -> (String, serde_json::Value) {
        let forwarded = from.map_or(String::new(), |from| format!("x-forwarded-for: {from}\r\n"));
        self.get_with(path, &forwarded).await
    }

    /// With these headers, each of which ends its line.
    async fn get_with(&self, path: &str, headers: &str) -> (String, serde_json::Value) {
        let mut stream = self.server.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        socket::post(&mut stream, &request).await
    }
}

#[tokio::test]
async fn a_request_too_many_is_429_and_says_when_to_come_again() {
    let site = Site::start(behind_a_proxy()).await;
    for left in [2, 1, 0] {
        let (head, _) = site.get("/v1/users", Some("192.0.2.1")).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.contains("\r\nratelimit-policy: \"address\";q=3;w=3000\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("\r\nratelimit: \"address\";r={left};t=")),
            "{head}"
        );
    }
    let (head, body) = site.get("/v1/users", Some("192.0.2.1")).await;
    assert!(head.starts_with("HTTP/1.1 429"), "{head}");
    assert!(head.contains("\r\nretry-after: 1000\r\n"), "{head}");
    assert!(
        head.contains("\r\nratelimit: \"address\";r=0;t=3000\r\n"),
        "{head}"
    );
    assert_eq!(body["errorCode"], "TOO_MANY_REQUESTS");
    assert_eq!(body["httpCode"], 429);
}

#[tokio::test]
async fn one_address_does_not_use_up_what_another_has() {
    let site = Site::start(behind_a_proxy()).await;
    for _ in 0..4 {
        site.get("/v1/users", Some("192.0.2.1")).await;
    }
    let (head, _) = site.get("/v1/users", Some("192.0.2.2")).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[tokio::test]
async fn what_a_client_claims_before_its_proxy_gets_it_no_other_bucket() {
    let site = Site::start(behind_a_proxy()).await;
    for claim in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        site.get("/v1/users", Some(&format!("{claim}, 192.0.2.1")))
            .await;
    }
    let (head, _) = site.get("/v1/users", Some("203.0.113.4, 192.0.2.1")).await;
    assert!(head.starts_with("HTTP/1.1 429"), "{head}");
}

#[tokio::test]
async fn this_machine_may_send_any_number_and_hears_of_no_limit() {
    let clients = Clients {
        address_rate: Some(SLOW),
        ..Clients::default()
    };
    let site = Site::start(clients).await;
    for _ in 0..10 {
        // Nor does it get a limit by what it claims, where it is no proxy.
        let (head, _) = site.get("/v1/users", Some("192.0.2.1")).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(!head.contains("ratelimit"), "{head}");
    }
}

#[tokio::test]
async fn whether_the_process_lives_may_always_be_asked() {
    let site = Site::start(behind_a_proxy()).await;
    for _ in 0..10 {
        for path in ["/health/live", "/health/ready"] {
            let (head, _) = site.get(path, Some("192.0.2.1")).await;
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        }
    }
}

/// An API behind a proxy that knows two tokens, each of which may be used three times, and
/// which each are in the header of a request.
async fn with_tokens() -> (Site, [String; 2]) {
    let clients = Clients {
        address_rate: None,
        token_rate: Some(SLOW),
        ..behind_a_proxy()
    };
    let api = Api::with_clients(clients);
    let tokens = [api.token("one").await, api.token("other").await];
    let server = socket::start_api(api, socket::patient()).await;
    let headers = tokens.map(|token| format!("authorization: Bearer {token}\r\n"));
    (Site { server }, headers)
}

#[tokio::test]
async fn a_token_has_one_bucket_wherever_it_is_used() {
    let (site, [one, _]) = with_tokens().await;
    let from = |address: &str| format!("{one}x-forwarded-for: {address}\r\n");
    for (left, headers) in [
        (2, from("192.0.2.1")),
        (1, from("192.0.2.2")),
        // This machine itself.
        (0, one.clone()),
    ] {
        let (head, _) = site.get_with("/v1/users", &headers).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.contains("\r\nratelimit-policy: \"token\";q=3;w=3000\r\n"),
            "{head}"
        );
        assert!(
            head.contains(&format!("\r\nratelimit: \"token\";r={left};t=")),
            "{head}"
        );
    }
    for headers in [from("192.0.2.3"), one.clone()] {
        let (head, body) = site.get_with("/v1/users", &headers).await;
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        assert!(head.contains("\r\nretry-after: 1000\r\n"), "{head}");
        assert_eq!(body["errorCode"], "TOO_MANY_REQUESTS");
    }
}

#[tokio::test]
async fn one_token_does_not_use_up_what_another_has_nor_do_those_who_have_none() {
    let (site, [one, other]) = with_tokens().await;
    for _ in 0..4 {
        site.get_with("/v1/users", &one).await;
        // A token that is none has no bucket, and takes from nobody's.
        let (head, _) = site.get_with("/v1/users", "").await;
        assert!(head.starts_with("HTTP/1.1 401"), "{head}");
        assert!(!head.contains("ratelimit"), "{head}");
    }
    let (head, _) = site.get_with("/v1/users", &other).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

async fn headers(router: &Router, path: &str) -> HeaderMap {
    let request = Request::get(path)
        .header("origin", "https://elsewhere.example")
        .body(Body::empty())
        .unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    answer.headers().clone()
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let api = Api::new();
    for path in [
        "/v1/users",
        "/nothing",
        "/health/live",
        "/swagger-ui/index.html",
    ] {
        let headers = headers(&api.router, path).await;
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{path}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{path}");
        let is_foreign = path.starts_with("/swagger-ui");
        assert_eq!(policy.contains("unsafe-inline"), is_foreign, "{path}");
        let scripts = policy.split(';').map(str::trim);
        let scripts = scripts.filter(|directive| directive.starts_with("script-src"));
        assert!(
            scripts
                .clone()
                .all(|directive| directive == "script-src 'self'"),
            "{path}"
        );
        assert_eq!(scripts.count(), usize::from(is_foreign), "{path}");
    }
}

#[tokio::test]
async fn no_other_origin_may_read_an_answer() {
    let api = Api::new();
    for path in ["/v1/users", "/v3/api-docs", "/health/live"] {
        let headers = headers(&api.router, path).await;
        assert!(
            headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control-"))
        );
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
    }
    let preflight = Request::options("/v1/alerts")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "POST")
        .body(Body::empty())
        .unwrap();
    // Of an API that is open to this machine alone, no page elsewhere learns even this.
    let answer = api.send(preflight).await;
    assert_eq!(answer.status, 403);
    assert!(answer.header("access-control-allow-origin").is_none());
}
