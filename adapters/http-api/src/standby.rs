//! Answering before there is anything to answer with: a process that waits for its
//! servers lives, and is not ready.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use axum::{Router, extract::Request};
use producer::ports::OfNobody;
use prometheus_client::registry::Registry;
use tower::{ServiceExt, service_fn};

use crate::{
    health::{Operations, Readiness},
    router::waiting_router,
};

/// A router that is put in later.
#[derive(Clone, Debug, Default)]
pub struct Standby(Arc<OnceLock<Router>>);

impl Standby {
    /// Serves `router` from now on. Only the first counts.
    pub fn put_in(&self, router: Router) {
        let _ = self.0.set(router);
    }

    /// What serves until then, and after. Until then `/health/ready` says what is
    /// waited for.
    pub fn router(&self, readiness: Readiness, waits_for: &'static str) -> Router {
        let waiting = waiting_router(Operations {
            readiness,
            health: Arc::new(move || Err(waits_for.to_owned())),
            registry: Arc::new(Registry::default()),
            destinations: Arc::new(OfNobody),
        });
        let put_in = self.0.clone();
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = put_in.get().unwrap_or(&waiting).clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_default()) }
        }))
    }
}
