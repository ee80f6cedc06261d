//! The paths under `/_mock/`: looking at the mockup, and breaking it.

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Serialize;

use crate::clock;
use crate::faults::Faults;
use crate::hooks::Hook;
use crate::http::{self, Answer, BodyError, Closed};
use crate::messages::ReceivedMessage;
use crate::reception::Reception;
use crate::refusals::RefusedPost;
use crate::ring::End;

/// `GET /_mock/stats`.
pub(crate) fn stats(reception: &Reception) -> Answer {
    http::json(StatusCode::OK, &reception.stats())
}

/// `GET /_mock/messages?channel=&limit=`.
pub(crate) fn messages(reception: &Reception, query: Option<&str>) -> Answer {
    match Selection::read(query) {
        Ok(Selection { channel, limit }) => {
            let messages = reception.newest(channel.as_deref(), limit);
            let shown: Vec<_> = messages.iter().map(|message| Shown::of(message)).collect();
            http::json(StatusCode::OK, &shown)
        }
        Err(message) => http::problem(StatusCode::BAD_REQUEST, &message),
    }
}

/// `GET /_mock/refusals?channel=&limit=`.
pub(crate) fn refusals(reception: &Reception, query: Option<&str>) -> Answer {
    match Selection::read(query) {
        Ok(Selection { channel, limit }) => {
            let refusals = reception.newest_refusals(channel.as_deref(), limit);
            let shown: Vec<_> = refusals.iter().map(|one| ShownRefusal::of(one)).collect();
            http::json(StatusCode::OK, &shown)
        }
        Err(message) => http::problem(StatusCode::BAD_REQUEST, &message),
    }
}

/// `DELETE /_mock/messages`.
pub(crate) fn forget_messages(reception: &Reception) -> Answer {
    reception.forget();
    http::no_content()
}

/// `GET /_mock/faults`.
pub(crate) fn faults(reception: &Reception) -> Answer {
    http::json(StatusCode::OK, &reception.faults().shown())
}

/// `PUT /_mock/faults`: replaces them all.
pub(crate) async fn put_faults(
    reception: &Reception,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let body = match http::read_body(request.into_body()).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return Ok(http::too_large()),
        Err(BodyError::Broken) => return Err(Closed),
    };
    Ok(match Faults::read(&body) {
        Ok(faults) => {
            let answer = http::json(StatusCode::OK, &faults.shown());
            reception.set_faults(faults);
            answer
        }
        Err(message) => http::problem(StatusCode::BAD_REQUEST, &message),
    })
}

/// `DELETE /_mock/faults`.
pub(crate) fn clear_faults(reception: &Reception) -> Answer {
    reception.set_faults(Faults::default());
    http::no_content()
}

/// Which messages are asked for.
struct Selection {
    channel: Option<String>,
    limit: usize,
}

impl Selection {
    fn read(query: Option<&str>) -> Result<Self, String> {
        let mut selection = Self {
            channel: None,
            limit: usize::MAX,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                // `?channel=&limit=` is the query without either.
                "channel" | "limit" if value.is_empty() => {}
                "channel" => selection.channel = Some(value.into_owned()),
                "limit" => {
                    selection.limit = value
                        .parse()
                        .map_err(|_| "`limit` must be a whole number".to_owned())?;
                }
                _ => return Err(format!("`{name}` is none of `channel` and `limit`")),
            }
        }
        Ok(selection)
    }
}

/// A message as `GET /_mock/messages` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    seq: u64,
    ts: String,
    channel: &'a str,
    text: &'a str,
    token: &'a str,
    received_at: String,
    answer: &'static str,
    answered_at: Option<String>,
    closed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a Hook>,
}

impl<'a> Shown<'a> {
    fn of(message: &'a ReceivedMessage) -> Self {
        let (answer, answered_at, closed_at) = shown_end(message.end());
        Self {
            seq: message.seq(),
            ts: clock::slack_ts(message.ts_micros()),
            channel: message.channel(),
            text: message.text(),
            token: message.token(),
            received_at: clock::rfc3339(message.received_micros()),
            answer,
            answered_at: answered_at.map(clock::rfc3339),
            closed_at: closed_at.map(clock::rfc3339),
            webhook: message.hook(),
        }
    }
}

/// A refusal as `GET /_mock/refusals` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownRefusal<'a> {
    seq: u64,
    channel: &'a str,
    text: &'a str,
    status: u16,
    error: &'a str,
    retry_after: Option<u64>,
    received_at: String,
    answer: &'static str,
    answered_at: Option<String>,
    closed_at: Option<String>,
}

impl<'a> ShownRefusal<'a> {
    fn of(refused: &'a RefusedPost) -> Self {
        let (answer, answered_at, closed_at) = shown_end(refused.end());
        Self {
            seq: refused.seq,
            channel: &refused.named.channel,
            text: &refused.named.text,
            status: refused.refusal.status.as_u16(),
            error: &refused.refusal.error,
            retry_after: refused.refusal.retry_after,
            received_at: clock::rfc3339(refused.received_micros),
            answer,
            answered_at: answered_at.map(clock::rfc3339),
            closed_at: closed_at.map(clock::rfc3339),
        }
    }
}

/// How far an answer came, when it was answered, and when it was closed unanswered.
fn shown_end(end: Option<End>) -> (&'static str, Option<u64>, Option<u64>) {
    match end {
        None => ("pending", None, None),
        Some(End::Sent(at)) => ("sent", Some(at), None),
        Some(End::Lost(at)) => ("lost", None, Some(at)),
        Some(End::ClientGone(at)) => ("clientGone", None, Some(at)),
    }
}
