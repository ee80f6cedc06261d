//! Delivering what is in Kafka: the fan-out and the lanes, side by side.

use std::sync::Arc;
use std::time::Duration;

use common::Clock;
use consumer::metrics::DeliveryMetrics;
use kafka::{FanOut, Lanes, OpenError};
use prometheus_client::registry::Registry;

use super::cluster::Opened;
use crate::cli::failure::Failure;
use crate::config::settings::{DeliverySettings, DigestSettings, WebhookSettings};
use crate::config::values::BaseUrl;
use crate::run::delivery;
use crate::run::listening::AcceptingEnds;

/// How long requests under way may take once a partition is given up: below the time after
/// which others believe this process dead.
const DRAIN: Duration = Duration::from_secs(5);

/// What is delivered with.
pub(super) struct How<'a> {
    pub(super) slack_url: &'a BaseUrl,
    pub(super) delivery: &'a DeliverySettings,
    pub(super) webhooks: &'a WebhookSettings,
    pub(super) digests: &'a DigestSettings,
}

/// Lanes that have not begun.
pub(super) fn lanes(
    how: &How<'_>,
    opened: &Opened,
    clock: Arc<dyn Clock>,
    registry: &mut Registry,
) -> Result<Lanes, Failure> {
    let metrics = Arc::new(DeliveryMetrics::new(clock.clone()));
    metrics.register(registry);
    let delivering = kafka::Delivering {
        channels: delivery::channels(how.slack_url, how.delivery, how.webhooks)?,
        metrics,
        clock,
        engine: delivery::engine(how.delivery, how.digests),
        drain: DRAIN,
    };
    Ok(Lanes::new(
        &opened.settings,
        opened.sealer.clone(),
        opened.limits,
        delivering,
    ))
}

/// A fan-out that has not begun.
pub(super) fn fan_out(opened: &Opened, clock: Arc<dyn Clock>) -> FanOut {
    FanOut::new(&opened.settings, opened.sealer.clone(), clock)
}

/// Fans out and delivers until `ends`, then ends both in order.
pub(super) async fn deliver(
    fan_out: FanOut,
    lanes: Lanes,
    ends: AcceptingEnds,
) -> Result<(), Failure> {
    let bad = |error: OpenError| Failure::BadInput(error.to_string());
    let (fanned_out, delivered) =
        tokio::join!(fan_out.run(ends.clone().wait()), lanes.run(ends.wait()));
    fanned_out.and(delivered).map_err(bad)
}
