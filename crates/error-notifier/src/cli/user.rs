//! `user`: who can be told.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::input::TokenSource;
use super::table::{printable, table};
use super::user_destination;
use super::{print, print_json, send};
use crate::client::directory::{USER, User, item};
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
A user is named by its id or by its name, with or without @.

Examples:
  error-notifier user list --name user_
  error-notifier user add user_name3 --channel C0123456789 --token-file ./token
  pass slack/bot | error-notifier user add user_name3 --channel C0123456789 --token -
  error-notifier user set user_name3 --channel C9876543210
  error-notifier user test user_name3
  error-notifier user remove user_name3";

/// What `user` can do.
#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// List users
    List(List),
    /// Show one user
    Show(One),
    /// Add a user
    Add(Add),
    /// Change a user; what is not given stays as it is
    Set(Set),
    /// Remove a user, and its memberships
    Remove(One),
    /// Send a trial message to one user
    Test(One),
    /// List, add and remove the places where a user is told
    #[command(after_help = user_destination::EXAMPLES)]
    Destination {
        #[command(subcommand)]
        command: user_destination::DestinationCommand,
    },
}

/// Arguments of `user list`.
#[derive(Args)]
pub(crate) struct List {
    /// Only names that begin with this
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    name: String,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of the commands that name one user.
#[derive(Args)]
pub(crate) struct One {
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `user add`.
#[derive(Args)]
pub(crate) struct Add {
    /// Name, unique, up to 30 characters
    name: String,
    /// Id of the Slack channel where the user reads
    #[arg(long, value_name = "CHANNEL")]
    channel: String,
    #[command(flatten)]
    token: TokenSource,
    /// Id of the user [default: made by the server]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `user set`.
#[derive(Args)]
pub(crate) struct Set {
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Id of the new Slack channel
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    token: TokenSource,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `user` commands.
pub(crate) async fn run(command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::List(arguments) => list(arguments).await,
        UserCommand::Show(arguments) => show(arguments).await,
        UserCommand::Add(arguments) => add(arguments).await,
        UserCommand::Set(arguments) => set(arguments).await,
        UserCommand::Remove(arguments) => remove(arguments).await,
        UserCommand::Test(arguments) => test(arguments).await,
        UserCommand::Destination { command } => user_destination::run(command).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let found = client.list(&USER, &arguments.name).await?;
    print_users(&client, found, arguments.output.json)
}

async fn show(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let found = client.find(&USER, &arguments.user).await?;
    if arguments.output.json {
        return print_json(&found);
    }
    print_users(&client, vec![found], false)
}

async fn add(arguments: Add) -> Result<(), Failure> {
    let token = arguments.token.read()?.ok_or_else(|| {
        Failure::BadInput("a new user needs a token: give --token or --token-file".to_owned())
    })?;
    let client = Client::new(arguments.server)?;
    let body = json!({
        "name": arguments.name,
        "token": token.expose(),
        "channelId": arguments.channel,
    });
    let call = match arguments.id {
        Some(id) => {
            client.must_be_free(&USER, &id).await?;
            Call::json(Method::PUT, item(&USER, &id), body)
        }
        None => Call::json(Method::POST, USER.path, body),
    };
    let data = client.call(call).await?;
    report(&client, "added", &data, arguments.output.json)
}

async fn set(arguments: Set) -> Result<(), Failure> {
    let token = arguments.token.read()?;
    if arguments.name.is_none() && arguments.channel.is_none() && token.is_none() {
        return Err(Failure::BadInput(
            "nothing to change: give --name, --channel, --token or --token-file".to_owned(),
        ));
    }
    let client = Client::new(arguments.server)?;
    let user: User = client.read(&client.find(&USER, &arguments.user).await?)?;
    let mut body = json!({
        "name": arguments.name.unwrap_or(user.name),
        "channelId": arguments.channel.unwrap_or(user.channel_id),
    });
    if let Some(token) = token {
        body["token"] = json!(token.expose());
    }
    let path = format!("{}/{}", USER.path, user.id);
    let data = client.call(Call::json(Method::PUT, path, body)).await?;
    report(&client, "changed", &data, arguments.output.json)
}

async fn remove(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let found = client.find(&USER, &arguments.user).await?;
    let user: User = client.read(&found)?;
    let path = format!("{}/{}", USER.path, user.id);
    client.call(Call::bare(Method::DELETE, path)).await?;
    report(&client, "removed", &found, arguments.output.json)
}

async fn test(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let user: User = client.read(&client.find(&USER, &arguments.user).await?)?;
    let targets = [format!("@{}", user.name)];
    let text = "Test message from error-notifier";
    let (data, accepted) = send::post(&client, &targets, "low", text, None).await?;
    if arguments.output.json {
        print_json(&data)?;
    }
    if accepted.user_count == 0 {
        return Err(Failure::Nobody);
    }
    if arguments.output.json {
        return Ok(());
    }
    print(&format!(
        "a test message is on its way to {}, channel {}{}\n",
        printable(&user.name),
        printable(&user.channel_id),
        accepted.alert(),
    ))
}

fn print_users(client: &Client, found: Vec<Value>, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&Value::Array(found));
    }
    let mut rows = Vec::with_capacity(found.len());
    for value in &found {
        let user: User = client.read(value)?;
        let token = match user.token_hint {
            Some(hint) => format!("…{hint}"),
            None => "(hidden)".to_owned(),
        };
        rows.push(vec![user.id, user.name, user.channel_id, token]);
    }
    print(&table(&["ID", "NAME", "CHANNEL", "TOKEN"], &rows))
}

fn report(client: &Client, done: &str, data: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(data);
    }
    let user: User = client.read(data)?;
    let (name, id) = (printable(&user.name), printable(&user.id));
    print(&format!("{done} user {name} ({id})\n"))
}
