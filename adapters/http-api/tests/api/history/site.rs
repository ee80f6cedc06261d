//! The API over a real store, and a consumer that does what a test says.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use common::{Clock, SystemClock, UtcMillis, mishap::Unheard};
use consumer::{
    domain::{Attempt, AttemptResult, Lease, Outcome, Settlement},
    ports::{DeliveryQueue, Received},
};
use http_api::{
    Access, ApiState, BODY_TIMEOUT, Clients, HttpMetrics, LogHttp, OpenTo, Readiness, router,
};
use http_body_util::BodyExt;
use producer::{
    application::{Alerts, ApiTokens, DirectoryAdmin, Orders, Secrets, transfer},
    domain::Caller,
    metrics::AlertMetrics,
    ports::{Control, Mode},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use sqlite::{Settings, Store, Synchronous};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::support::{Answer, FakeDestinations, ONE, TWO, request};

pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) store: Store,
    pub(crate) readiness: Readiness,
    pub(crate) clock: Arc<SystemClock>,
    _folder: TempDir,
}

impl Site {
    /// With the users and groups of the contract's sample.
    pub(crate) async fn new() -> Self {
        Self::controlled(|store| store.control.clone()).await
    }

    /// The same, cancelled and replayed by that control.
    pub(crate) async fn controlled(control: impl Fn(&Store) -> Arc<dyn Control>) -> Self {
        let access = Access {
            open_to: OpenTo::ThisMachine,
            open_metrics: true,
        };
        Self::open(control, access).await
    }

    /// The same, open as `access` says.
    pub(crate) async fn accessed(access: Access) -> Self {
        Self::open(|store| store.control.clone(), access).await
    }

    async fn open(control: impl Fn(&Store) -> Arc<dyn Control>, access: Access) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::start());
        let settings = Settings {
            path: folder.path().into(),
            retention: Duration::from_secs(1 << 20),
            history_max_bytes: 1 << 30,
            synchronous: Synchronous::Off,
            secret_key: None,
            scrub_large: false,
        };
        let store = Store::open(settings, clock.clone()).unwrap();
        let user = |id: &str, n: u8| {
            json!({"type": "user", "id": id, "name": format!("user_name{n}"),
                "token": format!("test_token{n}"), "channelId": format!("test_channel_id{n}")})
        };
        let group = json!({"type": "group", "id": ONE, "name": "group_name1",
            "desc": "test_desc1", "users": [ONE]});
        let lines = format!("{}\n{}\n{group}\n", user(ONE, 1), user(TWO, 2));
        transfer::import(&*store.directory, &lines, Mode::Commit, &Caller::LOCAL)
            .await
            .unwrap();
        let readiness = Readiness::default();
        let alerts = Alerts::new(
            store.directory.clone(),
            store.queue.clone(),
            clock.clone(),
            AlertMetrics::default(),
            Arc::new(Unheard),
        );
        let router = router(ApiState {
            alerts: Arc::new(alerts),
            history: store.history.clone(),
            orders: Arc::new(Orders::new(
                control(&store),
                store.history.clone(),
                store.audit.clone(),
            )),
            audit: store.audit.clone(),
            secrets: Arc::new(Secrets::new(store.secrets.clone(), store.audit.clone())),
            destinations: Arc::new(FakeDestinations::default()),
            directory: Arc::new(DirectoryAdmin::new(store.directory.clone())),
            tokens: Arc::new(ApiTokens::new(store.directory.clone(), clock.clone())),
            access,
            registry: Arc::new(Registry::default()),
            metrics: HttpMetrics::default(),
            readiness: readiness.clone(),
            log_http: LogHttp::Off,
            body_timeout: BODY_TIMEOUT,
            clients: Clients::default(),
        });
        Self {
            router,
            store,
            readiness,
            clock,
            _folder: folder,
        }
    }

    pub(crate) fn now(&self) -> UtcMillis {
        self.clock.now().utc
    }

    pub(crate) async fn send(&self, request: axum::http::Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.bare("GET", path).await
    }

    pub(crate) async fn bare(&self, method: &str, path: &str) -> Answer {
        self.send(request(method, path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let request = request("POST", path).header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    /// Posts an alert and gives its id.
    pub(crate) async fn alert(&self, target: &str, severity: &str, message: &str) -> String {
        self.alert_to(&[target], severity, message).await
    }

    /// Posts an alert to these targets and gives its id.
    pub(crate) async fn alert_to(&self, target: &[&str], severity: &str, message: &str) -> String {
        let body = json!({"target": target, "severity": severity, "message": message});
        let data = self.post("/v1/alerts", body).await.data();
        data["alertId"].as_str().unwrap().to_owned()
    }

    /// The next deliveries, which have to be so many.
    pub(crate) async fn receive(&self, count: usize) -> Vec<Lease> {
        let mut come = Vec::new();
        while come.len() < count {
            if let Received::Leases(leases) = self.store.queue.receive(count).await.unwrap() {
                come.extend(leases);
            }
        }
        come
    }

    /// Ends deliveries after one attempt more.
    pub(crate) async fn settle(&self, leases: &[Lease], outcome: Outcome) {
        let is_taken = outcome == Outcome::Delivered;
        let settlements = leases.iter().map(|lease| Settlement {
            lease: lease.key(),
            attempt: Some(Attempt {
                number: lease.progress.attempts + 1,
                started_at: UtcMillis(1_795_420_800_500),
                took: Duration::from_micros(7_250),
                result: match is_taken {
                    true => AttemptResult::Accepted,
                    false => AttemptResult::Refused,
                },
                status: Some(200),
                error: (!is_taken).then(|| "channel_not_found".into()),
                provider_id: is_taken.then(|| "1503435956.000247".into()),
            }),
            parts_sent: u16::from(is_taken),
            outcome: outcome.clone(),
        });
        self.store
            .queue
            .settle(settlements.collect())
            .await
            .unwrap();
    }

    /// Posts an alert to everybody whose deliveries die; gives its deliveries' ids.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        self.alert("@all", "normal", "node1 down").await;
        let leases = self.receive(2).await;
        self.settle(&leases, dead()).await;
        let ids = leases.iter().map(|lease| lease.delivery_id().to_string());
        ids.collect()
    }
}

pub(crate) fn dead() -> Outcome {
    let reason = "refused for good: channel_not_found".to_owned();
    Outcome::Dead { reason }
}

/// The values of one field of a page's items.
pub(crate) fn each(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}
