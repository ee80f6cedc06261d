//! What every server does with its HTTP side: when it stops accepting, what it counts.

use std::time::Duration;

use http_api::{Clients, LogHttp, Rate, Readiness, ServerSettings, Tls, TlsFiles, TrustedProxies};
use prometheus_client::registry::Registry;
use tracing_appender::non_blocking::ErrorCounter;

use super::shutdown::Shutdown;
use crate::cli::failure::Failure;
use crate::config::settings::HttpSettings;
use crate::config::values::{self, Pace};

/// How long requests under way may take to end once the process is to end.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// A registry for all that the process counts, with the log's own count in it.
pub(super) fn registry(dropped_log_lines: &ErrorCounter) -> Registry {
    let mut registry = Registry::with_prefix("error_notifier");
    registry.register_collector(Box::new(DroppedLines(dropped_log_lines.clone())));
    registry
}

/// How connections are treated.
///
/// # Errors
/// One line about the TLS certificate or its key.
pub(super) fn server(http: &HttpSettings) -> Result<ServerSettings, Failure> {
    Ok(ServerSettings {
        max_connections: http.max_connections as usize,
        header_timeout: http.header_timeout,
        idle_timeout: http.idle_timeout,
        drain_deadline: DRAIN_DEADLINE,
        tls: tls(http)?,
        ..ServerSettings::default()
    })
}

fn tls(http: &HttpSettings) -> Result<Option<Tls>, Failure> {
    let (Some(certificate), Some(key)) = (&http.tls_cert, &http.tls_key) else {
        return Ok(None);
    };
    let files = TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    let tls = Tls::load(files)
        .map_err(|error| Failure::BadInput(format!("{error}; see --tls-cert and --tls-key")))?;
    Ok(Some(tls))
}

/// Where requests come from, and how many of them.
pub(super) fn clients(http: &HttpSettings) -> Clients {
    let proxies = http.trusted_proxies.clone().into_vec();
    Clients {
        proxies: TrustedProxies::new(move |address| {
            proxies.iter().any(|network| network.holds(address))
        }),
        address_rate: rate(http.rate_limit, http.rate_burst),
        token_rate: rate(http.token_rate_limit, http.token_rate_burst),
    }
}

fn rate(pace: Pace, burst: u32) -> Option<Rate> {
    match pace {
        Pace::PerSecond(per_second) => Some(Rate { per_second, burst }),
        Pace::Unlimited => None,
    }
}

/// How much of each request is logged.
pub(super) fn log_http(how: values::LogHttp) -> LogHttp {
    match how {
        values::LogHttp::Off => LogHttp::Off,
        values::LogHttp::Line => LogHttp::Line,
        values::LogHttp::Full => LogHttp::Full,
    }
}

/// The moment when no more requests are accepted: a delay after the shutdown
/// began, during which the service says that it is not ready, so that a load
/// balancer can turn away.
#[derive(Clone)]
pub(super) struct AcceptingEnds(tokio::sync::watch::Receiver<bool>);

impl AcceptingEnds {
    /// That moment, `delay` after `shutdown` begins.
    pub(super) fn after(shutdown: Shutdown, readiness: Readiness, delay: Duration) -> Self {
        let (end, ended) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            shutdown.begun().await;
            readiness.drain();
            tokio::time::sleep(delay).await;
            end.send_replace(true);
        });
        Self(ended)
    }

    /// Waits for it.
    pub(super) async fn wait(mut self) {
        // An error means that nobody can tell any more: it has ended.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
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
