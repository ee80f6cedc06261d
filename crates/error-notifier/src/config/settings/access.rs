//! Who may call a server, and how a client shows that it may.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::config::secret::SecretText;

/// Who may call the server.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessSettings {
    /// While there is no API token, answer whoever reaches the server; without this it is
    /// open on a loopback address alone, and does not start on another
    #[arg(long, env = "ERROR_NOTIFIER_INSECURE_OPEN", value_parser = BoolishValueParser::new())]
    pub(crate) insecure_open: bool,

    /// Whether /metrics needs no API token: it names no user, group or text
    #[arg(long, env = "ERROR_NOTIFIER_OPEN_METRICS", default_value = "true", value_name = "TRUTH", value_parser = BoolishValueParser::new(), action = clap::ArgAction::Set)]
    pub(crate) open_metrics: bool,
}

/// What a client command shows the server.
#[derive(Args, Debug, Clone)]
pub(crate) struct ApiTokenSettings {
    /// API token (en_…), in the environment rather than here, where others see it
    #[arg(
        long,
        env = "ERROR_NOTIFIER_API_TOKEN",
        value_name = "TOKEN",
        conflicts_with = "api_token_file"
    )]
    pub(crate) api_token: Option<SecretText>,

    /// File with the API token
    #[arg(long, env = "ERROR_NOTIFIER_API_TOKEN_FILE", value_name = "FILE")]
    pub(crate) api_token_file: Option<PathBuf>,
}
