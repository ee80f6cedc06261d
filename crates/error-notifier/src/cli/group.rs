//! `group`: who is told together.

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::Failure;
use super::table::{printable, table};
use super::{print, print_json};
use crate::client::directory::{GROUP, Group, USER, User, item};
use crate::client::error::ClientError;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
A group is named by its id or by its name, with or without @@; a user likewise,
with or without @.

Examples:
  error-notifier group list
  error-notifier group add operators --desc \"Who keeps it running\" --user user_name1
  error-notifier group subscribe operators user_name2
  error-notifier group unsubscribe operators user_name1
  error-notifier group set operators --desc \"Day shift\"
  error-notifier group show operators";

/// What `group` can do.
#[derive(Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups
    List(List),
    /// Show one group and its members
    Show(One),
    /// Add a group
    Add(Add),
    /// Change a group; what is not given stays as it is
    Set(Set),
    /// Remove a group; its members stay users
    Remove(One),
    /// Make a user a member of a group
    Subscribe(Membership),
    /// End a user's membership of a group
    Unsubscribe(Membership),
}

/// Arguments of `group list`.
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

/// Arguments of the commands that name one group.
#[derive(Args)]
pub(crate) struct One {
    /// Id or name of the group
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `group add`.
#[derive(Args)]
pub(crate) struct Add {
    /// Name, unique, 5 to 30 characters
    name: String,
    /// What the group is for, 5 to 200 characters
    #[arg(long)]
    desc: String,
    /// A first member, by id or name; may be given several times
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
    /// Id of the group [default: made by the server]
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `group set`.
#[derive(Args)]
pub(crate) struct Set {
    /// Id or name of the group
    #[arg(value_name = "GROUP")]
    group: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// New description
    #[arg(long)]
    desc: Option<String>,
    /// A member, by id or name; may be given several times, and replaces all
    /// members
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `group subscribe` and `group unsubscribe`.
#[derive(Args)]
pub(crate) struct Membership {
    /// Id or name of the group
    #[arg(value_name = "GROUP")]
    group: String,
    /// Id or name of the user
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `group` commands.
pub(crate) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List(arguments) => list(arguments).await,
        GroupCommand::Show(arguments) => show(arguments).await,
        GroupCommand::Add(arguments) => add(arguments).await,
        GroupCommand::Set(arguments) => set(arguments).await,
        GroupCommand::Remove(arguments) => remove(arguments).await,
        GroupCommand::Subscribe(arguments) => membership(arguments, Change::Subscribe).await,
        GroupCommand::Unsubscribe(arguments) => membership(arguments, Change::Unsubscribe).await,
    }
}

async fn list(arguments: List) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let found = client.list(&GROUP, &arguments.name).await?;
    if arguments.output.json {
        return print_json(&Value::Array(found));
    }
    let mut rows = Vec::with_capacity(found.len());
    for value in &found {
        let group: Group = client.read(value)?;
        let members = match group.users {
            Some(users) => users.len().to_string(),
            None => "?".to_owned(),
        };
        rows.push(vec![group.id, group.name, members, group.desc]);
    }
    print(&table(&["ID", "NAME", "MEMBERS", "DESCRIPTION"], &rows))
}

async fn show(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let mut found = client.find(&GROUP, &arguments.group).await?;
    if found.get("users").is_none() {
        // A list need not tell the members.
        let group: Group = client.read(&found)?;
        let path = format!("{}/{}", GROUP.path, group.id);
        found = client.call(Call::bare(Method::GET, path)).await?;
    }
    if arguments.output.json {
        return print_json(&found);
    }
    let group: Group = client.read(&found)?;
    let members = group.users.unwrap_or_default();
    let rows: Vec<_> = members.into_iter().map(|m| vec![m.id, m.name]).collect();
    print(&format!(
        "{} ({})\n{}\n\n{}",
        printable(&group.name),
        printable(&group.id),
        printable(&group.desc),
        table(&["MEMBER ID", "NAME"], &rows),
    ))
}

async fn add(arguments: Add) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let mut body = json!({ "name": arguments.name, "desc": arguments.desc });
    let members = user_ids(&client, &arguments.users).await?;
    let call = match arguments.id {
        None if members.is_empty() => Call::json(Method::POST, GROUP.path, body),
        id => {
            // Group and members in one request: all of it, or nothing.
            let id = id.unwrap_or_else(Uuid::new_v4);
            client.must_be_free(&GROUP, &id).await?;
            body["users"] = json!(members);
            Call::json(Method::PUT, item(&GROUP, &id), body)
        }
    };
    let data = client.call(call).await?;
    report(&client, "added", &data, arguments.output.json)
}

async fn set(arguments: Set) -> Result<(), Failure> {
    if arguments.name.is_none() && arguments.desc.is_none() && arguments.users.is_empty() {
        return Err(Failure::BadInput(
            "nothing to change: give --name, --desc or --user".to_owned(),
        ));
    }
    let client = Client::new(arguments.server)?;
    let group: Group = client.read(&client.find(&GROUP, &arguments.group).await?)?;
    let mut body = json!({
        "name": arguments.name.unwrap_or(group.name),
        "desc": arguments.desc.unwrap_or(group.desc),
    });
    if !arguments.users.is_empty() {
        body["users"] = json!(user_ids(&client, &arguments.users).await?);
    }
    let path = format!("{}/{}", GROUP.path, group.id);
    let data = client.call(Call::json(Method::PUT, path, body)).await?;
    report(&client, "changed", &data, arguments.output.json)
}

async fn remove(arguments: One) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let found = client.find(&GROUP, &arguments.group).await?;
    let group: Group = client.read(&found)?;
    let path = format!("{}/{}", GROUP.path, group.id);
    client.call(Call::bare(Method::DELETE, path)).await?;
    report(&client, "removed", &found, arguments.output.json)
}

#[derive(Clone, Copy)]
enum Change {
    Subscribe,
    Unsubscribe,
}

async fn membership(arguments: Membership, change: Change) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    let group: Group = client.read(&client.find(&GROUP, &arguments.group).await?)?;
    let user: User = client.read(&client.find(&USER, &arguments.user).await?)?;
    let (path, done) = match change {
        Change::Subscribe => ("subscribe", "subscribed to"),
        Change::Unsubscribe => ("unsubscribe", "unsubscribed from"),
    };
    let path = format!("{}/{path}", GROUP.path);
    let body = json!({ "notiGroupId": group.id, "userId": user.id });
    client
        .call(Call::json(Method::POST, path, body.clone()))
        .await?;
    if arguments.output.json {
        return print_json(&body);
    }
    let (user, group) = (printable(&user.name), printable(&group.name));
    print(&format!("{user} is {done} {group}\n"))
}

async fn user_ids(client: &Client, users: &[String]) -> Result<Vec<String>, ClientError> {
    let mut ids = Vec::with_capacity(users.len());
    for user in users {
        let user: User = client.read(&client.find(&USER, user).await?)?;
        ids.push(user.id);
    }
    Ok(ids)
}

fn report(client: &Client, done: &str, data: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(data);
    }
    let group: Group = client.read(data)?;
    let (name, id) = (printable(&group.name), printable(&group.id));
    print(&format!("{done} group {name} ({id})\n"))
}
