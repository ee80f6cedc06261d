//! A way out to an external service: [`Channel`].

mod sending;
mod server;
mod texts;

use std::{sync::Arc, time::Duration};

use common::{
    Alert, AlertId, Credential, CredentialId, DeliveryId, Destination, Gtid, Secret, Severity,
    UtcMillis,
};
use consumer::{
    domain::{Answer, Refusal},
    ports::{Channel, Message, Part},
};

pub use self::{sending::*, texts::*};

/// A channel, and what its service would be like.
pub trait ChannelUnderTest: Send + Sync {
    /// The channel, which waits at most so long for an answer. Its service is at
    /// `url`, on the loopback interface.
    fn open(url: &str, patience: Duration) -> Arc<dyn Channel>;

    /// A place of the service at `url`.
    fn destination(url: &str) -> Destination;

    /// A credential that it takes.
    const CREDENTIAL: &'static str;

    /// What cannot be a credential of it.
    const UNUSABLE: &'static str;

    /// The body of an answer that accepts a message.
    const ACCEPTING: &'static str;
}

/// Makes a test of each behaviour that the channel's port promises.
#[macro_export]
macro_rules! channel_contract {
    ($adapter:ty) => {
        $crate::each_behaviour! { $adapter, channel:
            its_pace_can_be_kept
            a_text_is_at_least_one_message_and_always_the_same
            a_text_within_the_limit_is_one_message
            a_longer_text_is_several_each_marked_and_within_the_limit

            an_accepted_message_is_accepted_with_its_status
            sending_twice_delivers_twice
            a_message_that_is_not_answered_in_time_may_have_been_accepted
            a_connection_that_breaks_off_may_have_accepted
            a_service_that_is_not_there_has_not_accepted
            an_answer_that_never_ends_is_left
            a_redirect_is_not_followed
            a_limited_destination_says_how_long
            an_absurd_wait_is_bounded
            an_error_of_the_service_passes
            an_unusable_credential_is_never_sent
        }
    };
}

/// How long a test waits for an answer that comes.
const LONG: Duration = Duration::from_secs(60);

/// Sends one message to the service at `url`.
async fn send<C: ChannelUnderTest>(url: &str, credential: &str, patience: Duration) -> Answer {
    let channel = C::open(url, patience);
    let destination = C::destination(url);
    assert_eq!(channel.kind(), destination.kind);
    let answer = send_through(&*channel, &destination, credential).await;
    assert!(credential.is_empty() || !format!("{answer:?}").contains(credential));
    answer
}

/// Sends one message through `channel`.
pub async fn send_through(
    channel: &dyn Channel,
    destination: &Destination,
    credential: &str,
) -> Answer {
    let credential = Credential {
        id: CredentialId(1),
        secret: Secret::new(credential),
    };
    let alert = Alert {
        id: AlertId::generate(),
        caller: None,
        gtid: Gtid::random(),
        severity: Severity::High,
        message: "node1 down".into(),
        verbatim: false,
        targets: ["@ann".into()].into(),
        accepted_at: UtcMillis(1_795_392_000_000),
    };
    channel
        .send(Message {
            destination,
            credential: &credential,
            alert: &alert,
            digest: None,
            delivery: DeliveryId::of(alert.id, destination.id, credential.id),
            text: "[high] node1 down",
            part: Part { number: 1, of: 1 },
        })
        .await
}

fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
