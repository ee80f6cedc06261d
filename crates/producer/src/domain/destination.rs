//! Where a user is told: the places, in their order.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{ChannelKind, Credential, Destination, Secret, UserDestinationId, UserId};

use super::{
    text::{Invalid, line},
    url::WebUrl,
    user::Token,
};

/// The most destinations of one user, the first among them.
pub const MAX_DESTINATIONS: usize = 16;

/// How many bytes a webhook's secret may have
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme>).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// One place a user is told at.
#[derive(Clone, Debug)]
pub struct UserDestination {
    /// The place.
    pub destination: Arc<Destination>,
    /// Its current credential.
    pub credential: Arc<Credential>,
}

/// A place beyond a user's first.
#[derive(Clone, Debug)]
pub struct FurtherDestination {
    /// Its name among the user's.
    pub id: UserDestinationId,
    /// The place.
    pub place: UserDestination,
}

/// All the places of a user, in their order. The first is the contract's `token` and
/// `channelId`; nearly all users have no other, so those that do pay for it.
#[derive(Clone, Debug)]
pub struct Destinations {
    first: UserDestination,
    #[expect(
        clippy::box_collection,
        reason = "one pointer for each user without others"
    )]
    further: Option<Box<Vec<FurtherDestination>>>,
}

impl Destinations {
    /// These places, the first and the others in order.
    pub fn new(first: UserDestination, further: Vec<FurtherDestination>) -> Self {
        Self {
            first,
            further: (!further.is_empty()).then(|| Box::new(further)),
        }
    }

    /// The contract's `token` and `channelId`.
    pub fn first(&self) -> &UserDestination {
        &self.first
    }

    /// The others, in order.
    pub fn further(&self) -> &[FurtherDestination] {
        self.further.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The other of that name.
    pub fn find(&self, id: UserDestinationId) -> Option<&FurtherDestination> {
        self.further().iter().find(|one| one.id == id)
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &UserDestination> {
        let further = self.further().iter().map(|one| &one.place);
        std::iter::once(&self.first).chain(further)
    }

    /// All with their names, in order; `user` is whose they are.
    pub fn named(
        &self,
        user: UserId,
    ) -> impl Iterator<Item = (UserDestinationId, &UserDestination)> {
        let further = self.further().iter().map(|one| (one.id, &one.place));
        std::iter::once((UserDestinationId(user.0), &self.first)).chain(further)
    }
}

/// A place to be told at, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Destination);

impl Place {
    /// Reads a place. `kind` is `slack` or `webhook`; `address` a channel id of 1 to
    /// 200 characters, or a URL of at most 2,048 with `http` or `https`.
    ///
    /// # Errors
    /// [`Invalid`], naming the field.
    pub fn parse(kind: &str, address: &str) -> Result<Self, Invalid> {
        let kind = ChannelKind::new(kind);
        if kind == ChannelKind::SLACK {
            let address = line("address", address, 1..=200)?;
            return Ok(Self(Destination::new(kind, "", &address)));
        }
        if kind == ChannelKind::WEBHOOK {
            let url = WebUrl::parse("address", address)?;
            return Ok(Self(Destination::new(kind, &url.origin, &url.path)));
        }
        Err(Invalid {
            field: "kind",
            problem: "must be `slack` or `webhook`.".into(),
        })
    }

    /// The place.
    pub fn destination(&self) -> &Destination {
        &self.0
    }

    /// Reads what the place asks for: a Slack token, or a webhook's secret, `whsec_`
    /// and 24 to 64 bytes in base64.
    ///
    /// # Errors
    /// [`Invalid`], which does not repeat it.
    pub fn credential(&self, text: &str) -> Result<Token, Invalid> {
        if self.0.kind == ChannelKind::WEBHOOK && !is_webhook_secret(text) {
            return Err(Invalid {
                field: "credential",
                problem: "of a webhook must be `whsec_` followed by 24 to 64 bytes in base64."
                    .into(),
            });
        }
        Token::parse(text).map_err(|invalid| Invalid {
            field: "credential",
            ..invalid
        })
    }
}

fn is_webhook_secret(text: &str) -> bool {
    let bytes = text
        .strip_prefix("whsec_")
        .and_then(|base64| BASE64_STANDARD.decode(base64).ok());
    bytes.is_some_and(|bytes| {
        let bytes = zeroize::Zeroizing::new(bytes);
        SECRET_BYTES.contains(&bytes.len())
    })
}

/// A destination beyond a user's first, to be written.
#[derive(Clone, Debug)]
pub struct DestinationRecord {
    /// Its name among the user's.
    pub id: UserDestinationId,
    /// The place.
    pub place: Place,
    /// What the place asks for; `None` keeps the credential of that name.
    pub credential: Option<Token>,
}

impl DestinationRecord {
    /// A record that leaves a known destination as it is.
    pub(super) fn keeping(known: &FurtherDestination) -> Self {
        Self {
            id: known.id,
            place: Place((*known.place.destination).clone()),
            credential: None,
        }
    }

    /// The secret that is written, where one is.
    pub fn secret(&self) -> Option<&Secret> {
        self.credential.as_ref().map(Token::secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_place_is_a_channel_or_a_url() {
        let slack = Place::parse("slack", "C0123").unwrap();
        assert_eq!(slack.destination().shown(), "C0123");
        let hook = Place::parse("webhook", "HTTPS://Example.org:443/a?b=c").unwrap();
        assert_eq!(&*hook.destination().base_url, "https://example.org");
        assert_eq!(hook.destination().shown(), "https://example.org/a?b=c");
        assert_eq!(Place::parse("mail", "a@b").unwrap_err().field, "kind");
        assert_eq!(Place::parse("slack", "").unwrap_err().field, "address");
        assert_eq!(Place::parse("webhook", "C1").unwrap_err().field, "address");
    }

    #[test]
    fn a_webhooks_secret_is_24_to_64_bytes_and_never_repeated_in_a_refusal() {
        let hook = Place::parse("webhook", "https://example.org/").unwrap();
        assert!(hook.credential(KEY).is_ok());
        for bytes in [24, 64] {
            let text = format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
            assert!(hook.credential(&text).is_ok(), "{bytes}");
        }
        let short = format!("whsec_{}", BASE64_STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
        for text in ["", "xoxb-1", &KEY[6..], "whsec_", "whsec_!", &short, &long] {
            let refusal = hook.credential(text).unwrap_err();
            assert_eq!(refusal.field, "credential");
            assert!(text.is_empty() || !refusal.to_string().contains(text) || text == "whsec_");
        }
        let slack = Place::parse("slack", "C1").unwrap();
        assert!(slack.credential("xoxb-1").is_ok());
        assert_eq!(slack.credential("x y").unwrap_err().field, "credential");
    }
}
