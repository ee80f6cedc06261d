//! `dead-letter`: deliveries that were given up.

use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::alert::{digest, line, row, text};
use super::failure::Failure;
use super::table::{printable, table};
use super::{print, print_json};
use crate::client::history::Query;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
A dead letter is named by its delivery's id.

Examples:
  error-notifier dead-letter list --reason channel_not_found
  error-notifier dead-letter show 019ab5d6-1f3c-8c55-9c1e-4b0a6c1f5e11
  error-notifier dead-letter replay 019ab5d6-1f3c-8c55-9c1e-4b0a6c1f5e11
  error-notifier dead-letter replay --all --since 2026-11-23T08:00:00Z --dry-run
  error-notifier dead-letter discard 019ab5d6-1f3c-8c55-9c1e-4b0a6c1f5e11";

/// What `dead-letter` can do.
#[derive(Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List dead letters, of the last accepted alert first
    List(List),
    /// Show one delivery: its alert, and every attempt
    Show(Show),
    /// Send dead letters once more, with the users' current tokens
    Replay(Replay),
    /// Take dead letters off the list; their records stay
    Discard(Discard),
}

/// Which dead letters.
#[derive(Args)]
struct Filter {
    /// Only those to channels of this kind
    #[arg(long, value_name = "KIND")]
    channel: Option<String>,
    /// Only those whose reason holds this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only those of alerts accepted at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// Arguments of `dead-letter list`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// The most to list
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `dead-letter show`.
#[derive(Args)]
pub(crate) struct Show {
    /// Id of the delivery
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `dead-letter replay`.
#[derive(Args)]
pub(crate) struct Replay {
    /// Ids of the deliveries
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with_all = ["all", "channel", "reason", "since", "dry_run"])]
    ids: Vec<Uuid>,
    /// All that the filters leave
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
    /// Say how many would be replayed, and replay none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `dead-letter discard`.
#[derive(Args)]
pub(crate) struct Discard {
    /// Ids of the deliveries
    #[arg(value_name = "ID", required = true)]
    ids: Vec<Uuid>,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `dead-letter` commands.
pub(crate) async fn run(command: DeadLetterCommand) -> Result<(), Failure> {
    match command {
        DeadLetterCommand::List(arguments) => list(arguments).await,
        DeadLetterCommand::Show(arguments) => show(arguments).await,
        DeadLetterCommand::Replay(arguments) => replay(arguments).await,
        DeadLetterCommand::Discard(arguments) => discard(arguments).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let query = || {
        Query::of("/v1/dead-letters")
            .with("channel", arguments.filter.channel.as_deref())
            .with("reason", arguments.filter.reason.as_deref())
            .with("since", arguments.filter.since.as_deref())
    };
    let found = client.first(query, arguments.limit as usize).await?;
    if arguments.output.json {
        return print_json(&Value::Array(found));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|letter| {
            vec![
                text(letter, "acceptedAt"),
                text(letter, "severity"),
                text(letter, "address"),
                line(&text(letter, "reason")),
                line(&text(letter, "message")),
                text(letter, "id"),
            ]
        })
        .collect();
    let header = ["ACCEPTED", "SEVERITY", "ADDRESS", "REASON", "MESSAGE", "ID"];
    print(&table(&header, &rows))
}

async fn show(arguments: Show) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let path = format!("/v1/deliveries/{}", arguments.id);
    let delivery = client.call(Call::bare(Method::GET, path)).await?;
    if arguments.output.json {
        return print_json(&delivery);
    }
    let cells = row(&delivery);
    let head = [
        ("id", text(&delivery, "id")),
        ("alert", text(&delivery, "alertId")),
        ("accepted", text(&delivery, "acceptedAt")),
        ("severity", text(&delivery, "severity")),
        ("to", format!("{} {}", cells[0], cells[1])),
        ("users", cells[2].clone()),
        ("state", cells[3].clone()),
        ("digest", digest(&delivery["digest"])),
        ("reason", text(&delivery, "reason")),
        ("replayed", text(&delivery, "replayedAt")),
        ("discarded", text(&delivery, "discardedAt")),
        ("message", text(&delivery, "message")),
    ];
    for (name, value) in head.iter().filter(|(_, value)| !value.is_empty()) {
        print(&format!("{name:<9} {}\n", printable(value)))?;
    }
    let none = Vec::new();
    let attempts = delivery["attempts"].as_array().unwrap_or(&none);
    let rows: Vec<_> = attempts
        .iter()
        .map(|attempt| {
            vec![
                attempt["number"].to_string(),
                text(attempt, "startedAt"),
                format!("{} ms", attempt["tookMs"]),
                text(attempt, "result"),
                attempt["status"]
                    .as_u64()
                    .map(|status| status.to_string())
                    .unwrap_or_default(),
                text(attempt, "error"),
                text(attempt, "providerId"),
            ]
        })
        .collect();
    let header = [
        "#",
        "STARTED",
        "TOOK",
        "RESULT",
        "STATUS",
        "ERROR",
        "MESSAGE ID",
    ];
    print(&format!("\n{}", table(&header, &rows)))
}

async fn replay(arguments: Replay) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let count = match arguments.all {
        true => replay_all(&client, &arguments.filter, arguments.dry_run).await?,
        false => {
            for id in &arguments.ids {
                let path = format!("/v1/deliveries/{id}/replay");
                client.call(Call::bare(Method::POST, path)).await?;
            }
            arguments.ids.len() as u64
        }
    };
    if arguments.output.json {
        return print_json(&json!({ "count": count }));
    }
    let done = if arguments.dry_run {
        "would be replayed"
    } else {
        "replayed"
    };
    print(&format!("{done}: {count}\n"))
}

/// Replays what the filters leave, call after call.
async fn replay_all(client: &Client, filter: &Filter, dry_run: bool) -> Result<u64, Failure> {
    let path = format!("/v1/dead-letters/replay?dryRun={dry_run}");
    let mut cursor = Value::Null;
    let mut count = 0;
    loop {
        let body = json!({
            "channel": filter.channel,
            "reason": filter.reason,
            "since": filter.since,
            "cursor": cursor,
        });
        let call = Call::json(Method::POST, path.clone(), body);
        let mut data = client.call(call).await?;
        count += data["count"].as_u64().unwrap_or_default();
        let next = data["nextCursor"].take();
        if next.is_null() {
            return Ok(count);
        }
        if next == cursor {
            return Err(client.foreign(StatusCode::OK).into());
        }
        cursor = next;
    }
}

async fn discard(arguments: Discard) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    for id in &arguments.ids {
        let path = format!("/v1/dead-letters/{id}");
        client.call(Call::bare(Method::DELETE, path)).await?;
        print(&format!("discarded {id}\n"))?;
    }
    Ok(())
}
