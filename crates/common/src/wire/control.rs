use serde::{Deserialize, Serialize};

use super::DeliveryRecord;
use crate::{AlertId, Severity, UtcMillis};

/// What a person wants done about deliveries. Each partition gets its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "is")]
pub enum ControlRecord {
    /// What of an alert has not been sent in this partition never is.
    #[serde(rename_all = "camelCase")]
    Cancel {
        /// [`VERSION`](super::VERSION).
        v: u32,
        /// The alert.
        alert_id: AlertId,
        /// Its sequence number.
        sequence: u64,
        /// Its severity.
        severity: Severity,
        /// The last ordinal that it has in this partition.
        last: u32,
    },
    /// A delivery that had ended is sent once more.
    Replay(Box<ReplayRecord>),
}

/// A delivery to be sent once more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayRecord {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The delivery at its first place, with the credential to use now.
    pub delivery: DeliveryRecord,
    /// Attempts that had ended when it was replayed.
    pub attempts: u32,
    /// When it was replayed.
    pub replayed_at: UtcMillis,
    /// Whether the service had it already.
    pub repeated: bool,
}
