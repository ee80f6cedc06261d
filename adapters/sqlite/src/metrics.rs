//! What the store counts.

use std::sync::atomic::AtomicI64;

use prometheus_client::{
    metrics::{
        counter::Counter,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counts of the store. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    pub(crate) commit_seconds: Histogram,
    pub(crate) commit_commands: Histogram,
    pub(crate) commit_failures: Counter,
    pub(crate) open_deliveries: Gauge<i64, AtomicI64>,
    pub(crate) oldest_seconds: Gauge<i64, AtomicI64>,
    pub(crate) reserve_in_use: Gauge<i64, AtomicI64>,
    pub(crate) trimmed: Counter,
    pub(crate) dead_letters_trimmed: Counter,
}

impl Default for StoreMetrics {
    fn default() -> Self {
        Self {
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            commit_commands: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_failures: Counter::default(),
            open_deliveries: Gauge::default(),
            oldest_seconds: Gauge::default(),
            reserve_in_use: Gauge::default(),
            trimmed: Counter::default(),
            dead_letters_trimmed: Counter::default(),
        }
    }
}

impl StoreMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "store_commit",
            "Time that a commit took, its sync included",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register(
            "store_commit_commands",
            "Accepted alerts, outcome batches and directory changes that shared a commit",
            self.commit_commands.clone(),
        );
        registry.register(
            "store_commit_failures",
            "Commits that failed",
            self.commit_failures.clone(),
        );
        registry.register(
            "queue_depth",
            "Deliveries accepted that have not ended",
            self.open_deliveries.clone(),
        );
        registry.register_with_unit(
            "queue_oldest",
            "Age of the oldest alert that has not ended; refreshed every ten seconds",
            Unit::Seconds,
            self.oldest_seconds.clone(),
        );
        registry.register(
            "store_reserve_in_use",
            "1 while the disk is full and the reserve has been released",
            self.reserve_in_use.clone(),
        );
        registry.register(
            "store_trimmed_alerts",
            "Ended alerts removed from the history for their age or its size",
            self.trimmed.clone(),
        );
        registry.register(
            "store_trimmed_dead_letters",
            "Dead letters removed since they were older than 30 days",
            self.dead_letters_trimmed.clone(),
        );
    }
}
