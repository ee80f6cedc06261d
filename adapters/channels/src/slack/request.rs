//! The request to Slack.

use bytes::Bytes;
use common::Secret;
use consumer::{
    domain::{Fault, Refusal},
    ports::Message,
};
use hyper::{
    Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use serde::Serialize;

use crate::http::US;

const PATH: &str = "/api/chat.postMessage";
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Where `chat.postMessage` is found below a base URL.
#[derive(Clone, Debug)]
pub(super) struct Method(Uri);

/// Why a base URL cannot be called. The URL itself is not shown: it might hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableUrl {
    /// It is not a URL with a scheme of ours and a host.
    #[error("a base URL begins with http:// or https:// and a host, as in https://slack.com")]
    Malformed,
    /// It holds a user or a password.
    #[error("a base URL must not hold a user or a password")]
    Credentials,
    /// It has a query or a fragment, so that no path can be added.
    #[error("a base URL must not have a query or a fragment")]
    Query,
}

impl Method {
    /// The method below `base`, which may have a path and end with a slash.
    pub(super) fn below(base: &str) -> Result<Self, UnusableUrl> {
        if base.contains(['?', '#']) {
            return Err(UnusableUrl::Query);
        }
        let whole = [base.trim_end_matches('/'), PATH].concat();
        let uri = Uri::try_from(whole).map_err(|_| UnusableUrl::Malformed)?;
        let authority = uri.authority().ok_or(UnusableUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UnusableUrl::Credentials);
        }
        let callable = matches!(uri.scheme_str(), Some("http" | "https"))
            && !authority.host().is_empty()
            && !authority.as_str().ends_with(':');
        callable.then_some(Self(uri)).ok_or(UnusableUrl::Malformed)
    }
}

/// The request that carries `message`, to `configured` where its destination names
/// no URL of its own. The refusal is one that no repetition can heal.
pub(super) fn build(configured: &Method, message: &Message<'_>) -> Result<Request<Bytes>, Refusal> {
    let method = match &*message.destination.base_url {
        "" => configured.clone(),
        own => Method::below(own).map_err(|error| lasting(Fault::Destination, error))?,
    };
    let mut request = Request::new(body(&message.destination.address, message.text));
    *request.method_mut() = hyper::Method::POST;
    *request.uri_mut() = method.0;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer(&message.credential.secret)?);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(USER_AGENT, US);
    Ok(request)
}

/// The body: <https://docs.slack.dev/reference/methods/chat.postMessage>.
fn body(channel: &str, text: &str) -> Bytes {
    #[derive(Serialize)]
    struct Payload<'a> {
        channel: &'a str,
        text: &'a str,
    }
    let mut json = Vec::with_capacity(channel.len() + text.len() + 64);
    let written = serde_json::to_writer(&mut json, &Payload { channel, text });
    debug_assert!(written.is_ok(), "two strings always serialise");
    json.into()
}

/// The token as Slack wants it (<https://docs.slack.dev/apis/web-api>), hidden from
/// whatever prints headers. A token of other than visible ASCII cannot stand in a
/// header.
fn bearer(token: &Secret) -> Result<HeaderValue, Refusal> {
    let token = token.expose();
    if token.is_empty() {
        return Err(lasting(Fault::Credential, "the token is empty"));
    }
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = visible
        .then(|| HeaderValue::try_from(["Bearer ", token].concat()).ok())
        .flatten();
    let mut value = value.ok_or_else(|| {
        lasting(
            Fault::Credential,
            "the token holds characters that a token cannot hold; set it again",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn lasting(fault: Fault, reason: impl ToString) -> Refusal {
    Refusal {
        fault,
        lasting: true,
        retry_after: None,
        status: None,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_is_found_below_any_base_url() {
        for (base, whole) in [
            (
                "https://slack.com",
                "https://slack.com/api/chat.postMessage",
            ),
            (
                "https://slack.com/",
                "https://slack.com/api/chat.postMessage",
            ),
            (
                "http://[::1]:8082/a/b//",
                "http://[::1]:8082/a/b/api/chat.postMessage",
            ),
        ] {
            assert_eq!(Method::below(base).unwrap().0, whole);
        }
    }

    #[test]
    fn a_base_url_that_cannot_be_called_is_refused_with_the_reason() {
        for (base, error) in [
            ("", UnusableUrl::Malformed),
            ("slack.com", UnusableUrl::Malformed),
            ("ftp://slack.com", UnusableUrl::Malformed),
            ("https://", UnusableUrl::Malformed),
            ("https://slack.com:", UnusableUrl::Malformed),
            ("https://a b", UnusableUrl::Malformed),
            ("https://user:password@slack.com", UnusableUrl::Credentials),
            ("https://slack.com/?a=b", UnusableUrl::Query),
            ("https://slack.com/#a", UnusableUrl::Query),
        ] {
            assert_eq!(Method::below(base).unwrap_err(), error, "{base:?}");
        }
    }

    #[test]
    fn a_token_of_visible_ascii_is_sent_and_hidden() {
        let value = bearer(&Secret::new("xoxb-1")).unwrap();
        assert_eq!(value, "Bearer xoxb-1");
        assert!(!format!("{value:?}").contains("xoxb-1"));
    }

    #[test]
    fn any_other_token_is_refused_for_good_and_not_shown() {
        for token in [
            "",
            "xo xb",
            "xoxb\r\nHost: evil",
            "xoxb\0",
            "토큰",
            "\u{7f}",
        ] {
            let refusal = bearer(&Secret::new(token)).unwrap_err();
            assert_eq!(refusal.fault, Fault::Credential, "{token:?}");
            assert!(refusal.lasting);
            assert!(token.is_empty() || !refusal.reason.contains(token));
        }
    }
}
