//! The embedded form: API, store and delivery in one process.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use channels::guard::Guard;
use channels::slack::SlackSettings;
use channels::{ChannelSettings, webhook};
use common::{Clock, SystemClock};
use consumer::application::{Dispatcher, EngineSettings, Outside};
use consumer::metrics::DeliveryMetrics;
use consumer::ports;
use http_api::{ApiState, HttpMetrics, Readiness, ServerSettings};
use producer::application::{Alerts, DirectoryAdmin};
use producer::metrics::AlertMetrics;
use producer::ports::DirectoryStore;
use prometheus_client::registry::Registry;
use sqlite::{Store, Synchronous};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing_appender::non_blocking::ErrorCounter;

use super::{bind, shutdown::Shutdown};
use crate::cli::failure::Failure;
use crate::config::settings::{DeliverySettings, ServeSettings, WebhookSettings};
use crate::config::values::{LogHttp, Pace};

/// How long requests under way may take to end once the process is to end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// A service that listens and has its data folder, and has not begun.
pub(super) struct Service {
    settings: ServeSettings,
    listener: TcpListener,
    store: Store,
    clock: Arc<dyn Clock>,
    dropped_log_lines: ErrorCounter,
}

impl Service {
    /// Takes the address and the data folder. Nothing is changed where it fails.
    pub(super) async fn open(
        settings: ServeSettings,
        dropped_log_lines: ErrorCounter,
    ) -> Result<Self, Failure> {
        let listener = bind(settings.listen, "--listen").await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        if settings.history.unsafe_synchronous_off {
            tracing::warn!("synchronous writing is off: a 200 is NOT durable");
        }
        let store = Store::open(store_settings(&settings), clock.clone())
            .map_err(|error| Failure::BadInput(error.to_string()))?;
        Ok(Self {
            settings,
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
        let mut registry = Registry::with_prefix("error_notifier");
        let (dispatcher, delivery_metrics) = self.dispatcher()?;
        delivery_metrics.register(&mut registry);
        self.store.metrics.register(&mut registry);
        register_dropped_lines(&mut registry, &self.dropped_log_lines);
        let router = http_api::router(self.api_state(registry, readiness.clone()));
        let accepting_ends =
            accepting_ends(shutdown, readiness.clone(), self.settings.http.drain_delay);

        let Self {
            settings,
            listener,
            store,
            ..
        } = self;
        let mut delivering: JoinHandle<_> =
            tokio::spawn(dispatcher.run(accepting_ends.clone().wait(), DRAIN_DEADLINE));
        let server = ServerSettings {
            max_connections: settings.http.max_connections as usize,
            drain_deadline: DRAIN_DEADLINE,
            ..ServerSettings::default()
        };
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
        store.close();
        match delivered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::BadInput(error.to_string())),
            Err(error) => Err(Failure::BadInput(format!("delivering ended: {error}"))),
        }
    }

    fn dispatcher(&self) -> Result<(Dispatcher, Arc<DeliveryMetrics>), Failure> {
        let DeliverySettings {
            slack_pace,
            slack_burst,
            max_in_flight,
        } = &self.settings.delivery;
        let WebhookSettings {
            webhook_pace,
            webhook_burst,
            webhook_allow,
        } = &self.settings.webhooks;
        let digests = &self.settings.digests;
        let metrics = Arc::new(DeliveryMetrics::new(self.clock.clone()));
        let channels = channels::all(ChannelSettings {
            slack: SlackSettings {
                base_url: self.settings.slack_url.as_str().to_owned(),
                pace: ports::Pace {
                    per_second: per_second(*slack_pace),
                    burst: *slack_burst,
                },
                ..SlackSettings::default()
            },
            webhook: webhook::WebhookSettings {
                pace: ports::Pace {
                    per_second: per_second(*webhook_pace),
                    burst: *webhook_burst,
                },
                ..webhook::WebhookSettings::default()
            },
            guard: Guard::new(webhook_allow.clone().into_vec()),
            ..ChannelSettings::default()
        })
        .map_err(|error| Failure::BadInput(error.to_string()))?;
        let outside = Outside {
            queue: self.store.queue.clone(),
            credentials: self.store.directory.clone(),
            channels,
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            limits: None,
        };
        let engine = EngineSettings {
            max_in_flight: *max_in_flight as usize,
            digest_after: Some(digests.digest_after),
            without_digests: digests.digests.others(),
            timezone: digests.timezone.0.clone(),
            ..EngineSettings::default()
        };
        Ok((
            Dispatcher::new(outside, engine, uuid::Uuid::new_v4().as_u64_pair().0),
            metrics,
        ))
    }

    fn api_state(&self, mut registry: Registry, readiness: Readiness) -> ApiState {
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
        );
        ApiState {
            alerts: Arc::new(alerts),
            directory: Arc::new(DirectoryAdmin::new(directory)),
            history: self.store.history.clone(),
            control: self.store.control.clone(),
            registry: Arc::new(registry),
            metrics: http_metrics,
            readiness,
            log_http: match self.settings.log_http {
                LogHttp::Off => http_api::LogHttp::Off,
                LogHttp::Line => http_api::LogHttp::Line,
                LogHttp::Full => http_api::LogHttp::Full,
            },
            body_timeout: http_api::BODY_TIMEOUT,
        }
    }
}

fn store_settings(settings: &ServeSettings) -> sqlite::Settings {
    sqlite::Settings {
        path: settings.data_dir.clone(),
        retention: settings.history.retention,
        history_max_bytes: settings.history.history_max_bytes,
        synchronous: match settings.history.unsafe_synchronous_off {
            true => Synchronous::Off,
            false => Synchronous::Full,
        },
    }
}

fn per_second(pace: Pace) -> Option<f64> {
    match pace {
        Pace::PerSecond(rate) => Some(rate),
        Pace::Unlimited => None,
    }
}

/// The moment when no more requests are accepted: `delay` after the shutdown
/// began, during which the service says that it is not ready, so that a load
/// balancer can turn away.
#[derive(Clone)]
struct AcceptingEnds(tokio::sync::watch::Receiver<bool>);

impl AcceptingEnds {
    async fn wait(mut self) {
        // An error means that nobody can tell any more: it has ended.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}

fn accepting_ends(shutdown: Shutdown, readiness: Readiness, delay: Duration) -> AcceptingEnds {
    let (end, ended) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        shutdown.begun().await;
        readiness.drain();
        tokio::time::sleep(delay).await;
        end.send_replace(true);
    });
    AcceptingEnds(ended)
}

fn register_dropped_lines(registry: &mut Registry, dropped: &ErrorCounter) {
    registry.register_collector(Box::new(DroppedLines(dropped.clone())));
}

/// The log's own count, asked when it is shown.
struct DroppedLines(ErrorCounter);

impl std::fmt::Debug for DroppedLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DroppedLines")
    }
}

impl prometheus_client::collector::Collector for DroppedLines {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use prometheus_client::{encoding::EncodeMetric, metrics::counter::ConstCounter};
        let count = ConstCounter::new(self.0.dropped_lines() as u64);
        let metric = encoder.encode_descriptor(
            "log_lines_dropped",
            "Log lines lost because standard error did not keep up",
            None,
            count.metric_type(),
        )?;
        count.encode(metric)
    }
}
