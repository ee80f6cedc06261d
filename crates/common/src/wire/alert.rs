use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Hidden, Served};
use crate::{AlertId, ApiTokenId, CredentialId, DestinationId, Severity, UtcMillis};

/// An alert with all its deliveries, or a chunk of one too long for one record.
///
/// Its being in the topic is what makes it accepted, so it is accepted whole or not
/// at all; of one in chunks, the last chunk does. The offset of the (last) record is
/// the alert's sequence number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertRecord {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The same however often it is published: the first one counts.
    pub alert_id: AlertId,
    /// The API token that it was posted with, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<ApiTokenId>,
    /// The request that brought it.
    pub gtid: String,
    /// How urgent it is.
    pub severity: Severity,
    /// When it was accepted.
    pub accepted_at: UtcMillis,
    /// Which chunk, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<AlertChunk>,
    /// The id of the key that `body` is sealed with; absent where it is plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// [`AlertBody`] as JSON, or a part of that text; sealed or plain.
    pub body: Hidden,
}

/// Which chunk of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertChunk {
    /// What the chunks of one publication have in common, and those of another
    /// publication of the same alert have not.
    pub set: Uuid,
    /// From 1; chunks come in order.
    pub number: u32,
    /// How many there are, at least 2.
    pub of: u32,
}

/// What is sealed of an alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertBody {
    /// The text, plain.
    pub message: String,
    /// Whether the text is delivered as it is, without the severity before it: it
    /// came from a producer that had put it there itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verbatim: bool,
    /// The targets as the caller named them.
    pub targets: Vec<String>,
    /// Its deliveries, in the order of their ordinals.
    pub deliveries: Vec<RecipientDelivery>,
}

/// One delivery of an alert.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipientDelivery {
    /// The channel's kind.
    pub kind: String,
    /// The service's URL; absent for the one that the channel is configured with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base_url: String,
    /// The place within the service.
    pub address: String,
    /// Whether it is the place [for warnings](DestinationId::for_warnings).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_warnings: bool,
    /// The version of the credential.
    pub credential_id: CredentialId,
    /// The credential.
    pub token: Hidden,
    /// For whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Served>,
}

impl RecipientDelivery {
    /// The id of its destination.
    pub fn destination_id(&self) -> DestinationId {
        let id = DestinationId::of(&self.kind, &self.base_url, &self.address);
        match self.for_warnings {
            true => id.for_warnings(),
            false => id,
        }
    }
}
