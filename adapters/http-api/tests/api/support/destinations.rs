//! Destinations that stand as a test says.

use async_trait::async_trait;
use common::{
    DestinationId,
    status::{StatusFilter, StatusPage},
};
use producer::ports::{Destinations, DestinationsError};

use super::Setting;

/// Answers with what it was given, once; says what it was asked.
#[derive(Default)]
pub(crate) struct FakeDestinations {
    page: Setting<Option<StatusPage>>,
    asked: Setting<Vec<(StatusFilter, Option<DestinationId>, usize)>>,
}

impl FakeDestinations {
    /// Answers so the next time; without it nobody delivers.
    pub(crate) fn answer_with(&self, page: StatusPage) {
        *self.page.lock().unwrap() = Some(page);
    }

    /// What was asked last.
    pub(crate) fn asked(&self) -> (StatusFilter, Option<DestinationId>, usize) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

#[async_trait]
impl Destinations for FakeDestinations {
    async fn status(
        &self,
        filter: StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<StatusPage, DestinationsError> {
        self.asked.lock().unwrap().push((filter, after, limit));
        let page = self.page.lock().unwrap().take();
        page.ok_or(DestinationsError::NobodyDelivers)
    }
}
