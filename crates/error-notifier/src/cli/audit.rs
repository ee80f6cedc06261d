//! `audit`: who changed what.

use clap::Args;
use serde_json::Value;

use super::alert::{line, text};
use super::failure::Failure;
use super::table::table;
use super::{print, print_json};
use crate::client::history::Query;
use crate::client::http::Client;
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
A line is there of every change of users, groups and API tokens, and of every order to
cancel, replay or discard. It needs an API token with the scope admin, where there are tokens.

Examples:
  error-notifier audit
  error-notifier audit --since 2026-11-23T08:00:00Z --limit 1000 --json
  error-notifier audit --who 33333333-3333-3333-3333-333333333333";

/// Arguments of `audit`.
#[derive(Args)]
pub(crate) struct Audit {
    /// Only what was done at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was done at this time or earlier
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only what was done by this one: the id of an API token, `local` or `anybody`
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// The most lines, the last first
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Prints lines of the audit log.
pub(crate) async fn run(arguments: Audit) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let query = || {
        Query::of("/v1/audit")
            .with("since", arguments.since.as_deref())
            .with("until", arguments.until.as_deref())
            .with("who", arguments.who.as_deref())
    };
    let found = client.first(query, arguments.limit as usize).await?;
    if arguments.output.json {
        return print_json(&Value::Array(found));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|entry| {
            vec![
                text(entry, "at"),
                text(entry, "who"),
                text(entry, "address"),
                text(entry, "action"),
                line(&text(entry, "detail")),
                text(entry, "subject"),
            ]
        })
        .collect();
    let header = ["AT", "WHO", "ADDRESS", "ACTION", "DETAIL", "SUBJECT"];
    print(&table(&header, &rows))
}
