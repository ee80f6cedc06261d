//! How destinations stand: the producer's port, answered by the consumer.

use async_trait::async_trait;
use common::DestinationId;
use common::status::{StatusFilter, StatusPage};
use consumer::application::{Inspector, NobodyDelivers};
use producer::ports::{Destinations, DestinationsError};

/// Asks the dispatcher of this process.
pub(super) struct OfThisProcess(pub(super) Inspector);

#[async_trait]
impl Destinations for OfThisProcess {
    async fn status(
        &self,
        filter: StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<StatusPage, DestinationsError> {
        let page = self.0.status(filter, after, limit).await;
        page.map_err(|NobodyDelivers| DestinationsError::NobodyDelivers)
    }
}
