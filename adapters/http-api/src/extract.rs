//! What handlers are given: bodies, ids and parameters, read with the contract's
//! refusals.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use common::{UserDestinationId, UserId};
use http_body_util::BodyExt;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use crate::{errors::ApiError, router::App};

/// The usual time for a body to arrive whole.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest JSON body: 1 MiB.
const JSON_LIMIT: usize = 1 << 20;
/// How deep JSON may nest; serde_json's own limit, which does not count what it
/// passes over.
const DEPTH_LIMIT: usize = 128;
/// How much of a body that is too long is read and thrown away, so that the
/// client finishes sending and reads the answer.
const DRAIN_LIMIT: usize = 8 << 20;

/// Which body a route takes.
pub(crate) struct BodyKind {
    /// Media types, the one to recommend first.
    pub(crate) types: &'static [&'static str],
    /// Most bytes.
    pub(crate) limit: usize,
    /// How long it may take to arrive.
    pub(crate) timeout: Duration,
}

/// A JSON body as text.
pub(crate) struct JsonText(Bytes);

impl JsonText {
    #[cfg(feature = "fuzzing")]
    pub(crate) fn of(body: Bytes) -> Self {
        Self(body)
    }

    /// The value that it describes, which may borrow from it.
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        let text = text(&self.0)?;
        if nests_too_deep(text) {
            return Err(malformed("nests too deep".into()));
        }
        serde_json::from_str(text).map_err(|error| malformed(what_is_wrong(&error)))
    }
}

impl FromRequest<Arc<App>> for JsonText {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let kind = BodyKind {
            types: &["application/json"],
            limit: JSON_LIMIT,
            timeout: app.api.body_timeout,
        };
        read(request, kind).await.map(Self)
    }
}

/// A JSON body as a value of its own.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        JsonText::from_request(request, app)
            .await?
            .parse()
            .map(Self)
    }
}

/// The id at the end of the path.
pub(crate) struct PathId<Id>(pub(crate) Id);

impl<Id: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<Id> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(|| malformed_id("id"))
    }
}

/// A user's id and that of a destination of theirs.
pub(crate) struct PathIds(pub(crate) UserId, pub(crate) UserDestinationId);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let texts = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((user, destination)) = texts.map_err(|_| malformed_id("id"))?;
        Ok(Self(id("id", &user)?, id("destinationId", &destination)?))
    }
}

/// The parameters of the query.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(_) => Err(ApiError::Unreadable {
                field: None,
                message: "the query cannot be read; each parameter may stand there once.".into(),
            }),
        }
    }
}

/// The `dryRun` parameter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DryRun {
    dry_run: Option<String>,
}

impl DryRun {
    /// Whether it asks for a dry run.
    pub(crate) fn is_asked(&self) -> Result<bool, ApiError> {
        truth("dryRun", self.dry_run.as_deref())
    }
}

/// A parameter that is true or false; false where it is left out.
pub(crate) fn truth(field: &'static str, value: Option<&str>) -> Result<bool, ApiError> {
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::Field {
            field,
            sentence: format!("{field} must be true or false."),
        }),
    }
}

/// A whole number of a body: `15` or, which is the same number, `15.0`
/// (<https://json-schema.org/draft/2020-12/json-schema-validation#section-6.1.1>).
pub(crate) fn whole<'de, D: Deserializer<'de>>(json: D) -> Result<Option<i64>, D::Error> {
    // Beyond these a float no longer tells whole numbers apart.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let Some(number) = Option::<serde_json::Number>::deserialize(json)? else {
        return Ok(None);
    };
    let float = number.as_f64().unwrap_or(f64::NAN);
    let whole = number
        .as_i64()
        .or_else(|| (float.fract() == 0.0 && float.abs() <= MOST).then_some(float as i64));
    whole
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a whole number"))
}

/// A value that a body must give.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::Field {
        field,
        sentence: format!("{field} must be given."),
    })
}

/// An id in a body.
pub(crate) fn id<Id: FromStr>(field: &'static str, text: &str) -> Result<Id, ApiError> {
    text.parse().map_err(|_| malformed_id(field))
}

fn malformed_id(field: &'static str) -> ApiError {
    ApiError::Unreadable {
        field: Some(field),
        message: "must be a UUID such as 11111111-1111-1111-1111-111111111111.".into(),
    }
}

/// The whole body.
pub(crate) async fn read(request: Request, kind: BodyKind) -> Result<Bytes, ApiError> {
    if !is_of_type(request.headers(), kind.types) {
        return Err(ApiError::ContentType {
            expected: kind.types[0],
        });
    }
    // What is small when compressed may be of any size when it is not.
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::ContentEncoding);
    }
    // Whoever waits for `100 Continue` has sent nothing that needs draining.
    let waits = request.headers().contains_key(header::EXPECT);
    let drain = if waits { 0 } else { DRAIN_LIMIT };
    let collecting = collect(request.into_body(), kind.limit, drain);
    match tokio::time::timeout(kind.timeout, collecting).await {
        Ok(body) => body,
        Err(_) => Err(ApiError::BodyTooSlow),
    }
}

/// `bytes` as text.
pub(crate) fn text(bytes: &Bytes) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|_| malformed("is not UTF-8.".into()))
}

fn is_of_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let essence = value.to_str().unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim();
    types
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}

async fn collect(mut body: Body, limit: usize, drain: usize) -> Result<Bytes, ApiError> {
    let too_large = ApiError::BodyTooLarge { limit };
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        if declared <= drain as u64 {
            while next_chunk(&mut body).await?.is_some() {}
        }
        return Err(too_large);
    }
    let first = next_chunk(&mut body).await?.unwrap_or_default();
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let mut whole = BytesMut::from(&*first);
    while let Some(chunk) = next_chunk(&mut body).await? {
        if whole.len() + chunk.len() > limit {
            let mut drained = 0;
            while let Some(chunk) = next_chunk(&mut body).await?
                && drained <= drain
            {
                drained += chunk.len();
            }
            return Err(too_large);
        }
        whole.extend_from_slice(&chunk);
    }
    if whole.len() > limit {
        return Err(too_large);
    }
    Ok(whole.freeze())
}

async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        // The connection broke or the framing was wrong.
        let frame = frame.map_err(|_| malformed("did not arrive whole.".into()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn malformed(message: String) -> ApiError {
    ApiError::Unreadable {
        field: Some("body"),
        message,
    }
}

/// What serde says repeats pieces of the body, which may be a token; the kind of
/// mistake and its place do not.
fn what_is_wrong(error: &serde_json::Error) -> String {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "has a field of the wrong type, or one twice",
        _ => "is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    format!("{problem} (line {line}, column {column}).")
}

/// Whether brackets nest deeper than [`DEPTH_LIMIT`]; for what is not JSON,
/// either answer will do.
fn nests_too_deep(text: &str) -> bool {
    let opens = |byte: &u8| matches!(byte, b'[' | b'{');
    // Nearly every body has fewer brackets than that altogether.
    if text.bytes().filter(|byte| opens(byte)).count() < DEPTH_LIMIT {
        return false;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth >= DEPTH_LIMIT {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_inside_of_strings_do_not_nest() {
        let text = format!(r#"{{"message":"\"{}"}}"#, "[".repeat(10_000));
        assert!(!nests_too_deep(&text));
    }

    #[test]
    fn many_brackets_side_by_side_do_not_nest() {
        assert!(!nests_too_deep(&"[]".repeat(10_000)));
    }

    #[test]
    fn ten_thousand_brackets_within_each_other_nest_too_deep() {
        let text = format!(r#"{{"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(nests_too_deep(&text));
    }
}
