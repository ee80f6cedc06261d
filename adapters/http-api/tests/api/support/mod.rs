//! The API over fakes, and what comes back from it.

mod destinations;
mod history;
mod keys;
mod queue;
pub(crate) mod socket;
mod store;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use common::{ApiTokenId, SystemClock, mishap::Unheard};
use http_api::{
    Access, ApiState, BODY_TIMEOUT, Clients, HttpMetrics, LogHttp, OpenTo, Readiness, router,
};
use http_body_util::BodyExt;
use producer::{
    application::{Alerts, ApiTokens, DirectoryAdmin, Orders, Secrets},
    domain::{ApiTokenName, ApiTokenRecord, ApiTokenSecret, Caller, Command, Grant, Scope},
    metrics::AlertMetrics,
    ports::{DirectoryStore, Mode},
};
use prometheus_client::registry::Registry;
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

pub(crate) use self::{
    destinations::FakeDestinations,
    history::{BrokenHistory, FakeAudit, RemoteConsumers},
    keys::NoNewKeys,
    queue::FakeQueue,
    store::FakeStore,
};

/// The id `1111…`, of the sample's first user and first group.
pub(crate) const ONE: &str = "11111111-1111-1111-1111-111111111111";
/// The id `2222…`, of the sample's second user and second group.
pub(crate) const TWO: &str = "22222222-2222-2222-2222-222222222222";
/// An id that nothing has.
pub(crate) const NOBODY: &str = "99999999-9999-9999-9999-999999999999";

/// The API with the sample directory of the contract.
pub(crate) struct Api {
    pub(crate) router: Router,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) queue: Arc<FakeQueue>,
    pub(crate) destinations: Arc<FakeDestinations>,
    pub(crate) readiness: Readiness,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with(LogHttp::Off, BODY_TIMEOUT)
    }

    pub(crate) fn with(log_http: LogHttp, body_timeout: Duration) -> Self {
        Self::made(
            log_http,
            body_timeout,
            Clients::default(),
            OpenTo::ThisMachine,
        )
    }

    /// Open to everybody, so that requests may come from elsewhere.
    pub(crate) fn with_clients(clients: Clients) -> Self {
        Self::made(LogHttp::Off, BODY_TIMEOUT, clients, OpenTo::Everybody)
    }

    /// A new API token of that name, for everything.
    pub(crate) async fn token(&self, name: &str) -> String {
        let secret = ApiTokenSecret::generate();
        let record = ApiTokenRecord {
            id: ApiTokenId(Uuid::new_v4()),
            name: ApiTokenName::parse(name).unwrap(),
            hash: secret.hash(),
            grant: Grant::new([Scope::Admin].into_iter().collect(), None).unwrap(),
            expires_at: None,
        };
        let commands = vec![Command::CreateApiToken(record)];
        let made = self.store.execute(commands, Mode::Commit, &Caller::LOCAL);
        made.await.unwrap();
        secret.text().expose().to_owned()
    }

    fn made(log_http: LogHttp, body_timeout: Duration, clients: Clients, open_to: OpenTo) -> Self {
        let store = Arc::new(FakeStore::sample());
        let queue = Arc::new(FakeQueue::default());
        let destinations = Arc::new(FakeDestinations::default());
        let readiness = Readiness::default();
        let mut registry = Registry::default();
        let alert_metrics = AlertMetrics::default();
        alert_metrics.register(&mut registry);
        let metrics = HttpMetrics::default();
        metrics.register(&mut registry);
        let clock = Arc::new(SystemClock::start());
        let alerts = Alerts::new(
            store.clone(),
            queue.clone(),
            clock.clone(),
            alert_metrics,
            Arc::new(Unheard),
        );
        let router = router(ApiState {
            alerts: Arc::new(alerts),
            directory: Arc::new(DirectoryAdmin::new(store.clone())),
            history: Arc::new(BrokenHistory),
            orders: Arc::new(Orders::new(
                Arc::new(BrokenHistory),
                Arc::new(BrokenHistory),
                Arc::new(FakeAudit),
            )),
            audit: Arc::new(FakeAudit),
            secrets: Arc::new(Secrets::new(Arc::new(NoNewKeys), Arc::new(FakeAudit))),
            destinations: destinations.clone(),
            tokens: Arc::new(ApiTokens::new(store.clone(), clock.clone())),
            access: Access {
                open_to,
                open_metrics: true,
            },
            registry: Arc::new(registry),
            metrics,
            readiness: readiness.clone(),
            log_http,
            body_timeout,
            clients,
        });
        Self {
            router,
            store,
            queue,
            destinations,
            readiness,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Body::empty()).unwrap())
            .await
    }

    /// Sends `body`, said to be JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        let request = request(method, path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn alert(&self, body: impl Into<Body>) -> Answer {
        self.json("POST", "/v1/alerts", body).await
    }

    /// Sends an alert to everybody under an idempotency key.
    pub(crate) async fn alert_with_key(&self, key: &str, message: &str) -> Answer {
        let body = format!(r#"{{"target":["@all"],"severity":"low","message":"{message}"}}"#);
        let request = request("POST", "/v1/alerts")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    pub(crate) async fn import(&self, path: &str, lines: impl Into<Body>) -> Answer {
        let request = request("POST", path).header("content-type", "application/x-ndjson");
        self.send(request.body(lines.into()).unwrap()).await
    }
}

pub(crate) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body, which has to be an envelope that agrees with the status.
    pub(crate) fn envelope(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let envelope: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(envelope["httpCode"], self.status.as_u16());
        assert_eq!(
            envelope["httpMessage"],
            self.status.canonical_reason().unwrap()
        );
        envelope
    }

    pub(crate) fn data(&self) -> Value {
        self.envelope()["data"].clone()
    }

    pub(crate) fn more_information(&self) -> String {
        self.envelope()["moreInformation"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A value that a test sets and a fake looks at.
pub(crate) type Setting<T> = Mutex<T>;
