//! Controlling consumers that are other processes.

use std::sync::Arc;

use async_trait::async_trait;
use common::{AlertId, Clock, DeliveryId};

use crate::ports::{
    AskError, Cancelled, ConsumerRequest, Consumers, Control, ControlError, ControlStore,
    DeliveryPlace, DirectoryStore, Ended, MAX_REPLAYED, Mode, ReplayClaim, ReplayError,
    ReplayRequest, Replayed, Selection, Stage,
};

/// Deliveries claimed and asked for at once.
const STEP: usize = 500;

/// The use case: cancelling and replaying by asking the consumers, as far as the history
/// knows what there is to ask for.
///
/// A replay is claimed first and asked for then. Who dies in between leaves a claim that
/// runs out, and the delivery ended as it was.
pub struct RemoteControl {
    store: Arc<dyn ControlStore>,
    consumers: Arc<dyn Consumers>,
    directory: Arc<dyn DirectoryStore>,
    clock: Arc<dyn Clock>,
}

impl RemoteControl {
    /// The use case over these ports.
    pub fn new(
        store: Arc<dyn ControlStore>,
        consumers: Arc<dyn Consumers>,
        directory: Arc<dyn DirectoryStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            consumers,
            directory,
            clock,
        }
    }

    /// Claims `places` and asks for their replay.
    async fn replay_these(&self, places: Vec<DeliveryPlace>) -> Result<Asked, ReplayError> {
        let mut asked = Asked::default();
        let mut requests = Vec::new();
        let mut claimed = Vec::new();
        let mut without_credential = Vec::new();
        for claim in self.store.claim(places).await? {
            match claim {
                ReplayClaim::NoSuch => {}
                ReplayClaim::OnItsWay => asked.on_their_way += 1,
                ReplayClaim::Claimed(ended) => {
                    let place = ended.place;
                    match self.request(*ended) {
                        Some(request) => {
                            claimed.push(place);
                            requests.push(request);
                        }
                        None => without_credential.push(place),
                    }
                }
            }
        }
        asked.replayed = requests.len();
        asked.without_credential = without_credential.len();
        if !without_credential.is_empty() {
            self.store.release(without_credential).await?;
        }
        if requests.is_empty() {
            return Ok(asked);
        }
        match self.consumers.ask(requests).await {
            Ok(()) => Ok(asked),
            Err(error) => {
                if matches!(error, AskError::Unavailable(_)) {
                    // It was said already why; a claim that stays runs out by itself.
                    let _ = self.store.release(claimed).await;
                }
                Err(unasked(error).into())
            }
        }
    }

    /// What a consumer is asked; `None` where there is nothing to send it with.
    fn request(&self, ended: Ended) -> Option<ConsumerRequest> {
        let directory = self.directory.snapshot();
        let current = directory.credential_for(&ended.recipients, &ended.destination);
        let credential = current.cloned().or(ended.credential)?;
        Some(ConsumerRequest::Replay(Box::new(ReplayRequest {
            place: ended.place,
            id: ended.id,
            alert: ended.alert,
            destination: ended.destination,
            credential,
            recipients: ended.recipients,
            attempts: ended.attempts,
            asked_at: self.clock.now().utc,
            repeated: ended.is_delivered,
        })))
    }
}

/// What became of places whose replay was wanted.
#[derive(Default)]
struct Asked {
    replayed: usize,
    on_their_way: usize,
    without_credential: usize,
}

#[async_trait]
impl Control for RemoteControl {
    async fn cancel(&self, alert: AlertId) -> Result<Option<Cancelled>, ControlError> {
        let Some(open) = self.store.open(alert).await? else {
            return Ok(None);
        };
        let wanted = open.deliveries.iter().filter(|one| !one.is_in_digest);
        let deliveries = wanted.count();
        if deliveries > 0 {
            let all = open.deliveries.iter();
            let request = ConsumerRequest::Cancel {
                alert,
                gtid: open.gtid,
                sequence: open.sequence,
                severity: open.severity,
                deliveries: all.map(|one| (one.ordinal, one.destination)).collect(),
            };
            self.consumers.ask(vec![request]).await.map_err(unasked)?;
        }
        Ok(Some(Cancelled::Requested { deliveries }))
    }

    async fn replay_one(&self, id: DeliveryId) -> Result<Option<Stage>, ReplayError> {
        let Some(place) = self.store.place_of(id).await? else {
            return Ok(None);
        };
        match self.replay_these(vec![place]).await? {
            Asked { replayed: 1.., .. } => Ok(Some(Stage::Requested)),
            Asked {
                on_their_way: 1.., ..
            } => Err(ReplayError::OnItsWay),
            Asked {
                without_credential: 1..,
                ..
            } => Err(ReplayError::CredentialGone),
            Asked { .. } => Ok(None),
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
        let (places, next) = self.store.selected(selection, before, limit).await?;
        if mode == Mode::DryRun {
            return Ok(Replayed {
                count: places.len(),
                stage: Stage::Done,
                next,
            });
        }
        let mut replayed = Replayed {
            count: 0,
            stage: Stage::Requested,
            next,
        };
        let mut done = None;
        for step in places.chunks(STEP) {
            match self.replay_these(step.to_vec()).await {
                Ok(asked) => {
                    replayed.count += asked.replayed;
                    done = step.last().copied();
                }
                // What was done is told, and where to go on.
                Err(ReplayError::Store(ControlError::Unwritable(_))) if done.is_some() => {
                    replayed.next = done;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(replayed)
    }

    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError> {
        self.store.discard(id).await
    }
}

fn unasked(error: AskError) -> ControlError {
    match error {
        AskError::MaybeAsked(reason) => ControlError::MaybeDone(reason),
        AskError::Unavailable(reason) => ControlError::Unwritable(reason),
    }
}

#[cfg(test)]
mod tests;
