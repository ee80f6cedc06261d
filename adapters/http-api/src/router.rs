//! The routes, and what each request passes through on its way to them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::IntoResponse,
    routing::get,
};
use bytes::Bytes;
use producer::{
    application::{Alerts, ApiTokens, DirectoryAdmin, Orders, Secrets},
    ports::{AuditLog, Destinations, History},
};
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};
use utoipa_swagger_ui::{Config as SwaggerConfig, SwaggerUi};

use crate::{
    access,
    access::{Access, Guard},
    alerts, audit,
    client::TrustedProxies,
    destinations, directory, errors, groups, health,
    health::{Operations, Readiness},
    history,
    history::events,
    metrics::HttpMetrics,
    openapi, passage,
    passage::Passage,
    rate::{Rate, RateLimit},
    request_log::{LogHttp, Recorder},
    secrets, tokens, user_destinations, users,
};

/// Where the OpenAPI document is.
const DOCUMENT: &str = "/v3/api-docs";

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// Taking alerts.
    pub alerts: Arc<Alerts>,
    /// What became of alerts.
    pub history: Arc<dyn History>,
    /// What a person can do about them.
    pub orders: Arc<Orders>,
    /// Who did what.
    pub audit: Arc<dyn AuditLog>,
    /// How destinations stand.
    pub destinations: Arc<dyn Destinations>,
    /// Keeping users and groups.
    pub directory: Arc<DirectoryAdmin>,
    /// Who may call it.
    pub tokens: Arc<ApiTokens>,
    /// The keys of stored secrets.
    pub secrets: Arc<Secrets>,
    /// How it is open without tokens.
    pub access: Access,
    /// Everything that `/metrics` shows; [`HttpMetrics::register`] first.
    pub registry: Arc<Registry>,
    /// What the API itself counts.
    pub metrics: HttpMetrics,
    /// What `/health/ready` says.
    pub readiness: Readiness,
    /// How much of each request is logged.
    pub log_http: LogHttp,
    /// How long a JSON body may take to arrive; [`BODY_TIMEOUT`](crate::BODY_TIMEOUT).
    pub body_timeout: Duration,
    /// Who may send how much.
    pub clients: Clients,
}

/// Where requests come from, and how many of them.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Whose word about a request's address counts.
    pub proxies: TrustedProxies,
    /// The requests of one address; `None` for any number.
    pub address_rate: Option<Rate>,
    /// The requests with one API token, from wherever; `None` for any number.
    pub token_rate: Option<Rate>,
}

/// The state that handlers see.
pub(crate) struct App {
    pub(crate) api: ApiState,
    /// One import at a time: each may hold 64 MiB.
    pub(crate) imports: Arc<Semaphore>,
    /// For the streams of events.
    pub(crate) streams: Arc<Semaphore>,
}

/// All routes.
pub fn router(api: ApiState) -> Router {
    let recorder = Recorder {
        level: api.log_http,
        metrics: api.metrics.clone(),
    };
    let tokens = Some(api.tokens.clone());
    let guard = Guard::new(api.access, tokens, api.metrics.clone());
    let clients = api.clients.clone();
    let app = Arc::new(App {
        api,
        imports: Arc::new(Semaphore::new(1)),
        streams: Arc::new(Semaphore::new(events::STREAMS)),
    });
    let mut router = Router::new();
    for route in routes() {
        let (_, paths, methods) = route();
        for path in paths.paths.keys() {
            router = router.route(path, methods.clone());
        }
    }
    let router = router
        .route(DOCUMENT, get(document))
        .merge(SwaggerUi::new("/swagger-ui").config(SwaggerConfig::from(DOCUMENT)))
        .fallback(errors::unknown_path);
    let passage = Passage {
        proxies: clients.proxies,
        recorder,
        address_rate: clients.address_rate.map(RateLimit::by_address),
        guard: Some(guard),
        token_rate: clients.token_rate.map(RateLimit::by_token),
    };
    behind(passage, router).with_state(app)
}

/// Health, metrics and how destinations stand, for a process without an API. It keeps no
/// tokens, so what needs one is open as `access` says, or refused.
pub fn operations_router(
    process: Operations,
    access: Access,
    metrics: HttpMetrics,
    log_http: LogHttp,
) -> Router {
    let guard = Guard::new(access, None, metrics.clone());
    let router = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/destinations", get(destinations::list))
        .fallback(errors::unknown_path);
    let recorder = Recorder {
        level: log_http,
        metrics,
    };
    let passage = Passage {
        proxies: TrustedProxies::default(),
        recorder,
        address_rate: None,
        guard: Some(guard),
        token_rate: None,
    };
    behind(passage, router).with_state(process)
}

/// Health alone: whatever else is asked for, it is too early.
pub(crate) fn waiting_router(process: Operations) -> Router {
    let router = Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(errors::too_early);
    let recorder = Recorder {
        level: LogHttp::Off,
        metrics: HttpMetrics::default(),
    };
    let passage = Passage {
        proxies: TrustedProxies::default(),
        recorder,
        address_rate: None,
        guard: None,
        token_rate: None,
    };
    behind(passage, router).with_state(process)
}

/// The routes, behind what every request passes through on its way.
fn behind<S: Clone + Send + Sync + 'static>(passage: Passage, router: Router<S>) -> Router<S> {
    router
        .method_not_allowed_fallback(errors::wrong_method)
        .layer(middleware::from_fn_with_state(
            Arc::new(passage),
            passage::pass,
        ))
}

/// A route as it is served and as it is described.
type Route = UtoipaMethodRouter<Arc<App>>;

/// All routes that the document describes. Each is made when it is asked for, and its
/// description dropped where nobody needs it: all of them together take more memory
/// than the rest of the process.
fn routes() -> [fn() -> Route; 27] {
    [
        || routes!(history::alerts::list, alerts::post),
        || routes!(history::alerts::get),
        || routes!(history::alerts::cancel),
        || routes!(history::replay::alerts),
        || routes!(history::deliveries::get),
        || routes!(history::deliveries::replay),
        || routes!(history::dead_letters::list),
        || routes!(history::dead_letters::discard),
        || routes!(history::replay::dead_letters),
        || routes!(events::stream),
        || routes!(groups::list, groups::create),
        || routes!(groups::subscribe),
        || routes!(groups::unsubscribe, groups::unsubscribe_by_post),
        || routes!(groups::get, groups::put, groups::delete),
        || routes!(users::list, users::create),
        || routes!(users::get, users::put, users::delete),
        || routes!(user_destinations::list, user_destinations::create),
        || {
            routes!(
                user_destinations::get,
                user_destinations::put,
                user_destinations::delete
            )
        },
        || routes!(directory::export, directory::import),
        || routes!(destinations::list),
        || routes!(tokens::list, tokens::create),
        || routes!(tokens::get, tokens::revoke),
        || routes!(audit::list),
        || routes!(secrets::rotate),
        || routes!(health::live),
        || routes!(health::ready),
        || routes!(health::metrics),
    ]
}

/// The OpenAPI document, made when it is first asked for. All who ask share it: it needs no
/// token, so whoever asks often and reads slowly must not cost a copy each.
async fn document() -> impl IntoResponse {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| serde_json::to_vec(&described()).unwrap_or_default().into());
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], text.clone())
}

fn described() -> Document {
    let described = OpenApiRouter::with_openapi(openapi::base());
    let described = routes()
        .iter()
        .fold(described, |described, route| described.routes(route()));
    let mut document = openapi::with_limits(openapi::mended(described.into_openapi()));
    access::describe(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The router has the routes of the document and few besides, which are written here.
    #[test]
    fn every_operation_has_a_rule_and_every_rule_an_operation() {
        let document = serde_json::to_value(described()).unwrap();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                operations.push(format!("{} {path}", method.to_uppercase()));
            }
        }
        let undescribed = [
            DOCUMENT,
            "/swagger-ui",
            "/swagger-ui/",
            "/swagger-ui/{*rest}",
        ];
        operations.extend(undescribed.map(|path| format!("GET {path}")));
        operations.sort();
        let rules = access::RULES.iter();
        let mut rules: Vec<_> = rules
            .map(|rule| format!("{} {}", rule.method, rule.path))
            .collect();
        rules.sort();
        assert_eq!(rules, operations);
    }
}
