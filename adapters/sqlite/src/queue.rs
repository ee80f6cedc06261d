//! The two ends of the queue.

use std::sync::Arc;

use async_trait::async_trait;
use common::{AcceptedAlert, Destination, DestinationId, Severity};
use consumer::{
    domain::{Lease, LeaseKey, Position, Settlement, Unfolded},
    ports::{DeliveryQueue, ParkedLane, QueueError, Received},
};
use producer::ports::{AcceptError, Acceptance, AlertQueue, IdempotencyKey};
use tokio::sync;

use crate::{
    handoff::{Handoff, Next, ReadFrom},
    reader::{Reader, Readings, Unparking, Wanted},
    sending::Sending,
    writer::{Command, Commands, Prepared},
};

/// The queue in SQLite.
pub struct SqliteQueue {
    handoff: Arc<Handoff>,
    readings: Readings,
    unparking: Arc<Unparking>,
    commands: Commands,
    sending: Arc<Sending>,
    /// Held by the one call of `receive` that is under way, since two that read
    /// the same line would hand the same over.
    receiving: sync::Mutex<()>,
}

impl SqliteQueue {
    pub(crate) fn new(
        handoff: Arc<Handoff>,
        readings: Readings,
        commands: Commands,
        sending: Arc<Sending>,
    ) -> Self {
        Self {
            handoff,
            unparking: Arc::default(),
            readings,
            commands,
            sending,
            receiving: sync::Mutex::default(),
        }
    }

    async fn read_line(&self, from: ReadFrom) -> Result<Vec<Lease>, QueueError> {
        let severity = from.severity;
        let (leases, to) = self.readings.read(move |reader| reader.read(from)).await?;
        // Nothing is awaited between here and the caller's having the leases, so
        // a dropped call has not moved the cursor.
        self.handoff.resume(severity, to);
        Ok(leases)
    }
}

#[async_trait]
impl AlertQueue for SqliteQueue {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        let ended = || AcceptError::Failed("the store is closed".into());
        let alert = Prepared::from(accepted);
        let answer = self
            .commands
            .send(|reply| Command::Accept { alert, key, reply });
        answer.ok_or_else(ended)?.await.map_err(|_| ended())?
    }

    fn health(&self) -> Result<(), String> {
        self.commands.health()
    }
}

#[async_trait]
impl DeliveryQueue for SqliteQueue {
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError> {
        self.readings.read(Reader::parked).await
    }

    async fn receive(&self, room: usize) -> Result<Received, QueueError> {
        let _one_at_a_time = self.receiving.lock().await;
        loop {
            match self.handoff.next(room) {
                Next::Leases(leases) => return Ok(Received::Leases(leases)),
                Next::Cancelled(keys) => return Ok(Received::Cancelled(keys)),
                Next::CaughtUp => return Ok(Received::CaughtUp),
                Next::Read(from) => {
                    let leases = self.read_line(from).await?;
                    if !leases.is_empty() {
                        return Ok(Received::Leases(leases));
                    }
                }
                Next::Wait => self.handoff.arrival().await,
                Next::Closed => return Err(QueueError::Closed),
            }
        }
    }

    async fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let wanted = Wanted {
            destination,
            severity,
            after,
            room,
        };
        self.unparking.unpark(&self.readings, wanted).await
    }

    async fn destinations(&self, ids: Vec<DestinationId>) -> Result<Vec<Destination>, QueueError> {
        let read = move |reader: &Reader| reader.destinations(&ids);
        self.readings.read(read).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError> {
        let tried = settlements.iter().filter(|one| one.attempt.is_some());
        let tried: Vec<_> = tried.map(|one| one.lease.position).collect();
        let answer = self
            .commands
            .send(|reply| Command::Settle { settlements, reply });
        let unfolded = answer
            .ok_or(QueueError::Closed)?
            .await
            .map_err(|_| QueueError::Closed)??;
        self.sending.end(tried.into_iter());
        Ok(unfolded)
    }

    fn begins(&self, delivery: LeaseKey) {
        self.sending.begin(delivery.position);
    }
}
