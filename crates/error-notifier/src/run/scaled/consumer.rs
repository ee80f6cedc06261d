//! `consumer`: delivers what is in Kafka. Needs no database.

use std::sync::Arc;

use common::{Clock, SystemClock};
use http_api::{HttpMetrics, LogHttp, Operations, Readiness, Standby};

use super::cluster;
use super::delivering::{self, How};
use crate::cli::failure::Failure;
use crate::config::settings::ConsumerSettings;
use crate::run::listening::{self, AcceptingEnds};
use crate::run::{access, bind, run, shutdown::Shutdown};

/// Delivers until a signal ends it.
pub(crate) fn consumer(settings: ConsumerSettings) -> Result<(), Failure> {
    run(&settings.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            let shutdown = Shutdown::on_signals()?;
            let queue = cluster::read(&settings.kafka)?;
            let server = listening::server(&settings.http)?;
            let listener = bind(settings.listen, "--listen").await?;
            tracing::info!(address = %settings.listen, "listening");
            let readiness = Readiness::default();
            let standby = Standby::default();
            let ends = AcceptingEnds::after(
                shutdown.clone(),
                readiness.clone(),
                settings.http.drain_delay,
            );
            let serving = tokio::spawn(http_api::serve(
                listener,
                standby.router(readiness.clone(), "waiting for Kafka"),
                server,
                ends.clone().wait(),
            ));
            let opened = tokio::select! {
                opened = cluster::open(queue, settings.wait.wait) => opened?,
                () = shutdown.begun() => return Ok(()),
            };
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
            let mut registry = listening::registry(&dropped);
            let http_metrics = HttpMetrics::default();
            http_metrics.register(&mut registry);
            let how = How {
                slack_url: &settings.slack_url,
                delivery: &settings.delivery,
                webhooks: &settings.webhooks,
                digests: &settings.digests,
            };
            let lanes = delivering::lanes(&how, &opened, clock.clone(), &mut registry)?;
            let health = lanes.health();
            let operations = Operations {
                readiness,
                health: Arc::new(move || health.check()),
                registry: Arc::new(registry),
                destinations: lanes.inspectors(),
            };
            standby.put_in(http_api::operations_router(
                operations,
                access::of_operations(settings.listen, &settings.access),
                http_metrics,
                LogHttp::Off,
            ));
            let delivered =
                delivering::deliver(delivering::fan_out(&opened, clock), lanes, ends).await;
            let _ = serving.await;
            delivered
        }
    })
}
