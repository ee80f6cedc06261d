//! What Slack's answer means.
//!
//! Slack itself answers 200 to nearly everything and says in the body how it went
//! (<https://docs.slack.dev/apis/web-api#responses>), and 429 with `Retry-After`
//! where it limits. Any other status comes from an outage or from something
//! between: a proxy, a login page, a wrong URL.

use std::time::SystemTime;

use common::Secret;
use consumer::domain::{Answer, Fault, Refusal};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{HttpAnswer, retry_after};

use super::errors;

/// The most characters of a code or id of the service that are kept.
const FOREIGN_TEXT_LIMIT: usize = 64;

/// What `answer` means. `secret` is what was sent with the request; a text of the
/// other side that repeats it is not passed on.
pub(crate) fn classify(answer: &HttpAnswer, secret: &Secret) -> Answer {
    let status = answer.status;
    if status.is_success() {
        return match &answer.body {
            Ok(body) => success(answer, body, secret),
            // It was a success until it broke off: it says more for acceptance than
            // against it.
            Err(reason) => Answer::MaybeAccepted {
                reason: reason.clone(),
            },
        };
    }
    let reply = answer
        .body
        .as_ref()
        .ok()
        .and_then(|body| serde_json::from_slice::<Reply>(body).ok());
    let code = reply.as_ref().and_then(|reply| reply.error_code(secret));
    Answer::Refused(refusal_of_status(answer, code.as_deref()))
}

/// Slack's answer, as far as it matters. `error` and `ts` are strings; should they
/// ever be something else, what `ok` says still holds.
#[derive(Deserialize)]
struct Reply<'a> {
    ok: bool,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
}

impl Reply<'_> {
    /// The error code. An unknown one that holds our secret counts as none.
    fn error_code(&self, secret: &Secret) -> Option<String> {
        let code = plain_text(self.error?)?;
        let safe = errors::find(&code).is_some() || !code.contains(secret.expose());
        safe.then_some(code)
    }

    /// The id of the message. One that holds our secret counts as none.
    fn id(&self, secret: &Secret) -> Option<String> {
        plain_text(self.ts?).filter(|id| !id.contains(secret.expose()))
    }
}

/// A code or id as long and as plain as they are.
fn plain_text(json: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(json.get()).ok()?;
    let plain = (1..=FOREIGN_TEXT_LIMIT).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    plain.then_some(text)
}

fn success(answer: &HttpAnswer, body: &[u8], secret: &Secret) -> Answer {
    let status = answer.status.as_u16();
    if body.trim_ascii().is_empty() {
        return Answer::Accepted {
            status,
            provider_id: None,
        };
    }
    match serde_json::from_slice::<Reply>(body) {
        Ok(reply) if reply.ok => Answer::Accepted {
            status,
            provider_id: reply.id(secret),
        },
        Ok(reply) => Answer::Refused(match reply.error_code(secret) {
            Some(code) => refusal_of_code(answer, &code),
            None => refusal(
                answer,
                Fault::Unclear,
                "refused without a usable error code",
            ),
        }),
        // A body that ends with its connection can be cut unnoticed until here.
        Err(error) if error.is_eof() => Answer::MaybeAccepted {
            reason: "the answer was cut short".to_owned(),
        },
        Err(_) => Answer::Refused(refusal(
            answer,
            Fault::Host,
            "the answer is not JSON of Slack's; is a proxy or a login page in between?",
        )),
    }
}

fn refusal_of_code(answer: &HttpAnswer, code: &str) -> Refusal {
    let Some(known) = errors::find(code) else {
        return refusal(answer, Fault::Unclear, code);
    };
    Refusal {
        lasting: known.lasting,
        ..refusal(answer, known.fault, code)
    }
}

fn refusal_of_status(answer: &HttpAnswer, code: Option<&str>) -> Refusal {
    let status = answer.status;
    let named = || code.map_or_else(|| status.to_string(), str::to_owned);
    match status {
        StatusCode::TOO_MANY_REQUESTS => refusal(answer, Fault::Destination, named()),
        _ if status.is_server_error() => refusal(answer, Fault::Host, named()),
        _ if status.is_redirection() => refusal(
            answer,
            Fault::Destination,
            format!("{status}: redirects are not followed; check --slack-url"),
        ),
        _ if let Some(code) = code => refusal_of_code(answer, code),
        // Slack says 200 to a bad token, so this comes from something in between,
        // and may pass.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refusal(
            answer,
            Fault::Credential,
            format!("{status}: refused without an error code"),
        ),
        StatusCode::NOT_FOUND => refusal(
            answer,
            Fault::Host,
            format!("{status}: no Slack there; check --slack-url"),
        ),
        StatusCode::REQUEST_TIMEOUT => refusal(answer, Fault::Host, named()),
        StatusCode::PAYLOAD_TOO_LARGE => Refusal {
            lasting: true,
            ..refusal(answer, Fault::Payload, named())
        },
        _ => refusal(answer, Fault::Unclear, named()),
    }
}

fn refusal(answer: &HttpAnswer, fault: Fault, reason: impl Into<String>) -> Refusal {
    Refusal {
        fault,
        lasting: false,
        retry_after: retry_after(&answer.headers, SystemTime::now()),
        status: Some(answer.status.as_u16()),
        reason: reason.into(),
    }
}
