use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Place, WaitPart};
use crate::{AlertId, DeliveryId, DestinationId, Severity, UtcMillis};

/// What became of a delivery, or of the digest that it leads. The history is made of
/// these, and whoever takes a partition over learns from them what has ended since
/// the last checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeRecord {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The delivery's place.
    pub place: Place,
    /// Its alert.
    pub alert_id: AlertId,
    /// Its own id.
    pub delivery_id: DeliveryId,
    /// Its destination's id.
    pub destination_id: DestinationId,
    /// Its severity.
    pub severity: Severity,
    /// When this was decided.
    pub at: UtcMillis,
    /// Parts of the text that the service has taken.
    #[serde(default)]
    pub parts_sent: u16,
    /// The attempt that ended with it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptPart>,
    /// What follows.
    pub outcome: OutcomePart,
    /// The digest that the delivery leads, where it does: then this is about all that
    /// the digest carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<DigestPart>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptPart {
    /// From 1.
    pub number: u32,
    /// When the request began.
    pub started_at: UtcMillis,
    /// How long until its end, in microseconds.
    pub took_us: u64,
    /// How it ended: `accepted`, `refused`, `maybe_accepted`.
    pub result: String,
    /// The HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The service's error code or a short description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The service's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// What follows for the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum OutcomePart {
    /// The service has all of it. Final.
    Delivered,
    /// The service has a part of it.
    PartSent,
    /// Another attempt follows.
    Waiting(WaitPart),
    /// Given up. Final until replayed.
    Dead {
        /// Why.
        reason: String,
    },
    /// Cancelled before it was sent. Final until replayed.
    Cancelled,
    /// It waits for its turn on disk.
    Parked,
    /// It leads a new digest.
    Folded,
    /// The digest was taken apart, and what it carried waits for its turn.
    TakenApart,
    /// It is on its way again, as somebody wanted.
    #[serde(rename_all = "camelCase")]
    Replayed {
        /// Whether the service had it already.
        repeated: bool,
        /// The replay's offset in the topic of controls.
        control: u64,
    },
}

/// What a digest is, where a record is about one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestPart {
    /// Its id.
    pub id: Uuid,
    /// All that it carries, where it begins ([`OutcomePart::Folded`]) and where it ends:
    /// it never changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Place>,
    /// How many of them are low, normal and high.
    pub by_severity: [u32; 3],
}
