//! Where a delivery goes, and what it shows there.

use std::{borrow::Cow, fmt};

use crate::{CredentialId, DestinationId, Secret};

/// A kind of channel, by the name its adapter goes by: `slack`, `webhook`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKind(Cow<'static, str>);

impl ChannelKind {
    /// The kind of a user's first destination, made of the contract's `token`
    /// and `channelId`.
    pub const SLACK: ChannelKind = ChannelKind(Cow::Borrowed("slack"));

    /// Signed HTTP requests to a URL of the user's choice.
    pub const WEBHOOK: ChannelKind = ChannelKind(Cow::Borrowed("webhook"));

    /// The kind of that name, whether or not an adapter for it is at hand.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        [Self::SLACK, Self::WEBHOOK]
            .into_iter()
            .find(|known| name == known.as_str())
            .unwrap_or(Self(Cow::Owned(name)))
    }

    /// Whether a credential of the kind speaks for its user in every place of it, as
    /// Slack's token does. A webhook's secret belongs to its URL alone.
    pub fn has_credentials_of_users(&self) -> bool {
        *self == Self::SLACK
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One place that messages go to: the unit of order, pace and back-off.
///
/// The credential is no part of it, so a rotated token does not split it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Follows from the other three, and from whether it is [for
    /// warnings](DestinationId::for_warnings).
    pub id: DestinationId,
    /// Which adapter serves it.
    pub kind: ChannelKind,
    /// The service's URL; empty for the one that the channel is configured with
    /// (`--slack-url`), so that a restart with a corrected URL takes along what waits.
    /// Of a webhook the scheme and authority: `https://example.org:8443`.
    pub base_url: Box<str>,
    /// The place within the service: a Slack channel id, or a webhook's path and query.
    pub address: Box<str>,
}

impl Destination {
    /// The destination that these three make.
    pub fn new(kind: ChannelKind, base_url: &str, address: &str) -> Self {
        Self {
            id: DestinationId::of(kind.as_str(), base_url, address),
            kind,
            base_url: base_url.into(),
            address: address.into(),
        }
    }

    /// The same place for warnings.
    pub fn for_warnings(&self) -> Self {
        Self {
            id: self.id.for_warnings(),
            ..self.clone()
        }
    }

    /// The place as a person writes it: a Slack channel id, a webhook's whole URL.
    pub fn shown(&self) -> String {
        [&*self.base_url, &*self.address].concat()
    }

    /// The place as others may read of it: `slack C0123`, `webhook https://example.org`,
    /// without the path and query of a URL, which may hold a secret.
    pub fn hinted(&self) -> String {
        let place = if self.base_url.is_empty() {
            &self.address
        } else {
            &self.base_url
        };
        format!("{} {place}", self.kind)
    }
}

/// One version of what a user's destination asks for. A changed token is a new one.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Tells versions apart.
    pub id: CredentialId,
    /// The token itself.
    pub secret: Secret,
}
