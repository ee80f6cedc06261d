//! Slack's answers to `chat.postMessage`, in
//! [its shape](https://docs.slack.dev/reference/methods/chat.postMessage).

use std::borrow::Cow;

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;

use crate::clock;
use crate::http::{self, Answer};
use crate::messages::ReceivedMessage;

/// The ids that the mockup gives itself.
pub(crate) const USER_ID: &str = "U0MOCKUP";
pub(crate) const BOT_ID: &str = "B0MOCKUP";

/// A call that is answered `{"ok":false,"error":...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: Cow<'static, str>,
    /// Seconds, sent as `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// Slack's own way: the error is in the body, the status is 200.
    pub(crate) const fn slack(error: &'static str) -> Self {
        Self {
            status: StatusCode::OK,
            error: Cow::Borrowed(error),
            retry_after: None,
        }
    }

    /// 413, which Slack has no name for.
    pub(crate) const fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            error: Cow::Borrowed("request_too_large"),
            retry_after: None,
        }
    }

    /// [Slack's 429](https://docs.slack.dev/apis/web-api/rate-limits).
    pub(crate) const fn rate_limited(retry_after: u64) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            error: Cow::Borrowed("ratelimited"),
            retry_after: Some(retry_after),
        }
    }

    /// The same for a webhook: Slack's way, in a 200, would be success there.
    pub(crate) fn for_hook(mut self) -> Self {
        if self.status == StatusCode::OK {
            self.status = StatusCode::BAD_REQUEST;
        }
        self
    }

    /// The refusal as HTTP.
    pub(crate) fn answer(&self) -> Answer {
        #[derive(Serialize)]
        struct Body<'a> {
            ok: bool,
            error: &'a str,
        }
        let body = Body {
            ok: false,
            error: &self.error,
        };
        let mut answer = http::json(self.status, &body);
        if let Some(seconds) = self.retry_after {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            return http::closing(answer);
        }
        answer
    }
}

/// The answer to an accepted message.
pub(crate) fn accepted(message: &ReceivedMessage) -> Answer {
    #[derive(Serialize)]
    struct Body<'a> {
        ok: bool,
        channel: &'a str,
        ts: &'a str,
        message: Message<'a>,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'static str,
        text: &'a str,
        user: &'static str,
        bot_id: &'static str,
        ts: &'a str,
    }
    let ts = clock::slack_ts(message.ts_micros());
    let body = Body {
        ok: true,
        channel: message.channel(),
        ts: &ts,
        message: Message {
            r#type: "message",
            text: message.text(),
            user: USER_ID,
            bot_id: BOT_ID,
            ts: &ts,
        },
    };
    http::json(StatusCode::OK, &body)
}
