//! `alert watch`: what happens, as it happens.

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::alert::{line, text};
use super::failure::Failure;
use super::print;
use super::table::printable;
use crate::client::error::ClientError;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

/// How long to leave a server alone whose stream has ended.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `alert watch`.
#[derive(Args)]
pub(crate) struct Watch {
    /// Begin after this event instead of now
    #[arg(long, value_name = "EVENT")]
    after: Option<String>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Prints a line for each event, for ever. A stream that ends is gone on with
/// where it ended, so nothing is missed while the server restarts.
pub(crate) async fn run(arguments: Watch) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let mut last = arguments.after;
    let mut was_open = false;
    loop {
        match follow(&client, &mut last, &mut was_open, arguments.output.json).await {
            Ok(()) => {}
            Err(Failure::Client(error)) if was_open && is_passing(&error) => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the server may be back soon.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Broken { .. } => true,
        ClientError::Refused { status, .. } => status.as_u16() == 503,
        _ => false,
    }
}

/// Follows one stream to its end.
async fn follow(
    client: &Client,
    last: &mut Option<String>,
    was_open: &mut bool,
    json: bool,
) -> Result<(), Failure> {
    let mut call = Call::bare(Method::GET, "/v1/events");
    call.last_event_id = last.clone();
    let mut stream = client.download(call).await?;
    *was_open = true;
    let mut buffer = Vec::new();
    while let Some(part) = stream.next().await? {
        buffer.extend_from_slice(&part);
        while let Some(end) = buffer.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = buffer.drain(..end + 2).collect();
            show(&String::from_utf8_lossy(&block), last, json)?;
        }
    }
    Ok(())
}

/// Prints an event; a comment or an id alone prints nothing.
fn show(block: &str, last: &mut Option<String>, json: bool) -> Result<(), Failure> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    if let Some(id) = field("id: ") {
        *last = Some(id.to_owned());
    }
    let Some(event) = field("event: ") else {
        return Ok(());
    };
    let data = field("data: ").unwrap_or_default();
    if json {
        return print(&format!("{data}\n"));
    }
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let told = match event {
        "alert" => format!(
            "{}  {:<9}  {}  (alert {})",
            text(&data, "at"),
            text(&data, "severity"),
            line(&text(&data, "message")),
            text(&data, "alertId"),
        ),
        "delivery" => format!(
            "{}  {:<9}  {} {}  (alert {})",
            text(&data, "at"),
            text(&data, "state"),
            text(&data, "channel"),
            text(&data, "address"),
            text(&data, "alertId"),
        ),
        "gap" => "… some events were missed".to_owned(),
        _ => return Ok(()),
    };
    print(&format!("{}\n", printable(&told)))
}
