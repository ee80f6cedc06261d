//! `producer`: the API over PostgreSQL and Kafka.

use std::sync::Arc;

use http_api::{Readiness, Standby};
use producer::ports::OfNobody;

use super::accepting::{Accepting, Parts};
use super::{cluster, delivering};
use crate::cli::failure::Failure;
use crate::config::settings::ProducerSettings;
use crate::run::listening::{self, AcceptingEnds};
use crate::run::{access, bind, keys, run, shutdown::Shutdown};

/// Serves until a signal ends it.
pub(crate) fn producer(settings: ProducerSettings) -> Result<(), Failure> {
    run(&settings.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            let shutdown = Shutdown::on_signals()?;
            let queue = cluster::read(&settings.kafka)?;
            let secret_key = keys::of_database(&settings.secrets, &settings.kafka)?;
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
                standby.router(readiness.clone(), "waiting for PostgreSQL and Kafka"),
                server,
                ends.clone().wait(),
            ));
            let mut registry = listening::registry(&dropped);
            let opened = tokio::select! {
                            opened = Accepting::open(Parts {
                                database: &settings.database,
                                wait: &settings.wait,
                                retention: settings.retention,
                                warnings: &settings.warnings,
                                registry: &mut registry,
                                queue,
            secret_key,
                            }) => opened?,
                            () = shutdown.begun() => return Ok(()),
                        };
            let access = access::of_api(settings.listen, &settings.access, opened.directory())?;
            let log_http = listening::log_http(settings.log_http);
            let clients = listening::clients(&settings.http);
            let destinations = Arc::new(OfNobody);
            standby.put_in(http_api::router(opened.api(
                registry,
                readiness,
                log_http,
                clients,
                destinations,
                access,
            )));
            tracing::info!("ready");
            // Whoever reads the deliveries may be no consumer of ours, so producers fan out too.
            let fan_out = delivering::fan_out(&opened.queue, opened.clock.clone());
            let (fanned_out, served) = tokio::join!(fan_out.run(ends.wait()), serving);
            let _ = served;
            opened.close().await;
            fanned_out.map_err(|error| Failure::BadInput(error.to_string()))
        }
    })
}
