//! Receivers of webhooks, as [Standard Webhooks][sw] describe them: one a name, each
//! with the secret that it was told.
//!
//! [sw]: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::Refusal;
use crate::clock;
use crate::http::{self, Answer, BodyError, Closed};
use crate::post::Post;
use crate::reception::{Received, Reception, Verdict};

/// By how much a timestamp may be off, in seconds: what the specification's libraries
/// allow.
const TOLERANCE: u64 = 300;

/// The most receivers that are told a secret.
const MOST_SECRETS: usize = 10_000;

/// What came with a webhook besides its text.
#[derive(Debug, Serialize)]
pub(crate) struct Hook {
    id: String,
    timestamp: u64,
    /// Whether the signature was checked against the receiver's secret, and right.
    verified: bool,
    body: Value,
    /// How long the body was.
    #[serde(skip)]
    pub(crate) bytes: usize,
}

/// The secrets of the receivers that have one.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<HashMap<String, hmac::Key>>);

impl Secrets {
    fn keys(&self) -> MutexGuard<'_, HashMap<String, hmac::Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `POST /_mock/hooks/{name}`: a webhook comes, with the mockup's faults.
pub(crate) async fn receive(
    reception: &Arc<Reception>,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let (head, body) = request.into_parts();
    let post = match http::read_body(body).await {
        Ok(body) => read(reception.secrets(), name, &head.headers, &body),
        Err(BodyError::TooLarge) => Err(Refusal::too_large()),
        Err(BodyError::Broken) => return Err(Closed),
    };
    let Received {
        verdict,
        delay,
        progress,
    } = reception.receive(post);
    if matches!(verdict, Verdict::Close) {
        progress.closed();
        return Err(Closed);
    }
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let answer = match verdict {
        Verdict::Accept(_) => http::no_content(),
        Verdict::Refuse(refusal) => refusal.for_hook().answer(),
        Verdict::LoseAnswer | Verdict::Close => {
            progress.closed();
            return Err(Closed);
        }
    };
    progress.answered();
    Ok(answer)
}

/// `PUT /_mock/hooks/{name}`: gives the receiver a secret, from where on only what is
/// signed with it is accepted.
pub(crate) async fn put_secret(
    reception: &Reception,
    name: &str,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        secret: String,
    }
    let body = match http::read_body(request.into_body()).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return Ok(http::too_large()),
        Err(BodyError::Broken) => return Err(Closed),
    };
    let secret = serde_json::from_slice::<Body>(&body).ok();
    let Some(key) = secret.and_then(|body| key(&body.secret)) else {
        let form = "The body is {\"secret\":\"whsec_…\"}, with base64 after whsec_.";
        return Ok(http::problem(StatusCode::BAD_REQUEST, form));
    };
    let mut keys = reception.secrets().keys();
    if keys.len() >= MOST_SECRETS && !keys.contains_key(name) {
        let full = "As many receivers as there may be have secrets.";
        return Ok(http::problem(StatusCode::CONFLICT, full));
    }
    keys.insert(name.to_owned(), key);
    Ok(http::no_content())
}

/// `DELETE /_mock/hooks/{name}`: takes the receiver's secret away.
pub(crate) fn forget_secret(reception: &Reception, name: &str) -> Answer {
    reception.secrets().keys().remove(name);
    http::no_content()
}

fn read(secrets: &Secrets, name: &str, headers: &HeaderMap, body: &Bytes) -> Result<Post, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").ok_or(refusal("no_webhook_id"))?;
    let timestamp = header("webhook-timestamp").and_then(|text| text.parse::<u64>().ok());
    let timestamp = timestamp.ok_or(refusal("no_webhook_timestamp"))?;
    let signatures = header("webhook-signature").ok_or(refusal("no_webhook_signature"))?;
    let verified = match secrets.keys().get(name) {
        None => false,
        Some(key) => {
            let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
            if !signatures.split(' ').any(|one| is_of(key, one, &content)) {
                return Err(unauthorized("wrong_signature"));
            }
            if timestamp.abs_diff(clock::now_micros() / 1_000_000) > TOLERANCE {
                return Err(unauthorized("wrong_timestamp"));
            }
            true
        }
    };
    let json: Value = serde_json::from_slice(body).map_err(|_| refusal("invalid_json"))?;
    let text = json["data"]["text"].as_str().ok_or(refusal("no_text"))?;
    let text = text.to_owned();
    let hook = Hook {
        id: id.to_owned(),
        timestamp,
        verified,
        body: json,
        bytes: body.len(),
    };
    Ok(Post::of_hook(format!("hooks/{name}"), text, hook))
}

fn key(secret: &str) -> Option<hmac::Key> {
    let bytes = BASE64_STANDARD
        .decode(secret.strip_prefix("whsec_")?)
        .ok()?;
    (!bytes.is_empty()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn is_of(key: &hmac::Key, signature: &str, content: &[u8]) -> bool {
    let tag = signature.strip_prefix("v1,");
    let tag = tag.and_then(|base64| BASE64_STANDARD.decode(base64).ok());
    tag.is_some_and(|tag| hmac::verify(key, content, &tag).is_ok())
}

const fn refusal(error: &'static str) -> Refusal {
    answered(StatusCode::BAD_REQUEST, error)
}

const fn unauthorized(error: &'static str) -> Refusal {
    answered(StatusCode::UNAUTHORIZED, error)
}

const fn answered(status: StatusCode, error: &'static str) -> Refusal {
    Refusal {
        status,
        error: Cow::Borrowed(error),
        retry_after: None,
    }
}
