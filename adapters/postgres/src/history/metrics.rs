//! What the history counts.

use std::time::Duration;

use prometheus_client::{
    metrics::{
        counter::Counter,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Counts of the history. Clones share the numbers.
#[derive(Clone, Debug)]
pub struct HistoryMetrics {
    batch_seconds: Histogram,
    batch_records: Histogram,
    alerts: Counter,
    outcomes: Counter,
    pub(super) trimmed: Counter,
    pub(super) dead_letters_trimmed: Counter,
}

impl Default for HistoryMetrics {
    fn default() -> Self {
        Self {
            batch_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
            batch_records: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            alerts: Counter::default(),
            outcomes: Counter::default(),
            trimmed: Counter::default(),
            dead_letters_trimmed: Counter::default(),
        }
    }
}

impl HistoryMetrics {
    /// A batch was recorded.
    pub(super) fn recorded(&self, alerts: usize, outcomes: usize, took: Duration) {
        self.batch_seconds.observe(took.as_secs_f64());
        self.batch_records.observe((alerts + outcomes) as f64);
        self.alerts.inc_by(alerts as u64);
        self.outcomes.inc_by(outcomes as u64);
    }

    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "history_batch",
            "Time that recording a batch took, its commit included",
            Unit::Seconds,
            self.batch_seconds.clone(),
        );
        registry.register(
            "history_batch_records",
            "Alerts and outcomes that shared a batch",
            self.batch_records.clone(),
        );
        registry.register(
            "history_recorded_alerts",
            "Alerts that this process recorded, those recorded already included",
            self.alerts.clone(),
        );
        registry.register(
            "history_recorded_outcomes",
            "Outcomes that this process recorded, those recorded already included",
            self.outcomes.clone(),
        );
        registry.register(
            "store_trimmed_alerts",
            "Ended alerts removed from the history for their age",
            self.trimmed.clone(),
        );
        registry.register(
            "store_trimmed_dead_letters",
            "Dead letters removed since they were older than 30 days",
            self.dead_letters_trimmed.clone(),
        );
    }
}
