//! The little HTTP that all handlers share: reading a body within bounds,
//! writing JSON, and closing a connection without an answer.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// The largest body that is looked at: 1 MiB.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// How much of a body that is too large is read and thrown away, so that its
/// sender, which reads only after it has written, gets to see the 413.
const DRAIN_LIMIT: usize = 16 << 20;

/// An answer with its whole body in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

/// What a handler gives instead of an answer to have the connection closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed unanswered")]
pub(crate) struct Closed;

/// Why a body is not there to look at.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is larger than [`BODY_LIMIT`].
    TooLarge,
    /// The client went away, or what it sent is not HTTP.
    Broken,
}

/// Reads a body of at most [`BODY_LIMIT`] bytes.
pub(crate) async fn read_body(mut body: Incoming) -> Result<Bytes, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > DRAIN_LIMIT {
        return Err(BodyError::TooLarge);
    }
    let mut kept = BytesMut::with_capacity(announced.min(BODY_LIMIT));
    let mut total = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        total += data.len();
        if total > DRAIN_LIMIT {
            return Err(BodyError::TooLarge);
        }
        if total <= BODY_LIMIT {
            kept.extend_from_slice(&data);
        }
    }
    if total > BODY_LIMIT {
        return Err(BodyError::TooLarge);
    }
    Ok(kept.freeze())
}

/// An answer with `value` as its JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Only a map with keys that are not strings cannot be written; none is.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    answer
}

/// An error of the mockup's own paths: `{"error": "..."}`.
pub(crate) fn problem(status: StatusCode, message: &str) -> Answer {
    #[derive(Serialize)]
    struct Problem<'a> {
        error: &'a str,
    }
    json(status, &Problem { error: message })
}

/// 204.
pub(crate) fn no_content() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// 405, with the methods that the path has.
pub(crate) fn method_not_allowed(allow: &'static str) -> Answer {
    let mut answer = problem(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("This path takes {allow}."),
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    answer
}

/// 413. The connection is closed after it: the rest of the body may still come.
pub(crate) fn too_large() -> Answer {
    closing(problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is larger than 1 MiB.",
    ))
}

/// The same answer, after which the connection is closed.
pub(crate) fn closing(mut answer: Answer) -> Answer {
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
