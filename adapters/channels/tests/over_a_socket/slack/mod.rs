//! The Slack channel against a server on the loopback interface.
#![allow(clippy::unwrap_used)]

mod answers;
mod failures;
mod requests;
mod server;

use std::{sync::Arc, time::Duration};

use channels::{
    http::{HttpClient, HttpSettings},
    slack::{SlackChannel, SlackSettings},
};
use common::{
    AlertId, ChannelKind, Credential, CredentialId, DeliveryId, Destination, Gtid, Secret,
};
use consumer::{
    domain::{Answer, Fault, Refusal},
    ports::{Channel, Message},
};

/// The token that every test sends, unless it is about tokens.
const TOKEN: &str = "xoxb-123456-very-secret";

fn channel_with(
    base_url: &str,
    answer_timeout: Duration,
    connect_timeout: Duration,
) -> SlackChannel {
    let http = HttpClient::new(HttpSettings {
        connect_timeout,
        ..HttpSettings::default()
    })
    .unwrap();
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
    let message = Message {
        destination: &destination,
        credential: &credential,
        text: "[high] \"node1\" &lt;down&gt;\n장애",
        delivery: DeliveryId::of(AlertId::generate(), destination.id, credential.id),
        gtid: &Gtid::random(),
    };
    assert!(token.is_empty() || !format!("{message:?}").contains(token));
    let answer = channel.send(message).await;
    assert!(token.is_empty() || !format!("{answer:?}").contains(token));
    answer
}

/// The refusal that `answer` has to be.
fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The reason of an answer that has to be [`Answer::MaybeAccepted`].
fn maybe(answer: Answer) -> String {
    match answer {
        Answer::MaybeAccepted { reason } => reason,
        other => panic!("not open: {other:?}"),
    }
}

/// A refusal that passes.
fn passing(fault: Fault, status: u16, reason: &str) -> Refusal {
    Refusal {
        fault,
        lasting: false,
        retry_after: None,
        status: Some(status),
        reason: reason.to_owned(),
    }
}
