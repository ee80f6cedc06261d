//! A history that cannot be read, and a store that cannot be written.

use async_trait::async_trait;
use common::{AlertId, DeliveryId};
use producer::domain::{AuditEntry, AuditRecord};
use producer::ports::{
    AlertDetail, AlertFilter, AlertPage, AuditError, AuditFilter, AuditLog, Cancelled, Control,
    ControlError, DeadLetterFilter, DeadLetterPage, DeliveryDetail, DeliveryPlace, EventId, Events,
    History, HistoryError, Mode, ReplayError, Replayed, Selection, Stage,
};

/// Fails at everything.
pub(crate) struct BrokenHistory;

fn broken<T>() -> Result<T, HistoryError> {
    Err(HistoryError::Failed("the disk is on fire".into()))
}

fn full() -> ControlError {
    ControlError::Unwritable("the disk is full".into())
}

#[async_trait]
impl History for BrokenHistory {
    async fn alerts(
        &self,
        _: AlertFilter,
        _: Option<u64>,
        _: usize,
    ) -> Result<AlertPage, HistoryError> {
        broken()
    }

    async fn alert(
        &self,
        _: AlertId,
        _: u32,
        _: usize,
    ) -> Result<Option<AlertDetail>, HistoryError> {
        broken()
    }

    async fn delivery(&self, _: DeliveryId) -> Result<Option<DeliveryDetail>, HistoryError> {
        broken()
    }

    async fn dead_letters(
        &self,
        _: DeadLetterFilter,
        _: Option<DeliveryPlace>,
        _: usize,
    ) -> Result<DeadLetterPage, HistoryError> {
        broken()
    }

    fn now(&self) -> EventId {
        EventId::default()
    }

    async fn events(&self, _: EventId, _: usize) -> Result<Events, HistoryError> {
        broken()
    }
}

#[async_trait]
impl Control for BrokenHistory {
    async fn cancel(&self, _: AlertId) -> Result<Option<Cancelled>, ControlError> {
        Err(full())
    }

    async fn replay_one(&self, _: DeliveryId) -> Result<Option<Stage>, ReplayError> {
        Err(ReplayError::CredentialGone)
    }

    async fn replay(
        &self,
        _: Selection,
        _: Option<DeliveryPlace>,
        _: usize,
        _: Mode,
    ) -> Result<Replayed, ReplayError> {
        Err(ReplayError::TooMany)
    }

    async fn discard(&self, _: DeliveryId) -> Result<bool, ControlError> {
        Err(ControlError::MaybeDone("the sync failed".into()))
    }
}

/// Takes every line, and cannot be read.
pub(crate) struct FakeAudit;

#[async_trait]
impl AuditLog for FakeAudit {
    async fn append(&self, _: AuditRecord) -> Result<(), AuditError> {
        Ok(())
    }

    async fn entries(
        &self,
        _: AuditFilter,
        _: Option<u64>,
        _: usize,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        Err(AuditError::Unavailable("the database is away".into()))
    }
}

/// Asks consumers that are other processes.
pub(crate) struct RemoteConsumers;

#[async_trait]
impl Control for RemoteConsumers {
    async fn cancel(&self, _: AlertId) -> Result<Option<Cancelled>, ControlError> {
        Ok(Some(Cancelled::Requested { deliveries: 3 }))
    }

    async fn replay_one(&self, _: DeliveryId) -> Result<Option<Stage>, ReplayError> {
        Ok(Some(Stage::Requested))
    }

    async fn replay(
        &self,
        _: Selection,
        _: Option<DeliveryPlace>,
        limit: usize,
        mode: Mode,
    ) -> Result<Replayed, ReplayError> {
        Ok(Replayed {
            count: limit,
            stage: match mode {
                Mode::DryRun => Stage::Done,
                Mode::Commit => Stage::Requested,
            },
            next: None,
        })
    }

    async fn discard(&self, _: DeliveryId) -> Result<bool, ControlError> {
        Ok(true)
    }
}
