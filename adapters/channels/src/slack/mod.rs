//! Slack, by [`chat.postMessage`](https://docs.slack.dev/reference/methods/chat.postMessage).

pub(crate) mod classify;
mod errors;
mod request;
pub(crate) mod text;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use common::ChannelKind;
use consumer::{
    domain::{Answer, Fault, Refusal},
    ports::{Channel, Message, Pace, Text, TextLimit},
};

use crate::http::{Host, HttpClient, NoAnswer};

pub use errors::{ERROR_CODES, ErrorCode};
pub use request::UnusableUrl;
pub use text::PART_LIMIT;

use request::Method;

/// How Slack is called.
#[derive(Clone, Debug)]
pub struct SlackSettings {
    /// The URL that `/api/chat.postMessage` is added to, for destinations that name
    /// none: `https://slack.com`. It may have a path and end with a slash.
    pub base_url: String,
    /// How fast one Slack channel is sent to.
    pub pace: Pace,
    /// The longest that one request may take, connecting included.
    pub answer_timeout: Duration,
    /// Whether texts are escaped, so that they are read as they were written: `<!channel>`
    /// pings nobody. Without it they may format, link and mention.
    pub escape: bool,
}

impl Default for SlackSettings {
    /// Slack itself, at the pace that it allows: one message a second in a channel,
    /// and short bursts (<https://docs.slack.dev/apis/web-api/rate-limits>).
    fn default() -> Self {
        Self {
            base_url: "https://slack.com".to_owned(),
            pace: Pace {
                per_second: Some(1.0),
                burst: 4,
            },
            answer_timeout: Duration::from_secs(10),
            escape: true,
        }
    }
}

/// The channel to Slack.
#[derive(Debug)]
pub struct SlackChannel {
    http: Arc<HttpClient>,
    method: Method,
    pace: Pace,
    answer_timeout: Duration,
    escape: bool,
}

impl SlackChannel {
    /// A channel that calls Slack through `http`.
    ///
    /// # Errors
    /// [`UnusableUrl`] where the base URL of `settings` is not one.
    pub fn new(settings: SlackSettings, http: Arc<HttpClient>) -> Result<Self, UnusableUrl> {
        Ok(Self {
            http,
            method: Method::below(&settings.base_url)?,
            pace: settings.pace,
            answer_timeout: settings.answer_timeout,
            escape: settings.escape,
        })
    }
}

#[async_trait]
impl Channel for SlackChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::SLACK
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit {
            most: PART_LIMIT,
            width: text::width,
        }
    }

    fn parts(&self, text: Text<'_>) -> Vec<String> {
        match self.escape && !text.verbatim {
            true => text::parts(text.text),
            false => text::parts_as_they_are(text.text),
        }
    }

    async fn send(&self, message: Message<'_>) -> Answer {
        let request = match request::build(&self.method, &message) {
            Ok(request) => request,
            Err(refusal) => return Answer::Refused(refusal),
        };
        match self
            .http
            .send(Host::Configured, request, self.answer_timeout)
            .await
        {
            Ok(answer) => classify::classify(&answer, &message.credential.secret),
            Err(NoAnswer::NotSent { reason }) => Answer::Refused(Refusal {
                fault: Fault::Host,
                lasting: false,
                retry_after: None,
                status: None,
                reason,
            }),
            Err(NoAnswer::Forbidden(forbidden)) => Answer::Refused(Refusal {
                fault: Fault::Destination,
                lasting: true,
                retry_after: None,
                status: None,
                reason: forbidden.to_string(),
            }),
            Err(NoAnswer::MaybeSent { reason }) => Answer::MaybeAccepted { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{guard::Guard, http::HttpSettings};

    use super::*;

    fn parts(escape: bool, text: Text<'_>) -> Vec<String> {
        let settings = SlackSettings {
            escape,
            ..SlackSettings::default()
        };
        let http = HttpClient::new(HttpSettings::default(), Guard::new(Vec::new())).unwrap();
        let channel = SlackChannel::new(settings, Arc::new(http)).unwrap();
        channel.parts(text)
    }

    #[test]
    fn a_text_is_escaped_unless_the_settings_or_its_producer_want_it_otherwise() {
        let text = Text::plain("<!channel>");
        let verbatim = Text {
            verbatim: true,
            ..text
        };
        assert_eq!(parts(true, text), ["&lt;!channel&gt;"]);
        assert_eq!(parts(false, text), ["<!channel>"]);
        assert_eq!(parts(true, verbatim), ["<!channel>"]);
    }
}
