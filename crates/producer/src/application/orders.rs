//! Orders about alerts that were accepted, on record.

use std::sync::Arc;

use common::{AlertId, DeliveryId};
use uuid::Uuid;

use crate::{
    domain::{Action, AuditRecord, Caller, Deed},
    ports::{
        AuditError, AuditLog, Cancelled, Control, ControlError, DeliveryPlace, History, Mode,
        ReplayError, Replayed, Selection, Stage,
    },
};

/// The use case: cancelling, replaying and discarding. Each order is in the audit log
/// before it is carried out, so none is carried out unrecorded; one that is refused, or
/// finds nothing to do, is there all the same. One about what does not exist is none, so
/// nobody fills the log with ids that they made up; where the history cannot say whether it
/// exists, it is taken for an order.
pub struct Orders {
    control: Arc<dyn Control>,
    history: Arc<dyn History>,
    audit: Arc<dyn AuditLog>,
}

impl Orders {
    /// The use case over these ports.
    pub fn new(
        control: Arc<dyn Control>,
        history: Arc<dyn History>,
        audit: Arc<dyn AuditLog>,
    ) -> Self {
        Self {
            control,
            history,
            audit,
        }
    }

    /// As [`Control::cancel`].
    ///
    /// # Errors
    /// As there, and where the order could not be recorded.
    pub async fn cancel(
        &self,
        alert: AlertId,
        by: &Caller,
    ) -> Result<Option<Cancelled>, ControlError> {
        if let Ok(None) = self.history.alert(alert, 0, 1).await {
            return Ok(None);
        }
        self.record(by, Action::AlertCancelled, Some(alert.0), String::new())
            .await?;
        self.control.cancel(alert).await
    }

    /// As [`Control::replay_one`].
    ///
    /// # Errors
    /// As there, and where the order could not be recorded.
    pub async fn replay_one(
        &self,
        id: DeliveryId,
        by: &Caller,
    ) -> Result<Option<Stage>, ReplayError> {
        if let Ok(None) = self.history.delivery(id).await {
            return Ok(None);
        }
        self.record(by, Action::DeliveryReplayed, Some(id.0), String::new())
            .await?;
        self.control.replay_one(id).await
    }

    /// As [`Control::replay`]; a dry run is no order.
    ///
    /// # Errors
    /// As there, and where the order could not be recorded.
    pub async fn replay(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
        mode: Mode,
        by: &Caller,
    ) -> Result<Replayed, ReplayError> {
        if mode == Mode::Commit {
            let (action, detail) = described(&selection);
            self.record(by, action, None, detail).await?;
        }
        self.control.replay(selection, before, limit, mode).await
    }

    /// As [`Control::discard`].
    ///
    /// # Errors
    /// As there, and where the order could not be recorded.
    pub async fn discard(&self, id: DeliveryId, by: &Caller) -> Result<bool, ControlError> {
        if let Ok(None) = self.history.delivery(id).await {
            return Ok(false);
        }
        self.record(by, Action::DeadLetterDiscarded, Some(id.0), String::new())
            .await?;
        self.control.discard(id).await
    }

    async fn record(
        &self,
        by: &Caller,
        action: Action,
        subject: Option<Uuid>,
        detail: String,
    ) -> Result<(), ControlError> {
        let record = AuditRecord {
            by: by.clone(),
            deed: Deed::new(action, subject, detail),
        };
        self.audit.append(record).await.map_err(unrecorded)
    }
}

fn described(selection: &Selection) -> (Action, String) {
    match selection {
        Selection::DeadLetters(filter) => {
            let mut words = Vec::new();
            words.extend(filter.channel.iter().map(|text| format!("channel {text}")));
            words.extend(filter.reason.iter().map(|text| format!("reason {text:?}")));
            words.extend(filter.since.iter().map(|at| format!("since {} ms", at.0)));
            (Action::DeadLettersReplayed, words.join(", "))
        }
        Selection::Destination {
            destination,
            since,
            until,
        } => (
            Action::AlertsReplayed,
            format!(
                "destination {:016x}, {} to {} ms",
                destination.0, since.0, until.0
            ),
        ),
    }
}

/// Nothing was done: the order itself comes after.
fn unrecorded(error: AuditError) -> ControlError {
    match error {
        AuditError::Unavailable(reason) | AuditError::MaybeDone(reason) => {
            ControlError::Unwritable(reason)
        }
        AuditError::Failed(reason) => ControlError::Failed(reason),
    }
}

#[cfg(test)]
mod tests;
