//! How destinations stand, asked of whoever delivers.

use async_trait::async_trait;
use common::{
    DestinationId,
    status::{StatusFilter, StatusPage},
};

/// What the side that delivers knows of destinations.
#[async_trait]
pub trait Destinations: Send + Sync {
    /// The destinations that are not at rest or not well and match, after `after` in the
    /// order of their ids, up to `limit` (at least 1); and the breakers that are not
    /// closed. Only reads. Bounded in work, and never in the way of a delivery: a page
    /// may hold fewer than asked for, even none, and still not be the last. A repeated
    /// call answers as things are then, so one that moves between two pages may be named
    /// in neither.
    async fn status(
        &self,
        filter: StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<StatusPage, DestinationsError>;
}

/// The destinations of a process that delivers nothing: it cannot say how they stand.
#[derive(Clone, Copy, Debug)]
pub struct OfNobody;

#[async_trait]
impl Destinations for OfNobody {
    async fn status(
        &self,
        _filter: StatusFilter,
        _after: Option<DestinationId>,
        _limit: usize,
    ) -> Result<StatusPage, DestinationsError> {
        Err(DestinationsError::NobodyDelivers)
    }
}

/// Why nobody can say how destinations stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationsError {
    /// This process delivers nothing, or nothing any more.
    #[error("nothing is delivered in this process")]
    NobodyDelivers,
}
