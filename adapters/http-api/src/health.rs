//! Whether the process lives, whether it should be sent requests, and its numbers.

use std::{fmt, sync::Arc};

use axum::{
    extract::{FromRef, State},
    http::{HeaderValue, header},
    response::Response,
};
use producer::ports::Destinations;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::sync::watch;

use crate::{
    envelope::plain_ok,
    errors::ApiError,
    openapi::{NotReadyAnswers, PlainOk, ServerFault},
    router::App,
};

/// Whether requests should still be sent here. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<watch::Sender<bool>>);

impl Readiness {
    /// From now on `/health/ready` answers 503, "draining"; there is no way back.
    pub fn drain(&self) {
        self.0.send_replace(true);
    }

    /// Whether [`drain`](Self::drain) was called.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until [`drain`](Self::drain) is called.
    pub(crate) async fn drained(&self) {
        let mut draining = self.0.subscribe();
        // An error would mean that the sender is gone, and this holds it.
        let _ = draining.wait_for(|is_draining| *is_draining).await;
    }
}

/// What whoever runs the process wants to know of it.
#[derive(Clone)]
pub struct Operations {
    /// What `/health/ready` says.
    pub readiness: Readiness,
    /// Whether the process can do its work now; else why not. Answers from memory.
    pub health: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Everything that `/metrics` shows.
    pub registry: Arc<Registry>,
    /// How destinations stand.
    pub destinations: Arc<dyn Destinations>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations")
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

impl FromRef<Arc<App>> for Operations {
    fn from_ref(app: &Arc<App>) -> Self {
        let alerts = app.api.alerts.clone();
        Self {
            readiness: app.api.readiness.clone(),
            health: Arc::new(move || alerts.health()),
            registry: app.api.registry.clone(),
            destinations: app.api.destinations.clone(),
        }
    }
}

/// The process runs and answers.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operation",
    operation_id = "live",
    responses(PlainOk, ServerFault)
)]
pub(crate) async fn live() -> Response {
    plain_ok()
}

/// Requests should be sent here: it is not shutting down, and alerts can be stored.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operation",
    operation_id = "ready",
    responses(PlainOk, NotReadyAnswers, ServerFault)
)]
pub(crate) async fn ready(State(process): State<Operations>) -> Result<Response, ApiError> {
    if process.readiness.is_draining() {
        return Err(ApiError::NotReady {
            reason: "draining".into(),
        });
    }
    match (process.health)() {
        Ok(()) => Ok(plain_ok()),
        Err(reason) => Err(ApiError::NotReady { reason }),
    }
}

/// All numbers, as OpenMetrics text, which Prometheus reads.
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "The numbers, one a line",
        content_type = "application/openmetrics-text", body = String,
        example = json!("# TYPE alerts_accepted counter\nalerts_accepted_total{severity=\"high\"} 7\n# EOF\n")),
        ServerFault))]
pub(crate) async fn metrics(State(process): State<Operations>) -> Result<Response, ApiError> {
    let mut text = String::new();
    encode(&mut text, &process.registry).map_err(|error| ApiError::Internal {
        inside: format!("the metrics cannot be written: {error}"),
    })?;
    let mut response = Response::new(text.into());
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    Ok(response)
}
