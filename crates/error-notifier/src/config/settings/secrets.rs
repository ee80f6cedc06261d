//! The keys that stored secrets are sealed with.

use std::path::PathBuf;

use clap::Args;

use crate::config::secret::SecretText;

/// The keys that users' tokens and webhooks' secrets are sealed with where they are kept.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct SecretKeySettings {
    /// File with the keys that users' tokens are sealed with where they are kept,
    /// `id:base64` a line; the first seals, all open [default: secret-key in the data
    /// folder, made at the first start; over PostgreSQL the keys of Kafka]
    #[arg(long, env = "ERROR_NOTIFIER_SECRET_KEY_FILE", value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// The keys themselves, in the environment rather than here
    #[arg(
        long,
        env = "ERROR_NOTIFIER_SECRET_KEYS",
        value_name = "KEYS",
        conflicts_with = "secret_key_file"
    )]
    pub(crate) secret_keys: Option<SecretText>,
}
