//! The embedded form: API, store and delivery in one process.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use common::{Clock, Mishaps, SystemClock};
use consumer::application::{Dispatcher, Inspector, Outside};
use consumer::metrics::DeliveryMetrics;
use http_api::{Access, ApiState, HttpMetrics, Readiness, ServerSettings};
use producer::application::{Alerts, ApiTokens, DirectoryAdmin, Orders, Secrets};
use producer::metrics::AlertMetrics;
use producer::ports::DirectoryStore;
use prometheus_client::registry::Registry;
use sqlite::{Store, Synchronous};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing_appender::non_blocking::ErrorCounter;

use super::listening::{self, AcceptingEnds, DRAIN_DEADLINE};
use super::warning::{self, Warning};
use super::{access, bind, delivery, destinations::OfThisProcess, keys, shutdown::Shutdown};
use crate::cli::failure::Failure;
use crate::config::settings::EmbeddedSettings;

/// A service that listens and has its data folder, and has not begun.
pub(super) struct Service {
    settings: EmbeddedSettings,
    access: Access,
    server: ServerSettings,
    listener: TcpListener,
    store: Store,
    clock: Arc<dyn Clock>,
    dropped_log_lines: ErrorCounter,
}

impl Service {
    /// Takes the address and the data folder. Nothing is changed where it fails.
    pub(super) async fn open(
        settings: EmbeddedSettings,
        dropped_log_lines: ErrorCounter,
    ) -> Result<Self, Failure> {
        access::before_opening(settings.listen, &settings.access, &settings.data_dir)?;
        let server = listening::server(&settings.http)?;
        let listener = bind(settings.listen, "--listen").await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        if settings.history.unsafe_synchronous_off {
            tracing::warn!("synchronous writing is off: a 200 is NOT durable");
        }
        let store = Store::open(store_settings(&settings)?, clock.clone())
            .map_err(|error| Failure::BadInput(error.to_string()))?;
        let access = match access::of_api(settings.listen, &settings.access, &*store.directory) {
            Ok(access) => access,
            Err(failure) => {
                store.close();
                return Err(failure);
            }
        };
        if let Some(path) = store.secrets.key_file()
            && settings.secrets.secret_key_file.is_none()
        {
            tracing::warn!(
                path = %path.display(),
                "the key that users' tokens are sealed with is in the data folder, and whoever \
                 copies the folder copies it too: move it out and name it with \
                 --secret-key-file, and keep a copy, for without it no token can be read"
            );
        }
        Ok(Self {
            settings,
            access,
            server,
            listener,
            store,
            clock,
            dropped_log_lines,
        })
    }

    /// The address it listens on.
    pub(super) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.settings.listen)
    }

    /// The directory.
    pub(super) fn directory(&self) -> &dyn DirectoryStore {
        self.store.directory.as_ref()
    }

    /// Serves until `shutdown` begins, then ends in order: not ready, no longer
    /// accepting, requests under way answered, outcomes recorded.
    pub(super) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let readiness = Readiness::default();
        let mut registry = listening::registry(&self.dropped_log_lines);
        let ports = warning::Ports {
            directory: self.store.directory.clone(),
            queue: self.store.queue.clone(),
            clock: self.clock.clone(),
        };
        let warning = Warning::begin(
            warning::warnings(&self.settings.warnings, ports, &mut registry),
            Some(self.store.reserve_in_use.clone()),
        );
        let (dispatcher, delivery_metrics) = self.dispatcher(warning.mishaps())?;
        delivery_metrics.register(&mut registry);
        self.store.metrics.register(&mut registry);
        let router = http_api::router(self.api_state(
            registry,
            readiness.clone(),
            dispatcher.inspector(),
            warning.mishaps(),
        ));
        let accepting_ends =
            AcceptingEnds::after(shutdown, readiness.clone(), self.settings.http.drain_delay);

        let Self {
            server,
            listener,
            store,
            ..
        } = self;
        let mut delivering: JoinHandle<_> =
            tokio::spawn(dispatcher.run(accepting_ends.clone().wait(), DRAIN_DEADLINE));
        let mut serving = pin!(http_api::serve(
            listener,
            router,
            server,
            accepting_ends.wait()
        ));
        let delivered = tokio::select! {
            _ = &mut serving => delivering.await,
            // Who accepts what nobody delivers looks alive and is not: end at once,
            // and let the supervisor start anew.
            delivered = &mut delivering => {
                if readiness.is_draining() {
                    serving.await;
                }
                delivered
            }
        };
        // What went wrong until now is told before the store closes.
        warning.end().await;
        store.close();
        match delivered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::BadInput(error.to_string())),
            Err(error) => Err(Failure::BadInput(format!("delivering ended: {error}"))),
        }
    }

    fn dispatcher(
        &self,
        mishaps: Arc<dyn Mishaps>,
    ) -> Result<(Dispatcher, Arc<DeliveryMetrics>), Failure> {
        let settings = &self.settings;
        let metrics = Arc::new(DeliveryMetrics::new(self.clock.clone()));
        let outside = Outside {
            queue: self.store.queue.clone(),
            credentials: self.store.directory.clone(),
            channels: delivery::channels(
                &settings.slack_url,
                &settings.delivery,
                &settings.webhooks,
            )?,
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            limits: None,
            mishaps,
        };
        let engine = delivery::engine(&settings.delivery, &settings.digests);
        Ok((
            Dispatcher::new(outside, engine, uuid::Uuid::new_v4().as_u64_pair().0),
            metrics,
        ))
    }

    fn api_state(
        &self,
        mut registry: Registry,
        readiness: Readiness,
        inspector: Inspector,
        mishaps: Arc<dyn Mishaps>,
    ) -> ApiState {
        let alert_metrics = AlertMetrics::default();
        alert_metrics.register(&mut registry);
        let http_metrics = HttpMetrics::default();
        http_metrics.register(&mut registry);
        let directory = self.store.directory.clone();
        let alerts = Alerts::new(
            directory.clone(),
            self.store.queue.clone(),
            self.clock.clone(),
            alert_metrics,
            mishaps,
        );
        ApiState {
            alerts: Arc::new(alerts),
            directory: Arc::new(DirectoryAdmin::new(directory)),
            history: self.store.history.clone(),
            orders: Arc::new(Orders::new(
                self.store.control.clone(),
                self.store.history.clone(),
                self.store.audit.clone(),
            )),
            audit: self.store.audit.clone(),
            secrets: Arc::new(Secrets::new(
                self.store.secrets.clone(),
                self.store.audit.clone(),
            )),
            destinations: Arc::new(OfThisProcess(inspector)),
            tokens: Arc::new(ApiTokens::new(
                self.store.directory.clone(),
                self.clock.clone(),
            )),
            access: self.access,
            registry: Arc::new(registry),
            metrics: http_metrics,
            readiness,
            log_http: listening::log_http(self.settings.log_http),
            body_timeout: http_api::BODY_TIMEOUT,
            clients: listening::clients(&self.settings.http),
        }
    }
}

fn store_settings(settings: &EmbeddedSettings) -> Result<sqlite::Settings, Failure> {
    Ok(sqlite::Settings {
        path: settings.data_dir.clone(),
        retention: settings.history.retention,
        history_max_bytes: settings.history.history_max_bytes,
        synchronous: match settings.history.unsafe_synchronous_off {
            true => Synchronous::Off,
            false => Synchronous::Full,
        },
        secret_key: keys::of_secrets(&settings.secrets)?,
        scrub_large: false,
    })
}
