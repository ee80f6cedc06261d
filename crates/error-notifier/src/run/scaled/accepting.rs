//! Accepting over PostgreSQL and Kafka: everything that stands behind the API.

use std::sync::Arc;
use std::time::Duration;

use common::{Clock, SystemClock};
use http_api::{Access, ApiState, Clients, HttpMetrics, LogHttp, Readiness};
use kafka::{FeedMetrics, HistoryFeed, Publisher, Sealer};
use postgres::{DatabaseUrl, Postgres, UrlError};
use producer::application::{
    Alerts, ApiTokens, DirectoryAdmin, KeyedQueue, Orders, RemoteControl, Secrets, WatchedHistory,
};
use producer::metrics::AlertMetrics;
use producer::ports::{Destinations, DirectoryStore};
use prometheus_client::registry::Registry;
use sealing::Vault;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::cluster::{self, Opened};
use crate::cli::failure::Failure;
use crate::config::secret::SecretText;
use crate::config::settings::{DatabaseSettings, WaitSettings, WarningSettings};
use crate::run::warning::{self, Warning};

/// How long what was published may take to be acknowledged at the end.
const FLUSH: Duration = Duration::from_secs(5);

/// What accepting is made of.
pub(super) struct Parts<'a> {
    pub(super) database: &'a DatabaseSettings,
    pub(super) wait: &'a WaitSettings,
    pub(super) retention: Duration,
    pub(super) warnings: &'a WarningSettings,
    /// What the parts count is registered here.
    pub(super) registry: &'a mut Registry,
    pub(super) secret_key: Arc<Vault>,
    pub(super) queue: (kafka::Settings, Arc<Sealer>),
}

/// A database and a queue in use, and the feed of the history between them.
pub(super) struct Accepting {
    pub(super) queue: Opened,
    pub(super) clock: Arc<dyn Clock>,
    database: Postgres,
    publisher: Arc<Publisher>,
    /// The publisher, with the keys beside it.
    alerts: Arc<KeyedQueue>,
    warning: Warning,
    feeding: JoinHandle<Result<(), kafka::OpenError>>,
    end_feed: watch::Sender<bool>,
}

/// How the database is used.
pub(super) fn named_database(
    database: &DatabaseSettings,
    wait: &WaitSettings,
    secret_key: Arc<Vault>,
) -> Result<postgres::Settings, Failure> {
    Ok(postgres::Settings {
        wait: wait.wait,
        ..postgres::Settings::new(named_url(database)?, secret_key)
    })
}

/// Where the database is.
pub(super) fn named_url(database: &DatabaseSettings) -> Result<DatabaseUrl, Failure> {
    match &database.database_url {
        Some(url) => database_url(url),
        None => Err(Failure::BadInput(
            "no database is named; give one with --database-url".into(),
        )),
    }
}

/// That URL, read.
pub(crate) fn database_url(url: &SecretText) -> Result<DatabaseUrl, Failure> {
    url.expose().parse().map_err(|error: UrlError| {
        Failure::BadInput(format!("the value of --database-url {error}"))
    })
}

impl Accepting {
    /// Reaches database and brokers, waiting for each as the settings say.
    pub(super) async fn open(parts: Parts<'_>) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let settings = postgres::Settings {
            retention: parts.retention,
            ..named_database(parts.database, parts.wait, parts.secret_key)?
        };
        let (database, queue) = tokio::try_join!(
            async {
                let connected = Postgres::connect(settings, clock.clone()).await;
                connected.map_err(|error| Failure::BadInput(error.to_string()))
            },
            cluster::open(parts.queue, parts.wait.wait),
        )?;
        let bad = |error: kafka::OpenError| Failure::BadInput(error.to_string());
        let publisher = Publisher::open(
            &queue.settings,
            queue.sealer.clone(),
            queue.limits,
            queue.cluster.clone(),
        );
        let publisher = Arc::new(publisher.map_err(bad)?);
        let alerts = KeyedQueue::new(publisher.clone(), database.keys.clone());
        let alerts = Arc::new(alerts);
        let ports = warning::Ports {
            directory: database.directory.clone(),
            queue: alerts.clone(),
            clock: clock.clone(),
        };
        let warnings = warning::warnings(parts.warnings, ports, parts.registry);
        let warning = Warning::begin(warnings, None);
        let feed_metrics = FeedMetrics::default();
        feed_metrics.register(parts.registry);
        let feed = HistoryFeed::new(
            &queue.settings,
            queue.sealer.clone(),
            Arc::new(WatchedHistory::new(
                database.history.clone(),
                warning.mishaps(),
            )),
            clock.clone(),
            feed_metrics,
        );
        let (end_feed, mut ended) = watch::channel(false);
        let feeding = tokio::spawn(async move {
            let stop = async move {
                // An error means that nobody can end it any more: it has ended.
                let _ = ended.wait_for(|ended| *ended).await;
            };
            feed.run(stop).await
        });
        Ok(Self {
            queue,
            clock,
            database,
            publisher,
            alerts,
            warning,
            feeding,
            end_feed,
        })
    }

    /// The directory.
    pub(super) fn directory(&self) -> &dyn DirectoryStore {
        self.database.directory.as_ref()
    }

    /// What the API works with. Registers all that is counted.
    pub(super) fn api(
        &self,
        mut registry: Registry,
        readiness: Readiness,
        log_http: LogHttp,
        clients: Clients,
        destinations: Arc<dyn Destinations>,
        access: Access,
    ) -> ApiState {
        let alert_metrics = AlertMetrics::default();
        alert_metrics.register(&mut registry);
        let http_metrics = HttpMetrics::default();
        http_metrics.register(&mut registry);
        self.database.metrics.register(&mut registry);
        let directory = self.database.directory.clone();
        let alerts = Alerts::new(
            directory.clone(),
            self.alerts.clone(),
            self.clock.clone(),
            alert_metrics,
            self.warning.mishaps(),
        );
        let control = RemoteControl::new(
            self.database.history.clone(),
            self.publisher.clone(),
            directory.clone(),
            self.clock.clone(),
        );
        ApiState {
            alerts: Arc::new(alerts),
            directory: Arc::new(DirectoryAdmin::new(directory)),
            history: self.database.history.clone(),
            orders: Arc::new(Orders::new(
                Arc::new(control),
                self.database.history.clone(),
                self.database.audit.clone(),
            )),
            audit: self.database.audit.clone(),
            secrets: Arc::new(Secrets::new(
                self.database.secrets.clone(),
                self.database.audit.clone(),
            )),
            destinations,
            tokens: Arc::new(ApiTokens::new(
                self.database.directory.clone(),
                self.clock.clone(),
            )),
            access,
            registry: Arc::new(registry),
            metrics: http_metrics,
            readiness,
            log_http,
            body_timeout: http_api::BODY_TIMEOUT,
            clients,
        }
    }

    /// Ends what runs, in order.
    pub(super) async fn close(self) {
        // What went wrong until now is told while the queue still accepts.
        self.warning.end().await;
        self.publisher.flush(FLUSH).await;
        self.end_feed.send_replace(true);
        match self.feeding.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the history was not fed"),
            Err(error) => tracing::error!(%error, "the feed of the history ended"),
        }
        self.database.close();
    }
}
