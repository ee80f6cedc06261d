//! `serve` over PostgreSQL and Kafka: a producer and a consumer in one process.

use http_api::{Readiness, Standby};

use super::accepting::{Accepting, Parts};
use super::cluster;
use super::delivering::{self, How};
use crate::cli::failure::Failure;
use crate::config::settings::ServeSettings;
use crate::run::listening::{self, AcceptingEnds};
use crate::run::{access, bind, keys, shutdown::Shutdown};

/// Serves until a signal ends it.
pub(in crate::run) async fn serve(
    settings: ServeSettings,
    dropped: tracing_appender::non_blocking::ErrorCounter,
) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals()?;
    let queue = cluster::read(&settings.kafka)?;
    let secret_key = keys::of_database(&settings.embedded.secrets, &settings.kafka)?;
    let embedded = &settings.embedded;
    let server = listening::server(&embedded.http)?;
    let listener = bind(embedded.listen, "--listen").await?;
    tracing::info!(address = %embedded.listen, "listening");
    let readiness = Readiness::default();
    let standby = Standby::default();
    let ends = AcceptingEnds::after(
        shutdown.clone(),
        readiness.clone(),
        embedded.http.drain_delay,
    );
    let serving = tokio::spawn(http_api::serve(
        listener,
        standby.router(readiness.clone(), "waiting for PostgreSQL and Kafka"),
        server,
        ends.clone().wait(),
    ));
    let mut registry = listening::registry(&dropped);
    let accepting = tokio::select! {
            opened = Accepting::open(Parts {
                database: &settings.database,
                wait: &settings.wait,
                retention: embedded.history.retention,
                warnings: &embedded.warnings,
                registry: &mut registry,
                queue,
    secret_key,
            }) => opened?,
            () = shutdown.begun() => return Ok(()),
        };
    let access = access::of_api(embedded.listen, &embedded.access, accepting.directory())?;
    let how = How {
        slack_url: &embedded.slack_url,
        delivery: &embedded.delivery,
        webhooks: &embedded.webhooks,
        digests: &embedded.digests,
    };
    let lanes = delivering::lanes(
        &how,
        &accepting.queue,
        accepting.clock.clone(),
        &mut registry,
    )?;
    let fan_out = delivering::fan_out(&accepting.queue, accepting.clock.clone());
    let log_http = listening::log_http(embedded.log_http);
    let clients = listening::clients(&embedded.http);
    standby.put_in(http_api::router(accepting.api(
        registry,
        readiness,
        log_http,
        clients,
        lanes.inspectors(),
        access,
    )));
    tracing::info!("ready");
    let (delivered, served) = tokio::join!(delivering::deliver(fan_out, lanes, ends), serving);
    let _ = served;
    accepting.close().await;
    delivered
}
