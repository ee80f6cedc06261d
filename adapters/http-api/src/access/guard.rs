//! Admitting requests.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{Extensions, HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use producer::{
    application::ApiTokens,
    domain::{ApiToken, Caller, Scope, TokenRefusal, Who},
};

use super::{
    Access, OpenTo,
    attempts::{Attempts, DELAY, Reaction},
    host,
    rules::{self, Needs},
};
use crate::{
    client::ClientAddress, errors::ApiError, metrics::HttpMetrics, request_log::LoggedToken,
};

/// Who is let in.
pub(crate) struct Guard {
    access: Access,
    /// `None` in a process that keeps none.
    tokens: Option<Arc<ApiTokens>>,
    attempts: Attempts,
    metrics: HttpMetrics,
}

impl Guard {
    pub(crate) fn new(
        access: Access,
        tokens: Option<Arc<ApiTokens>>,
        metrics: HttpMetrics,
    ) -> Self {
        Self {
            access,
            tokens,
            attempts: Attempts::new(),
            metrics,
        }
    }

    /// Lets a request pass to `run` with its [`Caller`], or answers for it.
    pub(crate) async fn admit<F: Future<Output = Response>>(
        &self,
        mut request: Request,
        run: impl FnOnce(Request) -> F,
    ) -> Response {
        let from = request.extensions().get::<ClientAddress>().copied();
        let who = match self.judge(&request) {
            Ok(who) => who,
            Err(error) => return self.refuse(error, from).await,
        };
        let caller = Caller {
            who,
            address: from.map(|from| from.0),
        };
        let token = caller.token();
        request.extensions_mut().insert(caller);
        let mut response = run(request).await;
        if let Some(token) = token {
            response.extensions_mut().insert(LoggedToken(token));
        }
        response
    }

    /// Who calls, where they may.
    fn judge(&self, request: &Request) -> Result<Who, ApiError> {
        let Some(path) = request.extensions().get::<MatchedPath>() else {
            // There is nothing at this path, for whomever.
            return Ok(Who::Anybody);
        };
        let needed = match rules::needs(request.method(), path.as_str()) {
            Needs::Nothing => return Ok(Who::Anybody),
            Needs::MetricsOpen if self.access.open_metrics => return Ok(Who::Anybody),
            needed => needed,
        };
        match &self.tokens {
            Some(tokens) if tokens.are_needed() => {
                let token = tokens.authenticate(bearer(request.headers())?);
                let token = token.map_err(ApiError::Unauthenticated)?;
                allowed(&token, needed).map(|()| Who::Token(token))
            }
            tokens => match self.access.open_to {
                OpenTo::Everybody => Ok(Who::Anybody),
                OpenTo::ThisMachine if host::is_of_this_machine(request) => Ok(Who::Anybody),
                OpenTo::ThisMachine => Err(ApiError::ForeignPage),
                OpenTo::Nobody if tokens.is_none() => Err(ApiError::KeepsNoTokens),
                OpenTo::Nobody => Err(ApiError::Unauthenticated(TokenRefusal::Missing)),
            },
        }
    }

    /// The answer to a request that is not admitted, as soon as it may have it.
    async fn refuse(&self, error: ApiError, from: Option<ClientAddress>) -> Response {
        let error = match error {
            ApiError::Unauthenticated(refusal) => {
                self.metrics.on_refused_token(refusal);
                match refusal {
                    // Nothing was tried.
                    TokenRefusal::Missing => error,
                    _ => self.slowed(error, from).await,
                }
            }
            error => error,
        };
        error.into_response()
    }

    async fn slowed(&self, error: ApiError, from: Option<ClientAddress>) -> ApiError {
        match self.attempts.failed(from.map(|from| from.0)) {
            Reaction::Answer => error,
            Reaction::Delay(_permit) => {
                tokio::time::sleep(DELAY).await;
                error
            }
            Reaction::TooMany => ApiError::TooManyAttempts,
        }
    }
}

/// The caller, for a handler that says who asked.
pub(crate) struct By(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(caller(&parts.extensions)))
    }
}

/// Who [`Guard::admit`] found to call.
pub(crate) fn caller(extensions: &Extensions) -> Caller {
    let caller = extensions.get::<Caller>().cloned();
    // Every route is behind the guard; without it, nobody in particular.
    caller.unwrap_or(Caller {
        who: Who::Anybody,
        address: None,
    })
}

/// The token that the request carries; there is one such header at most
/// (`headers::once_each`). <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::Unauthenticated(TokenRefusal::Missing));
    };
    let malformed = ApiError::Unauthenticated(TokenRefusal::Malformed);
    let text = value.to_str().unwrap_or_default();
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed);
    }
    Ok(token.trim_matches(' '))
}

fn allowed(token: &ApiToken, needed: Needs) -> Result<(), ApiError> {
    let grant = &token.record.grant;
    let has = |scope: Scope| match grant.scopes().allow(scope) {
        true => Ok(()),
        false => Err(ApiError::ScopeMissing(scope)),
    };
    match needed {
        Needs::Nothing | Needs::MetricsOpen => Ok(()),
        Needs::Scope(scope) => has(scope),
        Needs::Unrestricted(scope) => {
            has(scope)?;
            match grant.groups() {
                None => Ok(()),
                Some(_) => Err(ApiError::TokenRestricted),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        extract::State,
        http::StatusCode,
        middleware::{self, Next},
        routing::get,
    };
    use tower::ServiceExt;

    use super::*;

    async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
        guard.admit(request, |request| next.run(request)).await
    }

    /// Somebody adds a route and forgets the table: it is closed, not open.
    #[tokio::test]
    async fn a_route_without_a_rule_is_closed() {
        let access = Access {
            open_to: OpenTo::Nobody,
            open_metrics: true,
        };
        let guard = Guard::new(access, None, HttpMetrics::default());
        let router = Router::new()
            .route("/v1/forgotten", get(async || "secret"))
            .layer(middleware::from_fn_with_state(Arc::new(guard), admit));
        let request = Request::builder().uri("/v1/forgotten");
        let request = request.body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}
