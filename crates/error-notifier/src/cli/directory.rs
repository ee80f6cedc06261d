//! `directory`: all users and groups at once.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::failure::Failure;
use super::{input, print, print_json, write_out};
use crate::client::http::{Call, Client, Content};
use crate::config::settings::{DataSettings, OutputSettings, SecretKeySettings, ServerSettings};
use crate::run::keys;
use producer::application::transfer::{self, Secrets};

pub(super) const EXAMPLES: &str = "\
One JSON object a line:
  {\"type\":\"user\",\"id\":\"…\",\"name\":\"…\",\"token\":\"…\",\"channelId\":\"…\"}
  {\"type\":\"group\",\"id\":\"…\",\"name\":\"…\",\"desc\":\"…\",\"users\":[\"user id\", …]}

Examples:
  error-notifier directory export > directory.jsonl
  error-notifier directory export --with-secrets --data-dir ./data > secrets.jsonl
  error-notifier directory import directory.jsonl --dry-run";

/// What `directory` can do.
#[derive(Subcommand)]
pub(crate) enum DirectoryCommand {
    /// Print the whole directory as JSON Lines, without tokens
    Export(Export),
    /// Create and update users and groups from JSON Lines: all or nothing
    ///
    /// The same file may be imported again: what is unchanged stays. A user
    /// without a token keeps the one it has.
    Import(Import),
}

/// Arguments of `directory export`.
#[derive(Args)]
pub(crate) struct Export {
    /// Print the users' tokens too, read from the data folder, since no server
    /// ever sends them: keep the output safe
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    secrets: SecretKeySettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `directory import`.
#[derive(Args)]
pub(crate) struct Import {
    /// File to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `directory` commands.
pub(crate) async fn run(command: DirectoryCommand) -> Result<(), Failure> {
    match command {
        DirectoryCommand::Export(arguments) => export(arguments).await,
        DirectoryCommand::Import(arguments) => import(arguments).await,
    }
}

async fn export(arguments: Export) -> Result<(), Failure> {
    if arguments.with_secrets {
        return export_with_secrets(&arguments.data, &arguments.secrets);
    }
    let client = Client::new(arguments.server)?;
    let mut download = client
        .download(Call::bare(Method::GET, "/v1/directory"))
        .await?;
    while let Some(part) = download.next().await? {
        write_out(&part)?;
    }
    Ok(())
}

fn export_with_secrets(data: &DataSettings, secrets: &SecretKeySettings) -> Result<(), Failure> {
    let directory = sqlite::read_directory(&data.data_dir, keys::of_secrets(secrets)?)
        .map_err(|error| Failure::BadInput(error.to_string()))?;
    transfer::export(&directory, Secrets::Included).try_for_each(|line| write_out(line.as_bytes()))
}

async fn import(arguments: Import) -> Result<(), Failure> {
    let lines = input::bytes(&arguments.file)?;
    let client = Client::new(arguments.server)?;
    let path = format!("/v1/directory?dryRun={}", arguments.dry_run);
    let content = Content::Lines(lines.into());
    let data = client.call(Call::with(Method::POST, path, content)).await?;
    if arguments.output.json {
        return print_json(&data);
    }
    let heading = if arguments.dry_run {
        "would be imported"
    } else {
        "imported"
    };
    print(&format!(
        "{heading}\n{}{}",
        counts(&data, "users"),
        counts(&data, "groups")
    ))
}

/// `users: 2 created, 1 updated, 0 unchanged`.
fn counts(data: &Value, kind: &str) -> String {
    let count = |done: &str| data[format!("{kind}{done}")].as_u64().unwrap_or(0);
    format!(
        "{kind}: {} created, {} updated, {} unchanged\n",
        count("Created"),
        count("Updated"),
        count("Unchanged"),
    )
}
