//! What every server does with its HTTP side: when it stops accepting, what it counts.

use std::time::Duration;

use http_api::{LogHttp, Readiness, ServerSettings};
use prometheus_client::registry::Registry;
use tracing_appender::non_blocking::ErrorCounter;

use super::shutdown::Shutdown;
use crate::config::settings::HttpSettings;
use crate::config::values;

/// How long requests under way may take to end once the process is to end.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(25);

/// A registry for all that the process counts, with the log's own count in it.
pub(super) fn registry(dropped_log_lines: &ErrorCounter) -> Registry {
    let mut registry = Registry::with_prefix("error_notifier");
    registry.register_collector(Box::new(DroppedLines(dropped_log_lines.clone())));
    registry
}

/// How connections are treated.
pub(super) fn server(http: &HttpSettings) -> ServerSettings {
    ServerSettings {
        max_connections: http.max_connections as usize,
        drain_deadline: DRAIN_DEADLINE,
        ..ServerSettings::default()
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
