//! The webhook channel.

mod answers;
mod requests;

use std::{sync::Arc, time::Duration};

use channels::{
    guard::Guard,
    http::{HttpClient, HttpSettings},
    webhook::{WebhookChannel, WebhookSettings},
};
use common::{ChannelKind, Credential, CredentialId, DeliveryId, Destination, Secret};
use consumer::{
    domain::{Answer, Digest},
    ports::{Channel, Message, Part},
};

use crate::{alert, maybe, passing, refused, server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A channel that may call the loopback interface and waits at most so long.
fn channel(answer_timeout: Duration) -> WebhookChannel {
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let http = HttpClient::new(HttpSettings::default(), guard).unwrap();
    let settings = WebhookSettings {
        answer_timeout,
        ..WebhookSettings::default()
    };
    WebhookChannel::new(settings, Arc::new(http))
}

/// What is sent in a test.
struct Sent {
    destination: Destination,
    credential: Credential,
    text: &'static str,
    part: Part,
    digest: Option<Digest>,
}

impl Sent {
    fn to(url: &str) -> Self {
        Self {
            destination: Destination::new(ChannelKind::WEBHOOK, url, "/hook?a=b"),
            credential: Credential {
                id: CredentialId(1),
                secret: Secret::new(SECRET),
            },
            text: "[high] \"node1\" <down>\n장애",
            part: Part { number: 1, of: 1 },
            digest: None,
        }
    }

    fn with_secret(mut self, secret: &str) -> Self {
        self.credential.secret = Secret::new(secret);
        self
    }

    async fn by(&self, channel: &WebhookChannel) -> Answer {
        let alert = alert();
        let message = Message {
            destination: &self.destination,
            credential: &self.credential,
            alert: &alert,
            digest: self.digest.as_ref(),
            delivery: DeliveryId(uuid::Uuid::from_u128(7)),
            text: self.text,
            part: self.part,
        };
        assert!(!format!("{message:?}").contains("MfKQ9r8G"));
        let answer = channel.send(message).await;
        assert!(!format!("{answer:?}").contains("MfKQ9r8G"));
        answer
    }
}

/// Sends one message, waiting long enough for anything that comes.
async fn send(url: &str) -> Answer {
    Sent::to(url).by(&channel(Duration::from_secs(60))).await
}
