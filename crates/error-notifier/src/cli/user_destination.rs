//! `user destination`: where a user is told.

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::input::CredentialSource;
use super::table::{printable, table};
use super::{print, print_json};
use crate::client::directory::{USER, User};
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
Every alert goes to all of a user's destinations. The first is the user's token and
channel, and is changed with `user set`.

A webhook's secret is whsec_ and 24 to 64 random bytes in base64; its requests are
signed with it as https://www.standardwebhooks.com/ say.

Examples:
  error-notifier user destination list ann
  echo \"whsec_$(openssl rand -base64 32)\" > hook.secret
  error-notifier user destination add ann --kind webhook --address https://example.org/hook --credential-file hook.secret
  error-notifier user destination add ann --kind slack --address C9876543210 --credential-file ./token
  error-notifier user destination remove ann 019ab5d6-1f3c-4c55-9c1e-4b0a6c1f5e11";

/// What `user destination` can do.
#[derive(Subcommand)]
pub(crate) enum DestinationCommand {
    /// List a user's destinations, in their order
    List(List),
    /// Add a destination to a user
    Add(Add),
    /// Remove a destination of a user; the first cannot go
    Remove(Remove),
}

/// Arguments of `user destination list`.
#[derive(Args)]
pub(crate) struct List {
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `user destination add`.
#[derive(Args)]
pub(crate) struct Add {
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    /// What kind of place it is
    #[arg(long)]
    kind: Kind,
    /// Id of the Slack channel, or URL of the webhook
    #[arg(long)]
    address: String,
    #[command(flatten)]
    credential: CredentialSource,
    /// Place among the user's destinations (1 to 15) [default: the last]
    #[arg(long, value_name = "PLACE", value_parser = clap::value_parser!(u8).range(1..=15))]
    order: Option<u8>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `user destination remove`.
#[derive(Args)]
pub(crate) struct Remove {
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    /// Id of the destination
    #[arg(value_name = "DESTINATION")]
    id: Uuid,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// A kind of place.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// A Slack channel
    Slack,
    /// Signed requests to a URL
    Webhook,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }
}

/// A destination as the server shows it; its credential never comes back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    id: String,
    kind: String,
    address: String,
    credential_hint: Option<String>,
    order: usize,
}

/// Runs one of the `user destination` commands.
pub(super) async fn run(command: DestinationCommand) -> Result<(), Failure> {
    match command {
        DestinationCommand::List(arguments) => list(arguments).await,
        DestinationCommand::Add(arguments) => add(arguments).await,
        DestinationCommand::Remove(arguments) => remove(arguments).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let path = destinations(&client, &arguments.user).await?;
    let mut data = client.call(Call::bare(Method::GET, path)).await?;
    let found = data["destinations"].take();
    if arguments.output.json {
        return print_json(&found);
    }
    let found: Vec<Destination> = client.read(&found)?;
    let rows: Vec<_> = found.into_iter().map(row).collect();
    print(&table(
        &["ORDER", "ID", "KIND", "ADDRESS", "CREDENTIAL"],
        &rows,
    ))
}

async fn add(arguments: Add) -> Result<(), Failure> {
    let credential = arguments.credential.read()?.ok_or_else(|| {
        Failure::BadInput(
            "a new destination needs a credential: give --credential or --credential-file"
                .to_owned(),
        )
    })?;
    let client = Client::new(arguments.server)?;
    let path = destinations(&client, &arguments.user).await?;
    let mut body = json!({
        "kind": arguments.kind.as_str(),
        "address": arguments.address,
        "credential": credential.expose(),
    });
    if let Some(order) = arguments.order {
        body["order"] = order.into();
    }
    let data = client.call(Call::json(Method::POST, path, body)).await?;
    report(&client, "added", &data, arguments.output.json)
}

async fn remove(arguments: Remove) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let path = destinations(&client, &arguments.user).await?;
    let path = format!("{path}/{}", arguments.id);
    let found = client.call(Call::bare(Method::GET, path.clone())).await?;
    client.call(Call::bare(Method::DELETE, path)).await?;
    report(&client, "removed", &found, arguments.output.json)
}

/// Where the API has the destinations of a user.
async fn destinations(client: &Client, user: &str) -> Result<String, Failure> {
    let user: User = client.read(&client.find(&USER, user).await?)?;
    Ok(format!("{}/{}/destinations", USER.path, user.id))
}

fn row(destination: Destination) -> Vec<String> {
    let credential = match destination.credential_hint {
        Some(hint) => format!("…{hint}"),
        None => "(hidden)".to_owned(),
    };
    vec![
        destination.order.to_string(),
        destination.id,
        destination.kind,
        destination.address,
        credential,
    ]
}

fn report(client: &Client, done: &str, data: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(data);
    }
    let destination: Destination = client.read(data)?;
    print(&format!(
        "{done} {} {} ({})\n",
        printable(&destination.kind),
        printable(&destination.address),
        printable(&destination.id)
    ))
}
