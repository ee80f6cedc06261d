//! What the producer counts.

use common::Severity;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counts of alerts. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct AlertMetrics {
    accepted: Family<BySeverity, Counter>,
    recipients: Family<BySeverity, Counter>,
    reached_nobody: Counter,
    replayed: Counter,
    refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySeverity {
    severity: &'static str,
}

impl AlertMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "alerts_accepted",
            "Alerts accepted durably",
            self.accepted.clone(),
        );
        registry.register(
            "alert_recipients",
            "Users whom accepted alerts concerned",
            self.recipients.clone(),
        );
        registry.register(
            "alerts_reached_nobody",
            "Accepted alerts that concerned no user",
            self.reached_nobody.clone(),
        );
        registry.register(
            "alerts_replayed",
            "Alert requests answered again for their idempotency key",
            self.replayed.clone(),
        );
        registry.register(
            "alerts_not_accepted",
            "Alert requests that the queue could not take",
            self.refused.clone(),
        );
    }

    pub(crate) fn on_accepted(&self, severity: Severity, users: usize) {
        let label = BySeverity {
            severity: severity.as_str(),
        };
        self.accepted.get_or_create(&label).inc();
        self.recipients.get_or_create(&label).inc_by(users as u64);
        if users == 0 {
            self.reached_nobody.inc();
        }
    }

    pub(crate) fn on_replayed(&self) {
        self.replayed.inc();
    }

    pub(crate) fn on_not_accepted(&self) {
        self.refused.inc();
    }
}

/// Counts of warnings. Clones share the numbers.
#[derive(Clone, Debug, Default)]
pub struct WarningMetrics {
    warnings: Family<ByResult, Counter>,
    untold: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

impl WarningMetrics {
    /// Makes the counts visible in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "warnings",
            "Warnings to the operators that telling people failed, by result (accepted, reached_nobody, not_accepted)",
            self.warnings.clone(),
        );
        registry.register(
            "mishaps_untold",
            "What went wrong in telling people since the operators were last warned",
            self.untold.clone(),
        );
    }

    pub(crate) fn told(&self) {
        self.count("accepted");
    }

    pub(crate) fn reached_nobody(&self) {
        self.count("reached_nobody");
    }

    pub(crate) fn not_accepted(&self) {
        self.count("not_accepted");
    }

    pub(crate) fn untold(&self, count: u64) {
        self.untold.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn count(&self, result: &'static str) {
        self.warnings.get_or_create(&ByResult { result }).inc();
    }
}
