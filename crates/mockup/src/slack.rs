//! The part of Slack's Web API that the mockup plays.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use serde_json::json;

use crate::answer::{self, BOT_ID, Refusal, USER_ID};
use crate::http::{self, Answer, BodyError, Closed};
use crate::post::{self, Post};
use crate::reception::{Received, Reception, Verdict};

/// [`chat.postMessage`](https://docs.slack.dev/reference/methods/chat.postMessage).
pub(crate) async fn post_message(
    reception: &Arc<Reception>,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let (head, body) = request.into_parts();
    let post = match http::read_body(body).await {
        Ok(body) => Post::read(&head.headers, &body),
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
        Verdict::Accept(message) => answer::accepted(&message),
        Verdict::Refuse(refusal) => refusal.answer(),
        Verdict::LoseAnswer | Verdict::Close => {
            progress.closed();
            return Err(Closed);
        }
    };
    progress.answered();
    Ok(answer)
}

/// [`auth.test`](https://docs.slack.dev/reference/methods/auth.test). Every token
/// is good.
pub(crate) async fn auth_test(
    reception: &Reception,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let (head, arguments) = call(reception, request).await?;
    Ok(arguments
        .and_then(|arguments| {
            let in_arguments = arguments.get("token").and_then(|token| token.as_str());
            let has_token = in_arguments.is_some_and(|token| !token.is_empty());
            if has_token || post::bearer_token(&head.headers).is_some() {
                Ok(http::json(
                    StatusCode::OK,
                    &json!({
                        "ok": true,
                        "url": "https://mockup.invalid/",
                        "team": "Mockup",
                        "user": "mockup",
                        "team_id": "T0MOCKUP",
                        "user_id": USER_ID,
                        "bot_id": BOT_ID,
                    }),
                ))
            } else {
                Err(Refusal::slack("not_authed"))
            }
        })
        .unwrap_or_else(|refusal| refusal.answer()))
}

/// [`api.test`](https://docs.slack.dev/reference/methods/api.test): gives the
/// arguments back, and the error that was asked for.
pub(crate) async fn api_test(
    reception: &Reception,
    request: Request<Incoming>,
) -> Result<Answer, Closed> {
    let (_, arguments) = call(reception, request).await?;
    Ok(arguments
        .map(|arguments| {
            let mut body = json!({ "ok": !arguments.contains_key("error") });
            if let Some(error) = arguments.get("error") {
                body["error"] = error.clone();
            }
            if !arguments.is_empty() {
                body["args"] = arguments.into();
            }
            http::json(StatusCode::OK, &body)
        })
        .unwrap_or_else(|refusal| refusal.answer()))
}

/// Slack's answer for a method that it does not have.
pub(crate) fn unknown_method() -> Answer {
    Refusal::slack("unknown_method").answer()
}

type Arguments = serde_json::Map<String, serde_json::Value>;

/// Reads a call that is no message. The mockup's faults hold for it, those of
/// channels, the rate limit and lost answers do not; and it is not counted.
async fn call(
    reception: &Reception,
    request: Request<Incoming>,
) -> Result<(Parts, Result<Arguments, Refusal>), Closed> {
    let (head, body) = request.into_parts();
    let arguments = match http::read_body(body).await {
        Ok(body) => post::arguments(head.uri.query(), &head.headers, &body),
        Err(BodyError::TooLarge) => Err(Refusal::too_large()),
        Err(BodyError::Broken) => return Err(Closed),
    };
    let faults = reception.faults();
    let faults = faults.of(None);
    if faults.is_down() {
        return Err(Closed);
    }
    tokio::time::sleep(faults.delay(rand::random())).await;
    match faults.injected(rand::random()) {
        Some(refusal) => Ok((head, Err(refusal))),
        None => Ok((head, arguments)),
    }
}
