//! The Slack channel.

mod answers;
mod failures;
mod requests;

use std::{sync::Arc, time::Duration};

use channels::{
    guard::Guard,
    http::{HttpClient, HttpSettings},
    slack::{SlackChannel, SlackSettings},
};
use common::{ChannelKind, Credential, CredentialId, DeliveryId, Destination, Secret};
use consumer::{
    domain::Answer,
    ports::{Channel, Message, Part},
};

use crate::{alert, maybe, passing, refused, server};

/// The token that every test sends, unless it is about tokens.
const TOKEN: &str = "xoxb-123456-very-secret";

fn channel_with(
    base_url: &str,
    answer_timeout: Duration,
    connect_timeout: Duration,
) -> SlackChannel {
    let settings = HttpSettings {
        connect_timeout,
        ..HttpSettings::default()
    };
    let http = HttpClient::new(settings, Guard::default()).unwrap();
    let settings = SlackSettings {
        base_url: base_url.to_owned(),
        answer_timeout,
        ..SlackSettings::default()
    };
    SlackChannel::new(settings, Arc::new(http)).unwrap()
}

/// A channel to `base_url` that waits long enough for anything that comes.
fn channel(base_url: &str) -> SlackChannel {
    channel_with(base_url, Duration::from_secs(60), Duration::from_secs(60))
}

/// Sends one message with [`TOKEN`] to the configured URL.
async fn send(channel: &SlackChannel) -> Answer {
    send_as(channel, "", TOKEN).await
}

/// Sends one message to a destination with its own `base_url`, with `token`.
async fn send_as(channel: &SlackChannel, base_url: &str, token: &str) -> Answer {
    let destination = Destination::new(ChannelKind::SLACK, base_url, "C024BE91L");
    let credential = Credential {
        id: CredentialId(1),
        secret: Secret::new(token),
    };
    let alert = alert();
    let message = Message {
        destination: &destination,
        credential: &credential,
        alert: &alert,
        digest: None,
        delivery: DeliveryId::of(alert.id, destination.id, credential.id),
        text: "[high] \"node1\" &lt;down&gt;\n장애",
        part: Part { number: 1, of: 1 },
    };
    assert!(token.is_empty() || !format!("{message:?}").contains(token));
    let answer = channel.send(message).await;
    assert!(token.is_empty() || !format!("{answer:?}").contains(token));
    answer
}
