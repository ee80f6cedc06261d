//! One log line for each attempt: who, how often, how it ended. Never the text
//! and never the token. And one for each breaker that opens or closes.

use common::status::BreakerState;

use crate::{
    application::engine::BreakerChange,
    domain::{Attempt, Lease, Outcome, Settlement},
};

/// Writes the line. What is merely parked gets none.
pub(super) fn write(settlement: &Settlement, lease: &Lease) {
    let attempt = settlement.attempt.as_ref();
    let number = attempt.map(|attempt| attempt.number);
    let status = attempt.and_then(|attempt| attempt.status);
    let took_ms = attempt.map(took_ms);
    let outcome = settlement.outcome.as_str();
    match &settlement.outcome {
        Outcome::Parked => {}
        Outcome::Folded { digest, members } => tracing::info!(
            gtid = %lease.alert.gtid,
            digest_id = %digest.id,
            channel = %lease.destination.kind,
            address = &*lease.destination.address,
            deliveries = members.len(),
            outcome,
            "digest",
        ),
        Outcome::TakenApart => tracing::warn!(
            gtid = %lease.alert.gtid,
            digest_id = %lease.delivery_id(),
            channel = %lease.destination.kind,
            address = &*lease.destination.address,
            outcome,
            status,
            took_ms,
            error = attempt.and_then(|attempt| attempt.error.as_deref()),
            "digest",
        ),
        Outcome::Delivered | Outcome::PartSent | Outcome::Cancelled => tracing::info!(
            gtid = %lease.alert.gtid,
            alert_id = %lease.alert.id,
            delivery_id = %lease.delivery_id(),
            channel = %lease.destination.kind,
            address = &*lease.destination.address,
            attempt = number,
            outcome,
            status,
            took_ms,
            "delivery",
        ),
        Outcome::Waiting(wait) => tracing::warn!(
            gtid = %lease.alert.gtid,
            alert_id = %lease.alert.id,
            delivery_id = %lease.delivery_id(),
            channel = %lease.destination.kind,
            address = &*lease.destination.address,
            attempt = number,
            outcome,
            status,
            took_ms,
            fault = wait.fault.as_str(),
            error = attempt.and_then(|attempt| attempt.error.as_deref()),
            "delivery",
        ),
        Outcome::Dead { reason } => tracing::warn!(
            gtid = %lease.alert.gtid,
            alert_id = %lease.alert.id,
            delivery_id = %lease.delivery_id(),
            channel = %lease.destination.kind,
            address = &*lease.destination.address,
            attempt = number,
            outcome,
            status,
            took_ms,
            error = reason.as_str(),
            "delivery",
        ),
    }
}

/// Writes the line of a breaker. Its probes get none: their attempts have theirs.
pub(super) fn breaker(change: &BreakerChange) {
    let kind = change.of.kind();
    let name = change.of.name();
    match (change.from, change.to) {
        (BreakerState::Closed, _) => {
            tracing::warn!(kind, name, error = &*change.error, "breaker opened");
        }
        (_, BreakerState::Closed) => tracing::info!(kind, name, "breaker closed"),
        _ => {}
    }
}

/// In milliseconds, to the tenth.
fn took_ms(attempt: &Attempt) -> f64 {
    (attempt.took.as_secs_f64() * 10_000.0).round() / 10.0
}
