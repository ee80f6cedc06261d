//! What every request is looked at for, and every answer says, before and after its
//! handler.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

use crate::errors::ApiError;

/// Headers of which two say two things. A proxy that believes the one and a server that
/// believes the other are how requests are passed off as others.
const ONCE: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
];

/// What a page of Swagger UI may do: run the scripts it came with, ask this server, and
/// stand in no frame. Its own styles are set by its scripts, hence `unsafe-inline` there,
/// and there alone.
const SWAGGER_UI: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);
/// What anything else may do in a browser: nothing.
const NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Whether each of those headers is there once at most.
///
/// # Errors
/// The refusal of the request.
pub(crate) fn once_each(headers: &HeaderMap) -> Result<(), ApiError> {
    let twice = ONCE.iter().find(|name| {
        let mut values = headers.get_all(*name).iter();
        values.next().is_some() && values.next().is_some()
    });
    match twice {
        None => Ok(()),
        Some(name) => Err(ApiError::Unreadable {
            field: None,
            message: format!("the header {name} must stand there once."),
        }),
    }
}

/// What an answer at that path may do in a browser.
pub(crate) fn policy(path: &str) -> HeaderValue {
    match path.starts_with("/swagger-ui") {
        true => SWAGGER_UI,
        false => NOTHING,
    }
}

/// Says with an answer what a browser may do with it. No other origin may read one: there
/// is no `Access-Control-Allow-Origin`.
pub(crate) fn protect(response: &mut Response, policy: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
}
