//! A webhook: a signed JSON request to a URL of the user's choice, as
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)
//! say.
//!
//! | header | value |
//! |---|---|
//! | `webhook-id` | the delivery's id, the same in every attempt; of a text in several parts, `-2`, `-3`, … behind it from the second on |
//! | `webhook-timestamp` | when the attempt was made, in seconds since 1970 |
//! | `webhook-signature` | `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}` |
//!
//! The body is described in `request.rs`.

mod classify;
mod request;
mod secret;
mod statuses;
mod text;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use common::ChannelKind;
use consumer::{
    domain::{Answer, Fault, Refusal},
    ports::{Channel, Message, Pace, Text, TextLimit},
};

use crate::http::{Host, HttpClient, NoAnswer};

pub use statuses::{STATUSES, Status};
pub use text::PART_LIMIT;

/// How webhooks are called.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// How fast one URL is sent to.
    pub pace: Pace,
    /// The longest that one request may take, connecting included.
    pub answer_timeout: Duration,
}

impl Default for WebhookSettings {
    /// What a small receiver bears, and the shortest time-out that the specification
    /// recommends.
    fn default() -> Self {
        Self {
            pace: Pace {
                per_second: Some(10.0),
                burst: 20,
            },
            answer_timeout: Duration::from_secs(15),
        }
    }
}

/// The channel to webhooks.
#[derive(Debug)]
pub struct WebhookChannel {
    http: Arc<HttpClient>,
    settings: WebhookSettings,
}

impl WebhookChannel {
    /// A channel that calls URLs through `http`.
    pub fn new(settings: WebhookSettings, http: Arc<HttpClient>) -> Self {
        Self { http, settings }
    }
}

#[async_trait]
impl Channel for WebhookChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::WEBHOOK
    }

    fn pace(&self) -> Pace {
        self.settings.pace
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit {
            most: PART_LIMIT,
            width: text::width,
        }
    }

    fn parts(&self, text: Text<'_>) -> Vec<String> {
        text::parts(text.text)
    }

    async fn send(&self, message: Message<'_>) -> Answer {
        let request = match request::build(&message, SystemTime::now()) {
            Ok(request) => request,
            Err(refusal) => return Answer::Refused(refusal),
        };
        let limit = self.settings.answer_timeout;
        match self.http.send(Host::Chosen, request, limit).await {
            Ok(answer) => classify::classify(&answer, SystemTime::now()),
            Err(NoAnswer::Forbidden(forbidden)) => {
                Answer::Refused(lasting(Fault::Destination, forbidden))
            }
            Err(NoAnswer::NotSent { reason }) => Answer::Refused(Refusal {
                fault: Fault::Host,
                lasting: false,
                retry_after: None,
                status: None,
                reason,
            }),
            Err(NoAnswer::MaybeSent { reason }) => Answer::MaybeAccepted { reason },
        }
    }
}

/// A refusal before anything was sent, which no repetition heals.
fn lasting(fault: Fault, reason: impl ToString) -> Refusal {
    Refusal {
        fault,
        lasting: true,
        retry_after: None,
        status: None,
        reason: reason.to_string(),
    }
}
