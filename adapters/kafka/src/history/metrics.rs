//! What is counted.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// Counts of the feed. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct FeedMetrics {
    pub(super) failures: Counter,
    pub(super) left_out: Counter,
}

impl FeedMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "history_feed_failures",
            "Batches that the history's store did not take; each is tried again",
            self.failures.clone(),
        );
        registry.register(
            "history_feed_left_out",
            "Records that could not be read, opened or written, and are not in the history",
            self.left_out.clone(),
        );
    }
}
