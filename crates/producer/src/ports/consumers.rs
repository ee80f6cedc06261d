//! Asking the consumers, where they are other processes.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    Alert, AlertId, Credential, DeliveryId, Destination, DestinationId, Gtid, Recipients, Severity,
    UtcMillis,
};

use super::DeliveryPlace;

/// The consumers, whoever and wherever they are.
#[async_trait]
pub trait Consumers: Send + Sync {
    /// Asks them. `Ok` means durably: whoever has the deliveries in hand hears of it,
    /// or whoever has them next. A repeated request changes nothing: what is cancelled
    /// stays so, and a replay of what is on its way is passed over.
    async fn ask(&self, requests: Vec<ConsumerRequest>) -> Result<(), AskError>;
}

/// What a consumer is asked to do.
#[derive(Clone, Debug)]
pub enum ConsumerRequest {
    /// Never to send what of an alert has not been sent.
    Cancel {
        /// The alert.
        alert: AlertId,
        /// The request that brought it.
        gtid: Gtid,
        /// Its place in the order of acceptance.
        sequence: u64,
        /// Its severity.
        severity: Severity,
        /// Its deliveries that have not ended: their places in it and where they go.
        deliveries: Vec<(u32, DestinationId)>,
    },
    /// To send a delivery once more.
    Replay(Box<ReplayRequest>),
}

/// A delivery to be sent once more.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// Its place in the order of acceptance.
    pub place: DeliveryPlace,
    /// Its id, which is that of acceptance whatever credential it is sent with now.
    pub id: DeliveryId,
    /// Its alert.
    pub alert: Arc<Alert>,
    /// Where to.
    pub destination: Destination,
    /// With what, now.
    pub credential: Arc<Credential>,
    /// For whom.
    pub recipients: Recipients,
    /// Attempts that have ended.
    pub attempts: u32,
    /// When it was asked for.
    pub asked_at: UtcMillis,
    /// Whether the service has it already.
    pub repeated: bool,
}

/// Why the consumers were not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// They may have been; some or all.
    #[error("the consumers may have been asked: {0}")]
    MaybeAsked(String),
    /// None of them was; try again later.
    #[error("the consumers cannot be asked now: {0}")]
    Unavailable(String),
}
