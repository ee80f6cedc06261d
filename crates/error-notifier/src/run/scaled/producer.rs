//! `producer`: the API over PostgreSQL and Kafka.

use http_api::{Readiness, Standby};

use super::accepting::{Accepting, Parts};
use super::cluster;
use crate::cli::failure::Failure;
use crate::config::settings::ProducerSettings;
use crate::run::listening::{self, AcceptingEnds};
use crate::run::{bind, run, shutdown::Shutdown};

/// Serves until a signal ends it.
pub(crate) fn producer(settings: ProducerSettings) -> Result<(), Failure> {
    run(&settings.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            let shutdown = Shutdown::on_signals()?;
            let queue = cluster::read(&settings.kafka)?;
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
                standby.router(readiness.clone(), "waiting for PostgreSQL and Kafka"),
                listening::server(&settings.http),
                ends.clone().wait(),
            ));
            let opened = tokio::select! {
                opened = Accepting::open(Parts {
                    database: &settings.database,
                    wait: &settings.wait,
                    retention: settings.retention,
                    queue,
                }) => opened?,
                () = shutdown.begun() => return Ok(()),
            };
            let registry = listening::registry(&dropped);
            let log_http = listening::log_http(settings.log_http);
            standby.put_in(http_api::router(opened.api(registry, readiness, log_http)));
            tracing::info!("ready");
            let _ = serving.await;
            opened.close().await;
            Ok(())
        }
    })
}
