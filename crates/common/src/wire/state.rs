use serde::{Deserialize, Serialize};

use super::{DeliveryRecord, Place};
use crate::UtcMillis;

/// What a delivery that has not ended must remember beyond its message: the row that
/// it gets once it waits on its own. The last one of its place counts, unless an
/// outcome says that it has ended since; then a tombstone follows. Read by whoever takes
/// its partition over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateRecord {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The delivery, whole: its first message may have been deleted since.
    pub delivery: DeliveryRecord,
    /// Attempts that have ended.
    #[serde(default)]
    pub attempts: u32,
    /// Parts of the text that the service has taken.
    #[serde(default)]
    pub parts_sent: u16,
    /// When somebody last replayed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_at: Option<UtcMillis>,
    /// Where it stands.
    pub state: StatePart,
}

/// Where a delivery that has not ended stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum StatePart {
    /// It waits for its turn, or for that of the next part of its text, and its first
    /// message need not be read again.
    Queued,
    /// It waits for another attempt.
    Waiting(WaitPart),
    /// Its lane fetches it when there is room.
    Parked,
    /// The digest of that lead carries it. Where the lead's record does not lead that
    /// digest, the fold was not made whole, and this is parked.
    #[serde(rename_all = "camelCase")]
    Folded {
        /// The digest's lead.
        lead: Place,
        /// The digest's id.
        digest_id: uuid::Uuid,
    },
    /// It leads a digest, which has not ended. Written after all its members' records.
    #[serde(rename_all = "camelCase")]
    Leads {
        /// The digest's id.
        digest_id: uuid::Uuid,
        /// What it says; sealed as the delivery's fields are.
        text: super::Hidden,
        /// All that it carries, the lead among them.
        members: Vec<Place>,
        /// How many of them are low, normal and high.
        by_severity: [u32; 3],
        /// What the digest waits for, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<WaitPart>,
    },
}

/// A wait for the next attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitPart {
    /// Not before this time.
    pub until: UtcMillis,
    /// Whose fault it is: `destination`, `payload`, `credential`, `host`, `unclear`.
    pub fault: String,
    /// Whether the service asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}
