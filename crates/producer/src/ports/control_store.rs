//! What controlling needs of the history, where the consumers are other processes.

use std::sync::Arc;

use async_trait::async_trait;
use common::{
    Alert, AlertId, Credential, DeliveryId, Destination, DestinationId, Gtid, Recipients, Severity,
};

use super::{ControlError, DeliveryPlace, Selection};

/// Chooses what is cancelled and replayed, and notes what was asked for.
#[async_trait]
pub trait ControlStore: Send + Sync {
    /// What of an alert has not ended; `None` where there is no such alert.
    async fn open(&self, alert: AlertId) -> Result<Option<OpenAlert>, ControlError>;

    /// The place of a delivery; `None` where there is none of that id.
    async fn place_of(&self, id: DeliveryId) -> Result<Option<DeliveryPlace>, ControlError>;

    /// The deliveries of a selection that have ended, the last accepted first, up to
    /// `limit`; only those before `before`, where given. The second is where to go on.
    async fn selected(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<(Vec<DeliveryPlace>, Option<DeliveryPlace>), ControlError>;

    /// Claims each of `places` that has ended, durably, for who is about to ask for its
    /// replay: a claimed one is not claimed again, until it is recorded that it is on
    /// its way, until it is [released](Self::release), or for a minute, so that a claim
    /// whose process died is no loss. One answer for each, in their order.
    async fn claim(&self, places: Vec<DeliveryPlace>) -> Result<Vec<ReplayClaim>, ControlError>;

    /// Gives claims up. Fine where there is none.
    async fn release(&self, places: Vec<DeliveryPlace>) -> Result<(), ControlError>;

    /// As [`Control::discard`](super::Control::discard).
    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError>;
}

/// What of an alert has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// Its place in the order of acceptance.
    pub sequence: u64,
    /// Its severity.
    pub severity: Severity,
    /// The request that brought it.
    pub gtid: Gtid,
    /// The deliveries that have not ended, or whose replay is being asked for; in order.
    pub deliveries: Vec<OpenDelivery>,
}

/// A delivery that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Its place within the alert.
    pub ordinal: u32,
    /// Where it goes.
    pub destination: DestinationId,
    /// Whether a digest carries it, which is not cancelled.
    pub is_in_digest: bool,
}

/// What came of a claim.
#[derive(Clone, Debug)]
pub enum ReplayClaim {
    /// It is claimed.
    Claimed(Box<Ended>),
    /// It has not ended, or is claimed already.
    OnItsWay,
    /// There is no such delivery.
    NoSuch,
}

/// A delivery that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its place.
    pub place: DeliveryPlace,
    /// Its id.
    pub id: DeliveryId,
    /// Its alert.
    pub alert: Arc<Alert>,
    /// Where to.
    pub destination: Destination,
    /// For whom.
    pub recipients: Recipients,
    /// The credential of acceptance; `None` where it is gone.
    pub credential: Option<Arc<Credential>>,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Whether the service has it.
    pub is_delivered: bool,
}
