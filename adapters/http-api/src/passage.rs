//! What every request passes through on its way to a handler, and its answer on the way
//! back: in this order, from outside to inside.
//!
//! It is one layer of axum's. Each layer costs a request a box and a copy of all that is
//! within; seven of them took a fifth of the processor time that accepting an alert does.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use crate::{
    access::Guard,
    client::{self, TrustedProxies},
    errors, gtid, headers,
    rate::RateLimit,
    request_log::{self, Recorder},
};

/// What [`pass`] goes by.
pub(crate) struct Passage {
    pub(crate) proxies: TrustedProxies,
    pub(crate) recorder: Recorder,
    /// `None` where any number of requests may come from one address.
    pub(crate) address_rate: Option<RateLimit>,
    /// `None` where everything is open.
    pub(crate) guard: Option<Guard>,
    /// `None` where any number of requests may be made with one API token.
    pub(crate) token_rate: Option<RateLimit>,
}

/// Finds out where a request comes from, names it, logs it, and answers it in the place of
/// a handler that panics.
pub(crate) async fn pass(
    State(passage): State<Arc<Passage>>,
    mut request: Request,
    next: Next,
) -> Response {
    client::find(&passage.proxies, &mut request);
    let gtid = gtid::name(&mut request);
    let run = |request| async {
        let answering = AssertUnwindSafe(passage.checked(request, next));
        answering
            .catch_unwind()
            .await
            .unwrap_or_else(errors::panicked)
    };
    let mut response = request_log::record(&passage.recorder, request, run).await;
    gtid::give_back(&gtid, &mut response);
    response
}

impl Passage {
    /// Refuses what is said twice, and says what a browser may do with the answer.
    async fn checked(&self, request: Request, next: Next) -> Response {
        let policy = headers::policy(request.uri().path());
        let mut response = match headers::once_each(request.headers()) {
            Ok(()) => self.counted(request, next).await,
            Err(refusal) => refusal.into_response(),
        };
        headers::protect(&mut response, policy);
        response
    }

    async fn counted(&self, request: Request, next: Next) -> Response {
        match &self.address_rate {
            Some(rate) => {
                rate.limit(request, |request| self.admitted(request, next))
                    .await
            }
            None => self.admitted(request, next).await,
        }
    }

    async fn admitted(&self, request: Request, next: Next) -> Response {
        match &self.guard {
            Some(guard) => {
                guard
                    .admit(request, |request| self.counted_by_token(request, next))
                    .await
            }
            None => next.run(request).await,
        }
    }

    /// Behind the guard, so that nobody uses up a token that they do not have.
    async fn counted_by_token(&self, request: Request, next: Next) -> Response {
        match &self.token_rate {
            Some(rate) => rate.limit(request, |request| next.run(request)).await,
            None => next.run(request).await,
        }
    }
}
