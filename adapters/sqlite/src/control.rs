//! What a person can do about alerts, in steps that hold nobody up.

use std::sync::Arc;

use async_trait::async_trait;
use common::{AlertId, DeliveryId};
use consumer::domain::Position;
use producer::ports::{
    Cancelled, Control, ControlError, DeliveryPlace, HistoryError, MAX_REPLAYED, Mode, ReplayError,
    Replayed, Selection, Stage,
};

use crate::{
    history::SqliteHistory,
    writer::{
        Command, Commands,
        control::{STEP, Task, Verdict},
    },
};

/// Cancelling, replaying and discarding in SQLite.
pub struct SqliteControl {
    history: Arc<SqliteHistory>,
    commands: Commands,
}

impl SqliteControl {
    pub(crate) fn new(history: Arc<SqliteHistory>, commands: Commands) -> Self {
        Self { history, commands }
    }

    async fn replay_these(&self, deliveries: Vec<Position>) -> Result<Vec<Verdict>, ReplayError> {
        let answer = self
            .commands
            .send(|reply| Command::Control(Task::Replay { deliveries, reply }));
        answer.ok_or_else(closed)?.await.map_err(|_| closed())?
    }
}

#[async_trait]
impl Control for SqliteControl {
    async fn cancel(&self, alert: AlertId) -> Result<Option<Cancelled>, ControlError> {
        let Some(sequence) = self.history.sequence_of(alert).await.map_err(unread)? else {
            return Ok(None);
        };
        let (mut cancelled, mut sending) = (0, 0);
        let mut from = Some(0);
        while let Some(next) = from {
            let answer = self.commands.send(|reply| {
                Command::Control(Task::Cancel {
                    sequence,
                    from: next,
                    reply,
                })
            });
            let step = answer.ok_or_else(closed)?.await.map_err(|_| closed())??;
            cancelled += step.cancelled;
            sending += step.sending;
            from = step.next;
        }
        Ok(Some(Cancelled::Done { cancelled, sending }))
    }

    async fn replay_one(&self, id: DeliveryId) -> Result<Option<Stage>, ReplayError> {
        let Some(place) = self.history.place_of(id).await.map_err(unread)? else {
            return Ok(None);
        };
        match self.replay_these(vec![place]).await?.first() {
            Some(Verdict::Replayed) => Ok(Some(Stage::Done)),
            Some(Verdict::OnItsWay) => Err(ReplayError::OnItsWay),
            Some(Verdict::CredentialGone) => Err(ReplayError::CredentialGone),
            Some(Verdict::NoSuch) | None => Ok(None),
        }
    }

    async fn replay(
        &self,
        selection: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
        mode: Mode,
    ) -> Result<Replayed, ReplayError> {
        let limit = limit.min(MAX_REPLAYED);
        let selected = self.history.selected(selection, before, limit).await;
        let (places, next) = selected.map_err(unread)?;
        if mode == Mode::DryRun {
            return Ok(Replayed {
                count: places.len(),
                stage: Stage::Done,
                next,
            });
        }
        let mut replayed = Replayed {
            count: 0,
            stage: Stage::Done,
            next,
        };
        let mut done: Option<Position> = None;
        for step in places.chunks(STEP) {
            match self.replay_these(step.to_vec()).await {
                Ok(verdicts) => {
                    let again = verdicts.iter().filter(|one| **one == Verdict::Replayed);
                    replayed.count += again.count();
                    done = step.last().copied();
                }
                // Some are on their way: what was done is told, and where to go on.
                Err(ReplayError::TooMany) if done.is_some() => {
                    replayed.next = done.map(|place| DeliveryPlace {
                        sequence: place.sequence,
                        ordinal: place.ordinal,
                    });
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(replayed)
    }

    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError> {
        let Some(delivery) = self.history.place_of(id).await.map_err(unread)? else {
            return Ok(false);
        };
        let answer = self
            .commands
            .send(|reply| Command::Control(Task::Discard { delivery, reply }));
        answer.ok_or_else(closed)?.await.map_err(|_| closed())?
    }
}

fn closed() -> ControlError {
    ControlError::Failed("the store is closed".into())
}

fn unread(error: HistoryError) -> ControlError {
    ControlError::Failed(error.to_string())
}
