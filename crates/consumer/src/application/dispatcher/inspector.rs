//! Asking a dispatcher that runs how destinations stand.
//!
//! A question goes to the task that owns the engine and is answered between two events,
//! with a bounded piece of work. What the engine does not hold in memory, the places of
//! lanes that sleep, is looked up in the queue, beside it.

use std::{collections::HashMap, fmt, sync::Arc};

use common::{
    DestinationId, Now,
    status::{StatusFilter, StatusPage},
};
use tokio::sync::{mpsc, oneshot};

use crate::{application::engine::Engine, ports::DeliveryQueue};

/// Places looked up by one call of the queue.
const LOOKED_UP: usize = 100;

/// Where to ask how destinations stand. Clones ask the same dispatcher.
#[derive(Clone)]
pub struct Inspector {
    questions: mpsc::Sender<Question>,
    queue: Arc<dyn DeliveryQueue>,
}

/// The dispatcher has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is delivered any more in this process")]
pub struct NobodyDelivers;

/// What is asked.
#[derive(Debug)]
pub(super) struct Question {
    filter: StatusFilter,
    after: Option<DestinationId>,
    limit: usize,
    answer: oneshot::Sender<StatusPage>,
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").finish_non_exhaustive()
    }
}

impl Inspector {
    pub(super) fn new(queue: Arc<dyn DeliveryQueue>) -> (Self, mpsc::Receiver<Question>) {
        // Whoever asks waits for the one before: a line of questions helps nobody.
        let (questions, asked) = mpsc::channel(1);
        (Self { questions, queue }, asked)
    }

    /// The destinations that match after `after` in the order of their ids, up to
    /// `limit`; and all breakers. A page may hold fewer than asked for, even none, and
    /// still not be the last. A repeated call answers as things are then.
    ///
    /// # Errors
    /// [`NobodyDelivers`], once the dispatcher has ended.
    pub async fn status(
        &self,
        filter: StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<StatusPage, NobodyDelivers> {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            filter: filter.clone(),
            after,
            limit,
            answer,
        };
        let asked = self.questions.send(question).await;
        asked.map_err(|_| NobodyDelivers)?;
        let mut page = answered.await.map_err(|_| NobodyDelivers)?;
        self.name_places(&mut page).await;
        page.destinations.retain(|status| {
            let kind = status.destination.as_ref().map(|place| place.kind.as_str());
            filter.takes(status.state, kind)
        });
        Ok(page)
    }

    /// Looks up the places that the engine knows by id alone.
    async fn name_places(&self, page: &mut StatusPage) {
        let unknown: Vec<_> = page
            .destinations
            .iter()
            .filter(|status| status.destination.is_none())
            .map(|status| status.id)
            .collect();
        let mut known = HashMap::with_capacity(unknown.len());
        for ids in unknown.chunks(LOOKED_UP) {
            match self.queue.destinations(ids.to_vec()).await {
                Ok(found) => known.extend(found.into_iter().map(|one| (one.id, Arc::new(one)))),
                // The rest of the page is still worth showing.
                Err(error) => return tracing::warn!(%error, "places could not be looked up"),
            }
        }
        for status in &mut page.destinations {
            if status.destination.is_none() {
                status.destination = known.remove(&status.id);
            }
        }
    }
}

impl Question {
    /// Answers from what the engine has in memory.
    pub(super) fn answer(self, engine: &Engine, now: Now) {
        let page = engine.status(now, &self.filter, self.after, self.limit);
        // Whoever asked may be gone.
        let _ = self.answer.send(page);
    }
}
