//! The line that each request leaves in the log.

use std::pin::Pin;
use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, HttpBody},
    extract::{MatchedPath, Request},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use bytes::Bytes;
use common::{ApiTokenId, Gtid};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    gtid,
    metrics::HttpMetrics,
    redact::{self, Printable},
};

/// Of longer bodies only the length is logged.
const BODY_SHOWN: usize = 16 << 10;

/// How much of each request is logged. Failures of the server's own are logged
/// in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogHttp {
    /// Nothing.
    Off,
    /// One line: method, URI, status, time, GTID, and the alert's id.
    Line,
    /// The same with headers and bodies, secrets redacted.
    Full,
}

/// On an answer: the alert that the request was about.
#[derive(Clone, Copy)]
pub(crate) struct LoggedAlert(pub(crate) Uuid);

/// On an answer: the API token that the request was made with.
#[derive(Clone, Copy)]
pub(crate) struct LoggedToken(pub(crate) ApiTokenId);

/// On an answer: why it is a failure of ours, for the log alone.
#[derive(Clone)]
pub(crate) struct Inside(pub(crate) Arc<str>);

/// What [`record`] needs.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) level: LogHttp,
    pub(crate) metrics: HttpMetrics,
}

/// Counts and logs a request when it is answered.
pub(crate) async fn record<F: Future<Output = Response>>(
    recorder: &Recorder,
    request: Request,
    run: impl FnOnce(Request) -> F,
) -> Response {
    let seen = Seen {
        method: request.method().clone(),
        uri: request.uri().clone(),
        gtid: gtid::of(request.extensions()),
        start: Instant::now(),
    };
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = match recorder.level {
        LogHttp::Off => run(request).await,
        LogHttp::Line => {
            let response = run(request).await;
            seen.log(&response);
            response
        }
        LogHttp::Full => run_and_log_in_full(&seen, request, run).await,
    };
    recorder
        .metrics
        .on_answer(route.as_ref(), response.status());
    seen.log_inside(&response);
    response
}

async fn run_and_log_in_full<F: Future<Output = Response>>(
    seen: &Seen,
    request: Request,
    run: impl FnOnce(Request) -> F,
) -> Response {
    let request_headers = request.headers().clone();
    let copy = BodyCopy::default();
    let request = request.map(|body| {
        Body::new(Copied {
            body,
            copy: copy.clone(),
        })
    });
    let response = run(request).await;
    let (response, response_body) = shown(response).await;
    seen.log_in_full(
        &response,
        Bodies {
            request_headers: &request_headers,
            request: copy.shown(),
            response: response_body,
        },
    );
    response
}

/// What is known of a request before it is answered.
struct Seen {
    method: Method,
    uri: Uri,
    gtid: Gtid,
    start: Instant,
}

/// What the full log shows besides.
struct Bodies<'a> {
    request_headers: &'a HeaderMap,
    request: String,
    response: String,
}

impl Seen {
    fn log(&self, response: &Response) {
        info!(
            method = self.method.as_str(),
            uri = %Printable(&redact::uri(&self.uri)),
            status = response.status().as_u16(),
            ms = self.milliseconds(),
            gtid = self.gtid.as_str(),
            caller = token(response).map(tracing::field::display),
            alert = alert(response).map(tracing::field::display),
            "request"
        );
    }

    fn log_in_full(&self, response: &Response, bodies: Bodies<'_>) {
        info!(
            method = self.method.as_str(),
            uri = %Printable(&redact::uri(&self.uri)),
            status = response.status().as_u16(),
            ms = self.milliseconds(),
            gtid = self.gtid.as_str(),
            caller = token(response).map(tracing::field::display),
            alert = alert(response).map(tracing::field::display),
            request_headers = %Printable(&redact::headers(bodies.request_headers)),
            request_body = %Printable(&bodies.request),
            response_headers = %Printable(&redact::headers(response.headers())),
            response_body = %Printable(&bodies.response),
            "request"
        );
    }

    fn log_inside(&self, response: &Response) {
        let Some(Inside(inside)) = response.extensions().get::<Inside>() else {
            return;
        };
        let reason = redact::tokens(inside);
        let reason = Printable(&reason);
        let gtid = self.gtid.as_str();
        let alert = alert(response).map(tracing::field::display);
        if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
            error!(gtid, alert, %reason, "a request failed");
        } else {
            warn!(gtid, alert, %reason, "a request was refused for now");
        }
    }

    /// Rounded to microseconds.
    fn milliseconds(&self) -> f64 {
        let micros = u32::try_from(self.start.elapsed().as_micros()).unwrap_or(u32::MAX);
        f64::from(micros) / 1000.0
    }
}

fn alert(response: &Response) -> Option<Uuid> {
    response.extensions().get::<LoggedAlert>().map(|id| id.0)
}

fn token(response: &Response) -> Option<ApiTokenId> {
    response.extensions().get::<LoggedToken>().map(|id| id.0)
}

/// The answer again, and its body as the log shows it. A body that is streamed
/// goes on as it is.
async fn shown(response: Response) -> (Response, String) {
    let Some(length) = response.body().size_hint().exact() else {
        return (response, "[streamed]".to_owned());
    };
    if length > BODY_SHOWN as u64 {
        let shown = format!("[{length} bytes]");
        return (response, shown);
    }
    let (parts, body) = response.into_parts();
    // A body of known length is in memory already, and cannot fail.
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let shown = redact::body(&bytes);
    (Response::from_parts(parts, bytes.into()), shown)
}

/// The beginning of a request's body, as far as a handler read it.
#[derive(Clone, Default)]
struct BodyCopy(Arc<Mutex<Copying>>);

#[derive(Default)]
struct Copying {
    length: usize,
    bytes: Vec<u8>,
}

impl BodyCopy {
    fn add(&self, chunk: &[u8]) {
        let mut copying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        copying.length += chunk.len();
        if copying.length <= BODY_SHOWN {
            copying.bytes.extend_from_slice(chunk);
        }
    }

    /// What of it is shown: all, or its length alone.
    fn shown(&self) -> String {
        let copying = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if copying.length > BODY_SHOWN {
            return redact::length(copying.length);
        }
        redact::body(&copying.bytes)
    }
}

/// A body that leaves a copy of its beginning behind.
struct Copied {
    body: Body,
    copy: BodyCopy,
}

impl HttpBody for Copied {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(chunk) = frame.data_ref()
        {
            self.copy.add(chunk);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
