//! Asking the engines of a process how destinations stand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use common::{
    DestinationId,
    status::{StatusFilter, StatusPage},
};
use consumer::application::Inspector;
use producer::ports::{Destinations, DestinationsError};

/// The engines of the partitions that this process has now. Knows of no other process.
#[derive(Debug, Default)]
pub struct Inspectors(Mutex<BTreeMap<i32, Inspector>>);

/// A partition's engine can be asked as long as this lives.
pub(super) struct Inspected {
    all: Arc<Inspectors>,
    partition: i32,
}

impl Inspectors {
    pub(super) fn with(self: &Arc<Self>, partition: i32, inspector: Inspector) -> Inspected {
        self.lock().insert(partition, inspector);
        Inspected {
            all: Arc::clone(self),
            partition,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, Inspector>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inspected {
    fn drop(&mut self) {
        self.all.lock().remove(&self.partition);
    }
}

#[async_trait]
impl Destinations for Inspectors {
    async fn status(
        &self,
        filter: StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<StatusPage, DestinationsError> {
        let all: Vec<_> = self.lock().values().cloned().collect();
        let mut pages = Vec::with_capacity(all.len());
        for inspector in all {
            // One that has ended meanwhile has no destinations any more.
            pages.extend(inspector.status(filter.clone(), after, limit).await);
        }
        Ok(StatusPage::merged(pages, limit))
    }
}
