//! A process that uses the queue, from its start to its end.

use std::sync::Arc;

use async_trait::async_trait;
use common::{AcceptedAlert, DestinationId, Severity};
use consumer::{
    domain::{Lease, LeaseKey, Position, Settlement, Unfolded},
    ports::{DeliveryQueue, ParkedLane, QueueError, Received},
};
use producer::ports::{AcceptError, Acceptance, AlertQueue, IdempotencyKey};

use super::ModelQueue;

/// A process that uses the queue: both its ends.
pub struct Run(Arc<ModelQueue>);

impl Run {
    /// A process starts: what an earlier one had in its hands comes again.
    pub fn start(queue: Arc<ModelQueue>) -> Arc<Self> {
        queue.state().start();
        Arc::new(Self(queue))
    }
}

#[async_trait]
impl AlertQueue for Run {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        assert_eq!(key, None, "keys are another port's");
        self.0.state().accept(accepted);
        self.0.news.send_replace(());
        Ok(Acceptance::Accepted)
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl DeliveryQueue for Run {
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError> {
        Ok(self.0.state().parked())
    }

    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        let mut news = self.0.news();
        loop {
            if let Some(received) = self.0.state().receive(room) {
                return Ok(received);
            }
            news.changed().await.map_err(|_| QueueError::Closed)?;
        }
    }

    async fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        Ok(self.0.state().unpark(destination, severity, after, room))
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError> {
        let now = self.0.clock.now().utc;
        let mut state = self.0.state();
        let unfolded = settlements.iter().filter_map(|one| state.settle(one, now));
        let unfolded = unfolded.collect();
        drop(state);
        self.0.news.send_replace(());
        Ok(unfolded)
    }

    fn begins(&self, delivery: LeaseKey) {
        self.0.state().begins(delivery.position);
    }
}
