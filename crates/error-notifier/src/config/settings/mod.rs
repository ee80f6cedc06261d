//! The table of settings: one field, one line in `--help`, one key.

mod access;
mod secrets;
mod shared;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, value_parser};
use producer::domain::OpsTarget;

pub(crate) use access::{AccessSettings, ApiTokenSettings};
pub(crate) use secrets::SecretKeySettings;
pub(crate) use shared::{DatabaseSettings, KafkaSettings, OfflineDatabase, WaitSettings};

use super::values::{self, BaseUrl, Kinds, LogFilter, LogFormat, LogHttp, Networks, Pace, Zone};

// Where the settings come from; part of every command. Not a doc comment, which
// clap would take for the description of the program.
#[derive(Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigSource {
    /// TOML file with settings, keyed by the flags' names (data-dir = "…")
    #[arg(
        long,
        env = "ERROR_NOTIFIER_CONFIG",
        global = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// Print the settings in force and where each comes from, then exit
    #[arg(long, global = true)]
    pub(crate) print_config: bool,
}

/// Settings of `serve`: the embedded form's, and where its data is if not in a folder.
#[derive(Args, Debug, Clone)]
#[command(mut_arg("database_url", |arg| arg.required(false).requires("kafka_brokers")))]
#[command(mut_arg("kafka_brokers", |arg| arg.required(false).requires("database_url")))]
pub(crate) struct ServeSettings {
    #[command(flatten)]
    pub(crate) embedded: EmbeddedSettings,

    #[command(flatten)]
    pub(crate) database: DatabaseSettings,

    #[command(flatten)]
    pub(crate) kafka: KafkaSettings,

    #[command(flatten)]
    pub(crate) wait: WaitSettings,
}

/// Settings of one process with a data folder.
#[derive(Args, Debug, Clone)]
pub(crate) struct EmbeddedSettings {
    /// Address of the HTTP API
    #[arg(long, env = "ERROR_NOTIFIER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) listen: SocketAddr,

    /// Folder of the directory, the queue and the history; made if missing
    #[arg(
        long,
        env = "ERROR_NOTIFIER_DATA_DIR",
        default_value = "./data",
        value_name = "FOLDER"
    )]
    pub(crate) data_dir: PathBuf,

    /// Base URL of Slack, or of a stand-in such as the mockup
    #[arg(
        long,
        env = "ERROR_NOTIFIER_SLACK_URL",
        default_value = "https://slack.com"
    )]
    pub(crate) slack_url: BaseUrl,

    /// How much of each request is logged
    #[arg(
        long,
        env = "ERROR_NOTIFIER_LOG_HTTP",
        default_value = "line",
        value_name = "HOW"
    )]
    pub(crate) log_http: LogHttp,

    #[command(flatten)]
    pub(crate) delivery: DeliverySettings,

    #[command(flatten)]
    pub(crate) webhooks: WebhookSettings,

    #[command(flatten)]
    pub(crate) digests: DigestSettings,

    #[command(flatten)]
    pub(crate) warnings: WarningSettings,

    #[command(flatten)]
    pub(crate) history: HistorySettings,

    #[command(flatten)]
    pub(crate) http: HttpSettings,

    #[command(flatten)]
    pub(crate) access: AccessSettings,

    #[command(flatten)]
    pub(crate) secrets: SecretKeySettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Settings of `producer`.
#[derive(Args, Debug, Clone)]
pub(crate) struct ProducerSettings {
    /// Address of the HTTP API
    #[arg(long, env = "ERROR_NOTIFIER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) listen: SocketAddr,

    /// How much of each request is logged
    #[arg(
        long,
        env = "ERROR_NOTIFIER_LOG_HTTP",
        default_value = "line",
        value_name = "HOW"
    )]
    pub(crate) log_http: LogHttp,

    /// How long settled deliveries stay readable: 7d, 12h, … (1s to 3650d)
    #[arg(long, env = "ERROR_NOTIFIER_RETENTION", default_value = "7d", value_name = "TIME", value_parser = values::retention)]
    pub(crate) retention: Duration,

    #[command(flatten)]
    pub(crate) warnings: WarningSettings,

    #[command(flatten)]
    pub(crate) http: HttpSettings,

    #[command(flatten)]
    pub(crate) access: AccessSettings,

    #[command(flatten)]
    pub(crate) secrets: SecretKeySettings,

    #[command(flatten)]
    pub(crate) database: DatabaseSettings,

    #[command(flatten)]
    pub(crate) kafka: KafkaSettings,

    #[command(flatten)]
    pub(crate) wait: WaitSettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Settings of `consumer`.
#[derive(Args, Debug, Clone)]
pub(crate) struct ConsumerSettings {
    /// Address of health and metrics
    #[arg(long, env = "ERROR_NOTIFIER_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) listen: SocketAddr,

    /// Base URL of Slack, or of a stand-in such as the mockup
    #[arg(
        long,
        env = "ERROR_NOTIFIER_SLACK_URL",
        default_value = "https://slack.com"
    )]
    pub(crate) slack_url: BaseUrl,

    #[command(flatten)]
    pub(crate) delivery: DeliverySettings,

    #[command(flatten)]
    pub(crate) webhooks: WebhookSettings,

    #[command(flatten)]
    pub(crate) digests: DigestSettings,

    #[command(flatten)]
    pub(crate) http: HttpSettings,

    #[command(flatten)]
    pub(crate) access: AccessSettings,

    #[command(flatten)]
    pub(crate) kafka: KafkaSettings,

    #[command(flatten)]
    pub(crate) wait: WaitSettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Settings of `migrate`.
#[derive(Args, Debug, Clone)]
pub(crate) struct MigrateSettings {
    #[command(flatten)]
    pub(crate) database: DatabaseSettings,

    #[command(flatten)]
    pub(crate) wait: WaitSettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Which data folder a command reads, beside the server that uses it.
#[derive(Args, Debug, Clone)]
pub(crate) struct DataSettings {
    /// Folder of the directory, the queue and the history
    #[arg(
        long,
        env = "ERROR_NOTIFIER_DATA_DIR",
        default_value = "./data",
        value_name = "FOLDER"
    )]
    pub(crate) data_dir: PathBuf,
}

/// Settings of `demo`.
#[derive(Args, Debug, Clone)]
pub(crate) struct DemoSettings {
    /// Address of the HTTP API
    #[arg(long, env = "ERROR_NOTIFIER_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) listen: SocketAddr,

    /// Address of the mockup, the stand-in for Slack
    #[arg(long, env = "ERROR_NOTIFIER_MOCKUP_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) mockup_listen: SocketAddr,

    /// Folder to keep the data in [default: a temporary one]
    #[arg(long, env = "ERROR_NOTIFIER_DATA_DIR", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,

    /// How much of each request is logged
    #[arg(
        long,
        env = "ERROR_NOTIFIER_LOG_HTTP",
        default_value = "full",
        value_name = "HOW"
    )]
    pub(crate) log_http: LogHttp,

    #[command(flatten)]
    pub(crate) delivery: DeliverySettings,

    #[command(flatten)]
    pub(crate) webhooks: WebhookSettings,

    #[command(flatten)]
    pub(crate) digests: DigestSettings,

    #[command(flatten)]
    pub(crate) warnings: WarningSettings,

    #[command(flatten)]
    pub(crate) history: HistorySettings,

    #[command(flatten)]
    pub(crate) http: HttpSettings,

    #[command(flatten)]
    pub(crate) access: AccessSettings,

    #[command(flatten)]
    pub(crate) secrets: SecretKeySettings,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// Settings of `mockup`.
#[derive(Args, Debug, Clone)]
pub(crate) struct MockupSettings {
    /// Address to listen on
    #[arg(long, env = "ERROR_NOTIFIER_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS", value_parser = values::address)]
    pub(crate) listen: SocketAddr,

    /// How many of the newest messages are kept to be looked at (1 to 1000000)
    #[arg(long, env = "ERROR_NOTIFIER_KEEP", default_value = "10000", value_name = "MESSAGES", value_parser = values::keep)]
    pub(crate) keep: usize,

    /// Memory that the kept messages may take: 500MB, 1GiB, … (1KiB to 1TiB)
    #[arg(long, env = "ERROR_NOTIFIER_KEEP_BYTES", default_value = "64MiB", value_name = "SIZE", value_parser = values::keep_size)]
    pub(crate) keep_bytes: u64,

    #[command(flatten)]
    pub(crate) log: LogSettings,
}

/// How alerts leave.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Delivery")]
pub(crate) struct DeliverySettings {
    /// Messages a second to one Slack channel, above 0, or `unlimited`
    #[arg(
        long,
        env = "ERROR_NOTIFIER_SLACK_PACE",
        default_value = "1",
        value_name = "PER_SECOND"
    )]
    pub(crate) slack_pace: Pace,

    /// Messages that one Slack channel takes at once before the pace holds (1 to 10000)
    #[arg(long, env = "ERROR_NOTIFIER_SLACK_BURST", default_value = "4", value_name = "MESSAGES", value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) slack_burst: u32,

    /// Escape texts for Slack, so that they read as written and <!channel> pings nobody
    #[arg(long, env = "ERROR_NOTIFIER_SLACK_ESCAPE", default_value = "true", value_name = "TRUTH", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(crate) slack_escape: bool,

    /// Requests to external services under way at once, three quarters of them to one host (1 to 65536)
    #[arg(long, env = "ERROR_NOTIFIER_MAX_IN_FLIGHT", default_value = "512", value_name = "REQUESTS", value_parser = value_parser!(u32).range(1..=65_536))]
    pub(crate) max_in_flight: u32,
}

/// How a storm stays readable.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Digests")]
pub(crate) struct DigestSettings {
    /// Fold what waits for a destination into digests where its pace takes longer than
    /// this to carry it one by one: 10s, 1m, … (1s to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_DIGEST_AFTER", default_value = "10s", value_name = "TIME", value_parser = values::digest_after)]
    pub(crate) digest_after: Duration,

    /// The channels that are sent digests: `slack`, `webhook`, both, or `none`
    #[arg(
        long,
        env = "ERROR_NOTIFIER_DIGESTS",
        default_value = "slack",
        value_name = "CHANNELS"
    )]
    pub(crate) digests: Kinds,

    /// In which the times in digests are shown: Asia/Seoul, UTC, …
    #[arg(
        long,
        env = "ERROR_NOTIFIER_TIMEZONE",
        default_value = "UTC",
        value_name = "ZONE"
    )]
    pub(crate) timezone: Zone,
}

/// Who is told that telling failed.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Warnings")]
pub(crate) struct WarningSettings {
    /// Who is told, at most once a minute, that telling people failed: alerts that reached
    /// nobody, high deliveries that died, breakers that opened, a full disk; a target such
    /// as @user, @@group or @all [default: nobody]
    #[arg(long, env = "ERROR_NOTIFIER_OPS_TARGET", value_name = "TARGET", value_parser = values::ops_target)]
    pub(crate) ops_target: Option<OpsTarget>,
}

/// How webhooks are called.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Webhooks")]
pub(crate) struct WebhookSettings {
    /// Requests a second to one webhook, above 0, or `unlimited`
    #[arg(
        long,
        env = "ERROR_NOTIFIER_WEBHOOK_PACE",
        default_value = "10",
        value_name = "PER_SECOND"
    )]
    pub(crate) webhook_pace: Pace,

    /// Requests that one webhook takes at once before the pace holds (1 to 10000)
    #[arg(long, env = "ERROR_NOTIFIER_WEBHOOK_BURST", default_value = "20", value_name = "REQUESTS", value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) webhook_burst: u32,

    /// Networks that webhooks may be in besides the public Internet, and in which http
    /// will do: 10.0.0.0/8,fd00::/8, … or `none`
    #[arg(
        long,
        env = "ERROR_NOTIFIER_WEBHOOK_ALLOW",
        default_value = "none",
        value_name = "NETWORKS"
    )]
    pub(crate) webhook_allow: Networks,
}

/// What is kept of the past.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "History")]
pub(crate) struct HistorySettings {
    /// How long settled deliveries stay readable: 7d, 12h, … (1s to 3650d)
    #[arg(long, env = "ERROR_NOTIFIER_RETENTION", default_value = "7d", value_name = "TIME", value_parser = values::retention)]
    pub(crate) retention: Duration,

    /// Disk that the history may take: 500MB, 4GiB, … (1MiB to 1EiB)
    #[arg(long, env = "ERROR_NOTIFIER_HISTORY_MAX_BYTES", default_value = "4GiB", value_name = "SIZE", value_parser = values::history_size)]
    pub(crate) history_max_bytes: u64,

    /// Answer before the disk has it, and lose alerts in a power cut: for proving
    /// that the durability tests can fail
    #[arg(long, env = "ERROR_NOTIFIER_UNSAFE_SYNCHRONOUS_OFF", hide = true, value_parser = BoolishValueParser::new())]
    pub(crate) unsafe_synchronous_off: bool,
}

/// Limits of the HTTP server.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Server")]
pub(crate) struct HttpSettings {
    /// Connections open at once; for one more, the one that has waited longest for a
    /// request is closed (1 to 1000000)
    #[arg(long, env = "ERROR_NOTIFIER_MAX_CONNECTIONS", default_value = "4096", value_name = "CONNECTIONS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_connections: u32,

    /// How long the head of a request, or a TLS handshake, may take to arrive (1ms to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_HEADER_TIMEOUT", default_value = "10s", value_name = "TIME", value_parser = values::timeout)]
    pub(crate) header_timeout: Duration,

    /// How long a connection may wait for a request (1ms to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_IDLE_TIMEOUT", default_value = "75s", value_name = "TIME", value_parser = values::timeout)]
    pub(crate) idle_timeout: Duration,

    /// Requests a second from one address, above 0, or `unlimited`; from this machine
    /// there may always be any number
    #[arg(
        long,
        env = "ERROR_NOTIFIER_RATE_LIMIT",
        default_value = "1000",
        value_name = "PER_SECOND"
    )]
    pub(crate) rate_limit: Pace,

    /// Requests that one address may send at once before the rate holds (1 to 1000000)
    #[arg(long, env = "ERROR_NOTIFIER_RATE_BURST", default_value = "2000", value_name = "REQUESTS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate_burst: u32,

    /// Requests a second with one API token, above 0, or `unlimited`; wherever they come
    /// from, this machine included
    #[arg(
        long,
        env = "ERROR_NOTIFIER_TOKEN_RATE_LIMIT",
        default_value = "unlimited",
        value_name = "PER_SECOND"
    )]
    pub(crate) token_rate_limit: Pace,

    /// Requests at once with one API token before the rate holds (1 to 1000000)
    #[arg(long, env = "ERROR_NOTIFIER_TOKEN_RATE_BURST", default_value = "2000", value_name = "REQUESTS", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) token_rate_burst: u32,

    /// Networks of the proxies whose X-Forwarded-For is believed: 10.0.0.0/8, … or `none`
    #[arg(
        long,
        env = "ERROR_NOTIFIER_TRUSTED_PROXIES",
        default_value = "none",
        value_name = "NETWORKS"
    )]
    pub(crate) trusted_proxies: Networks,

    /// File with the TLS certificate and its chain, PEM; read again when it changes
    #[arg(
        long,
        env = "ERROR_NOTIFIER_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// File with the certificate's private key, PEM
    #[arg(
        long,
        env = "ERROR_NOTIFIER_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,

    /// How long to go on accepting after SIGTERM while /health/ready says 503 (0s to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_DRAIN_DELAY", default_value = "0s", value_name = "TIME", value_parser = values::drain_delay)]
    pub(crate) drain_delay: Duration,
}

/// The log, written to standard error.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogSettings {
    /// Form of the log lines
    #[arg(
        long,
        env = "ERROR_NOTIFIER_LOG_FORMAT",
        default_value = "text",
        value_name = "FORM"
    )]
    pub(crate) log_format: LogFormat,

    /// Level (off, error, warn, info, debug, trace) or filter (info,consumer=debug) [default: RUST_LOG, else info]
    #[arg(long, env = "ERROR_NOTIFIER_LOG_LEVEL", value_name = "FILTER")]
    pub(crate) log_level: Option<LogFilter>,
}

/// Which server a client command talks to.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerSettings {
    /// Base URL of the running server
    #[arg(
        long,
        env = "ERROR_NOTIFIER_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: BaseUrl,

    #[command(flatten)]
    pub(crate) token: ApiTokenSettings,

    /// How long to wait for an answer, or for its next part (1ms to 1h)
    #[arg(long, env = "ERROR_NOTIFIER_TIMEOUT", default_value = "60s", value_name = "TIME", value_parser = values::timeout)]
    pub(crate) timeout: Duration,

    /// Global transaction id of the call: 1 to 128 of A-Z a-z 0-9 . _ -
    #[arg(long, value_name = "ID", value_parser = values::gtid)]
    pub(crate) gtid: Option<String>,
}

/// How a client command prints.
#[derive(Args, Debug, Clone)]
pub(crate) struct OutputSettings {
    /// Print the server's data as JSON
    #[arg(long, env = "ERROR_NOTIFIER_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}
