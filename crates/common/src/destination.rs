//! Where a delivery goes, and what it shows there.

use std::{borrow::Cow, fmt};

use crate::{CredentialId, DestinationId, Secret};

/// A kind of channel, by the name its adapter goes by: `slack`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKind(Cow<'static, str>);

impl ChannelKind {
    /// The kind of a user's first destination, made of the contract's `token`
    /// and `channelId`.
    pub const SLACK: ChannelKind = ChannelKind(Cow::Borrowed("slack"));

    /// The kind of that name, whether or not an adapter for it is at hand.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        if name == Self::SLACK.as_str() {
            Self::SLACK
        } else {
            Self(Cow::Owned(name))
        }
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
    /// Follows from the other three.
    pub id: DestinationId,
    /// Which adapter serves it.
    pub kind: ChannelKind,
    /// The service's URL; empty for the one that the channel is configured with
    /// (`--slack-url`), so that a restart with a corrected URL takes along what waits.
    pub base_url: Box<str>,
    /// The place within the service: a Slack channel id.
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
}

/// One version of what a user's destination asks for. A changed token is a new one.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Tells versions apart.
    pub id: CredentialId,
    /// The token itself.
    pub secret: Secret,
}
