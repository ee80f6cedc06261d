//! `send`: an alert from the terminal or from a script.

use clap::{Args, ValueEnum};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::table::printable;
use super::{input, print, print_json};
use crate::client::error::ClientError;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};
use crate::config::values;

pub(super) const EXAMPLES: &str = "\
Examples:
  error-notifier send -t @user_name1 -t @@group_name1 -s high \"node1 down\"
  error-notifier send -t @all -s low \"maintenance at 18:00\"
  df -h | error-notifier send -t @@operators -
  error-notifier send -t @@operators --key deploy-42 -- \"-5 degrees in room 3\"

Exit codes:
  0 told   1 refused, or no server   2 bad arguments   3 the alert reached nobody";

/// Arguments of `send`.
#[derive(Args)]
pub(crate) struct Send {
    /// Whom to tell: @user, @@group or @all; may be given several times
    #[arg(short, long = "target", value_name = "TARGET", required = true)]
    targets: Vec<String>,

    /// How severe it is
    #[arg(short, long, value_enum, ignore_case = true, default_value = "normal")]
    severity: Severity,

    /// Exit with 0 where the alert reaches nobody
    #[arg(long)]
    allow_nobody: bool,

    /// Idempotency key: sent again with the same key, it is one alert
    #[arg(long, value_name = "KEY", value_parser = values::idempotency_key)]
    key: Option<String>,

    /// What to say, or - to read it from standard input
    text: String,

    #[command(flatten)]
    output: OutputSettings,

    #[command(flatten)]
    server: ServerSettings,
}

#[derive(Clone, Copy, ValueEnum)]
enum Severity {
    High,
    Normal,
    Low,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// What the server did with an alert.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    pub(super) user_count: u64,
    alert_id: Option<String>,
    #[serde(default)]
    unknown_targets: Vec<String>,
}

impl Accepted {
    /// ` (alert 0192…)`, or nothing where the server told no id.
    pub(super) fn alert(&self) -> String {
        match &self.alert_id {
            Some(id) => format!(" (alert {})", printable(id)),
            None => String::new(),
        }
    }
}

/// Posts the alert and prints how many it reached.
pub(crate) async fn run(arguments: Send) -> Result<(), Failure> {
    let text = match arguments.text.as_str() {
        "-" => input::stdin()?,
        _ => arguments.text,
    };
    let client = Client::new(arguments.server)?;
    let severity = arguments.severity.as_str();
    let (data, accepted) =
        post(&client, &arguments.targets, severity, &text, arguments.key).await?;
    if arguments.output.json {
        print_json(&data)?;
    } else {
        print(&summary(&accepted))?;
    }
    if accepted.user_count == 0 && !arguments.allow_nobody {
        return Err(Failure::Nobody);
    }
    Ok(())
}

/// Posts an alert; gives the server's data as it is, and read.
pub(super) async fn post(
    client: &Client,
    targets: &[String],
    severity: &str,
    text: &str,
    key: Option<String>,
) -> Result<(Value, Accepted), ClientError> {
    let body = json!({ "target": targets, "severity": severity, "message": text });
    let mut call = Call::json(Method::POST, "/v1/alerts", body);
    call.idempotency_key = key;
    let data = client.call(call).await?;
    let accepted = Accepted::deserialize(&data).map_err(|_| client.foreign(StatusCode::OK))?;
    Ok((data, accepted))
}

fn summary(accepted: &Accepted) -> String {
    let users = match accepted.user_count {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    let mut text = format!("reached {users}{}\n", accepted.alert());
    if !accepted.unknown_targets.is_empty() {
        let unknown = printable(&accepted.unknown_targets.join(", "));
        text.push_str(&format!("matched nobody: {unknown}\n"));
    }
    text
}
