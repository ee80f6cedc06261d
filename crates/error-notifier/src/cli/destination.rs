//! `destination`: how those stand that are delivered to.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::alert::{line, text};
use super::failure::Failure;
use super::table::table;
use super::{print, print_json};
use crate::client::history::Query;
use crate::client::http::Client;
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
What is not listed is at rest and well. `user destination` changes where users are told.

Examples:
  error-notifier destination list
  error-notifier destination list --state retry_after
  error-notifier destination list --channel webhook --json";

/// What `destination` can do.
#[derive(Subcommand)]
pub(crate) enum DestinationCommand {
    /// List destinations that wait or fail, and the breakers that are not closed
    List(List),
}

/// Arguments of `destination list`.
#[derive(Args)]
pub(crate) struct List {
    /// Only those whose next delivery waits for that: sending, queued, folding, pace,
    /// backoff, retry_after, host_breaker, credential_breaker, credential_pace, aside,
    /// parked or resting
    #[arg(long)]
    state: Option<String>,
    /// Only those of this kind
    #[arg(long, value_name = "KIND")]
    channel: Option<String>,
    /// The most destinations to list
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `destination` commands.
pub(crate) async fn run(command: DestinationCommand) -> Result<(), Failure> {
    match command {
        DestinationCommand::List(arguments) => list(arguments).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let query = || {
        Query::of("/v1/destinations")
            .with("state", arguments.state.as_deref())
            .with("channel", arguments.channel.as_deref())
    };
    let limit = arguments.limit as usize;
    let (found, mut last) = client.first_and_last(query, limit).await?;
    let breakers = last["breakers"].take();
    if arguments.output.json {
        return print_json(&json!({ "destinations": found, "breakers": breakers }));
    }
    let rows: Vec<_> = found.iter().map(destination).collect();
    let header = [
        "CHANNEL", "ADDRESS", "STATE", "UNTIL", "WAITING", "PARKED", "FAILURES", "ERROR",
    ];
    print(&table(&header, &rows))?;
    let breakers = breakers.as_array().map(Vec::as_slice).unwrap_or_default();
    if breakers.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = breakers.iter().map(breaker).collect();
    let header = [
        "BREAKER",
        "NAME",
        "STATE",
        "SINCE",
        "NEXT PROBE",
        "WAITING",
        "ERROR",
    ];
    print(&format!("\n{}", table(&header, &rows)))
}

fn destination(item: &Value) -> Vec<String> {
    let address = match item["address"].as_str() {
        Some(address) => address.to_owned(),
        None => format!("(id {})", text(item, "id")),
    };
    let address = match item["forWarnings"].as_bool() {
        Some(true) => format!("{address} (warnings)"),
        _ => address,
    };
    vec![
        text(item, "channel"),
        address,
        text(item, "state"),
        text(item, "until"),
        total(&item["waiting"]).to_string(),
        total(&item["parked"]).to_string(),
        item["failures"].to_string(),
        line(&text(item, "error")),
    ]
}

fn breaker(item: &Value) -> Vec<String> {
    let state = match item["slowedTo"].as_f64() {
        Some(rate) => format!("{}, slowed to {rate}/s", text(item, "state")),
        None => text(item, "state"),
    };
    vec![
        text(item, "kind"),
        text(item, "name"),
        state,
        text(item, "since"),
        text(item, "nextProbeAt"),
        item["waiting"].to_string(),
        line(&text(item, "error")),
    ]
}

/// Of all severities.
fn total(counts: &Value) -> u64 {
    let counts = counts.as_object().into_iter().flat_map(|all| all.values());
    counts.filter_map(Value::as_u64).sum()
}
