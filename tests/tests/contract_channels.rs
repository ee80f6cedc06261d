//! The channel's behaviours, shown by each of them.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::{sync::Arc, time::Duration};

use channels::{
    guard::Guard,
    http::{HttpClient, HttpSettings},
    slack::{SlackChannel, SlackSettings},
    webhook::{WebhookChannel, WebhookSettings},
};
use common::{ChannelKind, Destination};
use consumer::ports::Channel;
use tests::contract::channel::ChannelUnderTest;

fn http() -> Arc<HttpClient> {
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    Arc::new(HttpClient::new(HttpSettings::default(), guard).unwrap())
}

struct Slack;

impl ChannelUnderTest for Slack {
    fn open(url: &str, patience: Duration) -> Arc<dyn Channel> {
        let settings = SlackSettings {
            base_url: url.to_owned(),
            answer_timeout: patience,
            ..SlackSettings::default()
        };
        Arc::new(SlackChannel::new(settings, http()).unwrap())
    }

    fn destination(_: &str) -> Destination {
        Destination::new(ChannelKind::SLACK, "", "C1")
    }

    const CREDENTIAL: &'static str = "xoxb-very-secret";
    const UNUSABLE: &'static str = "xoxb\r\nHost: elsewhere";
    const ACCEPTING: &'static str = r#"{"ok":true,"ts":"1.2"}"#;
}

struct Webhook;

impl ChannelUnderTest for Webhook {
    fn open(_: &str, patience: Duration) -> Arc<dyn Channel> {
        let settings = WebhookSettings {
            answer_timeout: patience,
            ..WebhookSettings::default()
        };
        Arc::new(WebhookChannel::new(settings, http()))
    }

    fn destination(url: &str) -> Destination {
        Destination::new(ChannelKind::WEBHOOK, url, "/hook")
    }

    const CREDENTIAL: &'static str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const UNUSABLE: &'static str = "xoxb-very-secret";
    const ACCEPTING: &'static str = "";
}

mod slack {
    tests::channel_contract!(super::Slack);
}

mod webhook {
    tests::channel_contract!(super::Webhook);
}
