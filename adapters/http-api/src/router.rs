//! The routes, and what each request passes through on its way to them.

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use producer::{
    application::{Alerts, DirectoryAdmin},
    ports::{Control, History},
};
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    alerts, destinations, directory, errors, groups, gtid, health,
    health::Readiness,
    history,
    history::events,
    metrics::HttpMetrics,
    openapi, request_log,
    request_log::{LogHttp, Recorder},
    users,
};

/// What the API works with.
#[derive(Clone)]
pub struct ApiState {
    /// Taking alerts.
    pub alerts: Arc<Alerts>,
    /// What became of alerts.
    pub history: Arc<dyn History>,
    /// What a person can do about them.
    pub control: Arc<dyn Control>,
    /// Keeping users and groups.
    pub directory: Arc<DirectoryAdmin>,
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
    let app = Arc::new(App {
        api,
        imports: Arc::new(Semaphore::new(1)),
        streams: Arc::new(Semaphore::new(events::STREAMS)),
    });
    let (router, document) = documented().split_for_parts();
    router
        .merge(SwaggerUi::new("/swagger-ui").url("/v3/api-docs", document))
        .fallback(errors::unknown_path)
        .method_not_allowed_fallback(errors::wrong_method)
        .layer(CatchPanicLayer::custom(errors::panicked))
        .layer(middleware::from_fn_with_state(
            recorder,
            request_log::record,
        ))
        .layer(middleware::from_fn(gtid::carry))
        .with_state(app)
}

fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(history::alerts::list, alerts::post))
        .routes(routes!(history::alerts::get))
        .routes(routes!(history::alerts::cancel))
        .routes(routes!(history::replay::alerts))
        .routes(routes!(history::deliveries::get))
        .routes(routes!(history::deliveries::replay))
        .routes(routes!(history::dead_letters::list))
        .routes(routes!(history::dead_letters::discard))
        .routes(routes!(history::replay::dead_letters))
        .routes(routes!(events::stream))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::subscribe))
        .routes(routes!(groups::unsubscribe, groups::unsubscribe_by_post))
        .routes(routes!(groups::get, groups::put, groups::delete))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::put, users::delete))
        .routes(routes!(destinations::list, destinations::create))
        .routes(routes!(
            destinations::get,
            destinations::put,
            destinations::delete
        ))
        .routes(routes!(directory::export, directory::import))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}
