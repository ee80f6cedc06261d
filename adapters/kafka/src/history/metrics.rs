//! What is counted.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counts of the feed. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct FeedMetrics {
    pub(super) failures: Counter,
    pub(super) left_out: Counter,
    pub(super) begun_anew: Counter,
    pub(super) other_topics: Gauge,
    behind: Family<Of, Gauge>,
}

/// One of the two topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    topic: &'static str,
}

const ALERTS: Of = Of { topic: "alerts" };
const OUTCOMES: Of = Of { topic: "outcomes" };

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
        registry.register(
            "history_feed_begun_anew",
            "Partitions of outcomes that ended before what was recorded of them, and are recorded from their beginning",
            self.begun_anew.clone(),
        );
        registry.register(
            "history_feed_other_topics",
            "1 while the topic of alerts is not the one that the history was made of, and nothing is recorded",
            self.other_topics.clone(),
        );
        registry.register(
            "history_feed_behind_records",
            "Records of the partitions of this process that are not in the history yet",
            self.behind.clone(),
        );
    }

    /// So many records of each topic are not recorded yet.
    pub(super) fn behind(&self, alerts: i64, outcomes: i64) {
        self.behind.get_or_create(&ALERTS).set(alerts);
        self.behind.get_or_create(&OUTCOMES).set(outcomes);
    }

    #[cfg(test)]
    pub(super) fn is_behind(&self) -> (i64, i64) {
        let of = |topic| self.behind.get_or_create(topic).get();
        (of(&ALERTS), of(&OUTCOMES))
    }
}
