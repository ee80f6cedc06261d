use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Hidden, Place};
use crate::{AlertId, CredentialId, DeliveryId, Severity, UserId, UtcMillis};

/// One delivery, for our own consumers and for any other subscriber.
///
/// In the sealed format its JSON holds the three fields of [`Contract`], sealed, and
/// all of [`DeliveryMeta`]. In the plain format it holds the three alone, plain, as
/// the first producers wrote them and the first consumers read them; the rest is the
/// JSON of the record's header `error-notifier`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRecord {
    /// What every message has.
    #[serde(flatten)]
    pub contract: Contract,
    /// What ours have besides.
    #[serde(flatten)]
    pub meta: DeliveryMeta,
}

/// What every message has, whoever wrote it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// The credential.
    pub token: Hidden,
    /// The place within the service: a Slack channel id, a webhook's path and query.
    pub channel_id: Hidden,
    /// The text as its reader is to see it, `[normal] node1 down`; not escaped.
    pub message: Hidden,
}

/// The most users that a delivery names: a channel shared by a whole company would
/// not fit into a message otherwise.
pub const MAX_SERVED: usize = 64;

/// What our own messages have besides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryMeta {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The id of the key that the three fields and `base_url` are sealed with, each by
    /// itself; absent where they are plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// Its place in the order of acceptance.
    pub place: Place,
    /// Its alert.
    pub alert_id: AlertId,
    /// Its own id.
    pub delivery_id: DeliveryId,
    /// The request that brought the alert.
    pub gtid: String,
    /// How urgent it is.
    pub severity: Severity,
    /// When the alert was accepted.
    pub accepted_at: UtcMillis,
    /// The channel's kind.
    pub kind: String,
    /// The service's URL; absent for the one that the channel is configured with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<Hidden>,
    /// Whether it goes to the place [for warnings](crate::DestinationId::for_warnings).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_warnings: bool,
    /// The version of the credential.
    pub credential_id: CredentialId,
    /// For whom; the first [`MAX_SERVED`] of them, all of whom the alert's record has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Served>,
    /// Whether the text has no severity before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verbatim: bool,
    /// Fields of later versions, to be handed on.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A user whom a delivery serves, and the place of the target that matched:
/// `["11111111-1111-1111-1111-111111111111", 0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served(pub UserId, pub u32);
