//! `alert`: what became of alerts.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::table::{printable, table};
use super::{print, print_json, watch};
use crate::client::history::Query;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
Times are of RFC 3339, such as 2026-11-23T08:00:00Z or 2026-11-23T17:00:00+09:00.

Examples:
  error-notifier alert list --severity high --since 2026-11-23T08:00:00Z
  error-notifier alert list --state dead --user user_name1
  error-notifier alert show 019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11
  error-notifier alert cancel 019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11
  error-notifier alert watch";

/// What `alert` can do.
#[derive(Subcommand)]
pub(crate) enum AlertCommand {
    /// List alerts, the last accepted first
    List(List),
    /// Show one alert, and what became of each of its deliveries
    Show(One),
    /// Cancel an alert: what of it has not been sent never is
    Cancel(One),
    /// Show alerts and deliveries as they happen
    Watch(watch::Watch),
}

/// Arguments of `alert list`.
#[derive(Args)]
pub(crate) struct List {
    /// Only of this severity: high, normal or low
    #[arg(short, long)]
    severity: Option<String>,
    /// Only those accepted at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only those accepted at this time or earlier
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only those that concerned this user, by id or name
    #[arg(long)]
    user: Option<String>,
    /// Only those that named this group, by id or name
    #[arg(long)]
    group: Option<String>,
    /// Only those with a delivery in this state: queued, sending, waiting,
    /// delivered, digested, dead or cancelled
    #[arg(long)]
    state: Option<String>,
    /// Only those whose message holds this text
    #[arg(short, long = "query", value_name = "TEXT")]
    q: Option<String>,
    /// The most to list
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of the commands that name one alert.
#[derive(Args)]
pub(crate) struct One {
    /// Id of the alert
    #[arg(value_name = "ID")]
    id: Uuid,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `alert` commands.
pub(crate) async fn run(command: AlertCommand) -> Result<(), Failure> {
    match command {
        AlertCommand::List(arguments) => list(arguments).await,
        AlertCommand::Show(arguments) => show(arguments).await,
        AlertCommand::Cancel(arguments) => cancel(arguments).await,
        AlertCommand::Watch(arguments) => watch::run(arguments).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let query = || {
        Query::of("/v1/alerts")
            .with("severity", arguments.severity.as_deref())
            .with("since", arguments.since.as_deref())
            .with("until", arguments.until.as_deref())
            .with("user", arguments.user.as_deref())
            .with("group", arguments.group.as_deref())
            .with("state", arguments.state.as_deref())
            .with("q", arguments.q.as_deref())
    };
    let found = client.first(query, arguments.limit as usize).await?;
    if arguments.output.json {
        return print_json(&Value::Array(found));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|alert| {
            vec![
                text(alert, "acceptedAt"),
                text(alert, "severity"),
                alert["userCount"].to_string(),
                states(&alert["states"]),
                line(&text(alert, "message")),
                text(alert, "id"),
            ]
        })
        .collect();
    let header = ["ACCEPTED", "SEVERITY", "USERS", "STATE", "MESSAGE", "ID"];
    print(&table(&header, &rows))
}

async fn show(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let path = format!("/v1/alerts/{}", arguments.id);
    let mut alert = client.call(Call::bare(Method::GET, path.clone())).await?;
    // An alert to many comes in pages.
    while let Some(cursor) = alert["nextCursor"].as_str() {
        let next = Query::of(&path).with("cursor", Some(cursor)).text();
        let mut page = client.call(Call::bare(Method::GET, next)).await?;
        let next = page["nextCursor"].take();
        if next == alert["nextCursor"] {
            return Err(client.foreign(hyper::StatusCode::OK).into());
        }
        alert["nextCursor"] = next;
        if let (Some(all), Some(more)) = (
            alert["deliveries"].as_array_mut(),
            page["deliveries"].as_array_mut(),
        ) {
            all.append(more);
        }
    }
    if arguments.output.json {
        return print_json(&alert);
    }
    let targets: Vec<_> = alert["target"]
        .as_array()
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let head = [
        ("id", text(&alert, "id")),
        ("accepted", text(&alert, "acceptedAt")),
        ("severity", text(&alert, "severity")),
        ("targets", targets.join(", ")),
        ("users", alert["userCount"].to_string()),
        ("state", states(&alert["states"])),
        ("GTID", text(&alert, "gtid")),
        ("message", text(&alert, "message")),
    ];
    for (name, value) in head {
        print(&format!("{name:<9} {}\n", printable(&value)))?;
    }
    let none = Vec::new();
    let deliveries = alert["deliveries"].as_array().unwrap_or(&none);
    let rows: Vec<_> = deliveries.iter().map(row).collect();
    print(&format!("\n{}", table(&DELIVERY, &rows)))
}

async fn cancel(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let path = format!("/v1/alerts/{}/cancel", arguments.id);
    let data = client.call(Call::bare(Method::POST, path)).await?;
    if arguments.output.json {
        return print_json(&data);
    }
    if let Some(requested) = data["requested"].as_u64() {
        return print(&format!("requested: {requested}\n"));
    }
    let sending = match data["sending"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!(", {count} under way may still arrive"),
    };
    print(&format!("cancelled: {}{sending}\n", data["cancelled"]))
}

/// The columns of a delivery.
pub(super) const DELIVERY: [&str; 8] = [
    "CHANNEL", "ADDRESS", "USERS", "STATE", "ATTEMPTS", "LAST", "DIGEST", "ID",
];

/// The cells of a delivery.
pub(super) fn row(delivery: &Value) -> Vec<String> {
    let none = Vec::new();
    let attempts = delivery["attempts"].as_array().unwrap_or(&none);
    let recipients = delivery["recipients"].as_array().unwrap_or(&none);
    let names: Vec<_> = recipients
        .iter()
        .filter_map(|one| one["name"].as_str().or(one["id"].as_str()))
        .collect();
    let last = attempts.last().unwrap_or(&Value::Null);
    let next = &delivery["nextAttemptAt"];
    let told = [&delivery["reason"], &last["error"], &last["providerId"]];
    let told = told.into_iter().find_map(Value::as_str).unwrap_or_default();
    let last = match next.as_str() {
        Some(next) => format!("{told}; again at {next}"),
        None => told.to_owned(),
    };
    vec![
        text(delivery, "channel"),
        text(delivery, "address"),
        names.join(", "),
        text(delivery, "state"),
        attempts.len().to_string(),
        last,
        digest(&delivery["digest"]),
        text(delivery, "id"),
    ]
}

/// The message that carries a delivery with others, and how many those are in all.
pub(super) fn digest(digest: &Value) -> String {
    let id = text(digest, "id");
    match digest["deliveries"].as_u64() {
        Some(count) => format!("{id} of {count}"),
        None => id,
    }
}

/// A field that is a text.
pub(super) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// The first line of a text, cut to what a terminal shows.
pub(super) fn line(text: &str) -> String {
    const LONGEST: usize = 60;
    let first = text.lines().next().unwrap_or_default();
    let cut: String = first.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        cut
    }
}

/// `2 delivered, 1 dead`.
fn states(counts: &Value) -> String {
    let none = json!({});
    let counts = counts.as_object().or(none.as_object());
    let words: Vec<_> = counts
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0))
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    words.join(", ")
}
