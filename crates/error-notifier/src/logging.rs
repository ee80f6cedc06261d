//! The log: lines on standard error, written by a thread of their own.

use std::io::{IsTerminal, Write};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::settings::LogSettings;
use crate::config::values::{LogFilter, LogFormat};

/// Lines that wait for a slow terminal, pipe or disk before lines are dropped.
const WAITING_LINES: usize = 4_096;

/// A running log.
pub(crate) struct Logging {
    guard: WorkerGuard,
    /// Lines lost so far because standard error did not keep up; a metric.
    pub(crate) dropped: ErrorCounter,
}

impl Logging {
    /// Writes out what waits, for about a second at most, and says how many
    /// lines were lost. Lines logged later may not be seen.
    pub(crate) fn finish(self) {
        drop(self.guard);
        let lost = self.dropped.dropped_lines();
        if lost > 0 {
            // Nobody is left to tell where standard error is closed.
            let _ = writeln!(std::io::stderr(), "{lost} log lines were dropped");
        }
    }
}

/// Starts the process's log. To be called once.
///
/// Who logs never waits: a line that finds [`WAITING_LINES`] before it is
/// dropped and counted, since a lost log line is better than a late alert.
///
/// # Errors
///
/// One line, where `RUST_LOG` is not a filter or a log is running already.
pub(crate) fn start(settings: &LogSettings) -> Result<Logging, String> {
    let filter = filter(settings, std::env::var("RUST_LOG").ok())?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match settings.log_format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        // The whole list of spans, since the GTID stands in the outermost.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(true)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .map_err(|error| format!("cannot start the log: {error}"))?;
    Ok(Logging { guard, dropped })
}

fn filter(settings: &LogSettings, rust_log: Option<String>) -> Result<EnvFilter, String> {
    let filter = match (
        &settings.log_level,
        rust_log.filter(|text| !text.is_empty()),
    ) {
        (Some(filter), _) => filter.as_str().to_owned(),
        (None, Some(text)) => text
            .parse::<LogFilter>()
            .map_err(|hint| {
                format!("invalid value '{text}' for the environment variable RUST_LOG: {hint}")
            })?
            .as_str()
            .to_owned(),
        // What refinery says at this level, the store says too, once.
        (None, None) => "info,refinery_core=warn".to_owned(),
    };
    EnvFilter::try_new(filter).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(level: Option<&str>) -> LogSettings {
        LogSettings {
            log_format: LogFormat::Text,
            log_level: level.map(|level| level.parse().unwrap()),
        }
    }

    #[test]
    fn the_level_is_the_setting_then_rust_log_then_info() {
        let shown = |level, rust_log: Option<&str>| {
            filter(&settings(level), rust_log.map(str::to_owned)).map(|f| f.to_string())
        };
        assert_eq!(shown(Some("debug"), Some("trace")), Ok("debug".to_owned()));
        assert_eq!(shown(None, Some("trace")), Ok("trace".to_owned()));
        let default = Ok("refinery_core=warn,info".to_owned());
        assert_eq!(shown(None, Some("")), default);
        assert_eq!(shown(None, None), default);
        assert!(shown(None, Some("inof")).unwrap_err().contains("RUST_LOG"));
    }
}
