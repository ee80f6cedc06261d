//! What the HTTP side counts.

use axum::{extract::MatchedPath, http::StatusCode};
use producer::domain::TokenRefusal;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// Counts of requests. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    requests: Family<ByRoute, Counter>,
    refused_tokens: Family<ByRefusal, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRefusal {
    reason: &'static str,
}

impl HttpMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests answered, by route and class of status",
            self.requests.clone(),
        );
        registry.register(
            "http_refused_tokens",
            "Requests refused for their API token, or for having none, by reason",
            self.refused_tokens.clone(),
        );
    }

    /// One more request whose token was not taken.
    pub(crate) fn on_refused_token(&self, refusal: TokenRefusal) {
        let reason = match refusal {
            TokenRefusal::Missing => "missing",
            TokenRefusal::Malformed => "malformed",
            TokenRefusal::Unknown => "unknown",
            TokenRefusal::Expired => "expired",
            TokenRefusal::Revoked => "revoked",
        };
        self.refused_tokens
            .get_or_create(&ByRefusal { reason })
            .inc();
    }

    /// One more answer. The route is its pattern, so there are few of them.
    pub(crate) fn on_answer(&self, route: Option<&MatchedPath>, status: StatusCode) {
        let route = route.map_or("unknown", MatchedPath::as_str).to_owned();
        let status = match status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        };
        self.requests
            .get_or_create(&ByRoute { route, status })
            .inc();
    }
}
