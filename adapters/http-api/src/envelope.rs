//! The one form of every JSON answer.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What every answer of the API looks like.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope<T> {
    /// The HTTP status again, for those who see the body alone.
    #[schema(example = 200)]
    pub(crate) http_code: u16,
    /// The status's own words.
    #[schema(example = "OK")]
    pub(crate) http_message: &'static str,
    /// What there is to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) more_information: Option<String>,
    /// The answer itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<T>,
}

/// What every answer to a request that was not done looks like.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorEnvelope {
    /// The HTTP status again.
    #[schema(example = 400)]
    pub(crate) http_code: u16,
    /// The status's own words.
    #[schema(example = "Bad Request")]
    pub(crate) http_message: &'static str,
    /// What is wrong, in one sentence.
    pub(crate) more_information: String,
    /// The same for programs: a word that does not change.
    #[schema(example = "INVALID_FIELD")]
    pub(crate) error_code: &'static str,
    /// What is wrong in detail, where there are fields or lines to name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) errors: Vec<Problem>,
    /// Only with `MAYBE_ACCEPTED`: `{"alertId"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<serde_json::Value>,
}

/// One thing that is wrong with what was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The field, the query parameter or the header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<&'static str>,
    /// The line of an import, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// What to mend.
    pub(crate) message: String,
}

/// A success that carries `data`.
pub(crate) fn answer<T: Serialize>(status: StatusCode, data: T) -> Response {
    json(
        status,
        &Envelope {
            http_code: status.as_u16(),
            http_message: reason(status),
            more_information: None,
            data: Some(data),
        },
    )
}

/// A 200 with nothing to say but that.
pub(crate) fn plain_ok() -> Response {
    let status = StatusCode::OK;
    json(
        status,
        &Envelope::<()> {
            http_code: status.as_u16(),
            http_message: reason(status),
            more_information: None,
            data: None,
        },
    )
}

/// The words that belong to a status, such as `Not Found`.
pub(crate) fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Unknown")
}

/// Headers that an answer has in the end, most often: its own, those of [`headers`], the
/// id of the request.
///
/// [`headers`]: crate::headers
const HEADERS: usize = 8;

/// `body` as JSON.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let mut bytes = Vec::with_capacity(256);
    // Writing plain structs of numbers and strings into memory cannot fail; were
    // it to, an empty body is still a truthful one.
    if serde_json::to_writer(&mut bytes, body).is_err() {
        bytes.clear();
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    *response.headers_mut() = headers;
    response
}
