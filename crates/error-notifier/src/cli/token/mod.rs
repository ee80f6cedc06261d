//! `token`: who may call the API.

mod offline;

use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::{Method, StatusCode};
use producer::domain::{ApiTokenName, Scope};
use serde_json::{Value, json};
use uuid::Uuid;

use super::alert::text;
use super::failure::Failure;
use super::offline::Offline;
use super::table::table;
use super::{print, print_json};
use crate::client::directory::{GROUP, Group, Kind};
use crate::client::error::ClientError;
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};
use crate::config::values;

pub(super) const EXAMPLES: &str = "\
Scopes:
  alerts:write     post, cancel and replay alerts, discard dead letters
  alerts:read      see what became of alerts, and how destinations stand
  directory:read   see users and groups
  directory:write  change users and groups
  admin            everything, API tokens and the audit log included

From the first token on every call needs one, but for health and the documentation. With
--offline the command works on the data folder, whose server must not be running, or on
the database of --database-url: so the first token is made before a server listens.

Examples:
  error-notifier token create admin --scope admin --offline --data-dir ./data
  error-notifier token create ci --scope alerts:write --group group_name1 --expires-in 90d
  error-notifier token list
  error-notifier token revoke ci";

/// Tokens, at `/v1/tokens`.
const TOKEN: Kind = Kind::new("API token", "/v1/tokens");

/// What `token` can do.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make an API token, and print it: it is shown now and never again
    Create(Create),
    /// List API tokens, revoked and expired ones too
    List(List),
    /// Revoke an API token
    Revoke(Revoke),
}

/// Where the tokens are.
#[derive(Args)]
struct Place {
    #[command(flatten)]
    store: Offline,
    #[command(flatten)]
    server: ServerSettings,
}

/// Arguments of `token create`.
#[derive(Args)]
pub(crate) struct Create {
    /// Whose it is or what for: 1 to 60 characters
    name: String,
    /// What it allows; may be given several times
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// Name or id of a group that its alerts may be for, and of no other [default: anybody];
    /// may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// How long it is taken: 90d, 12h, … (1s to 3650d) [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = values::retention)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `token list`.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    place: Place,
}

/// Arguments of `token revoke`.
#[derive(Args)]
pub(crate) struct Revoke {
    /// Name or id of the token
    #[arg(value_name = "NAME|ID")]
    token: String,
    #[command(flatten)]
    place: Place,
}

/// Runs one of the `token` commands.
pub(crate) async fn run(command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => create(arguments).await,
        TokenCommand::List(arguments) => list(arguments).await,
        TokenCommand::Revoke(arguments) => revoke(arguments).await,
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|_| {
        let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        format!("write one of {}", all.join(", "))
    })
}

async fn create(arguments: Create) -> Result<(), Failure> {
    let Create {
        name,
        scopes,
        groups,
        expires_in,
        output,
        place,
    } = arguments;
    let name = ApiTokenName::parse(&name).map_err(|error| Failure::BadInput(error.to_string()))?;
    let wanted = offline::Wanted {
        name,
        scopes,
        groups,
        expires_in,
    };
    let data = if place.store.offline {
        offline::create(&place.store, wanted).await?
    } else {
        create_online(place.server, wanted).await?
    };
    if output.json {
        return print_json(&data);
    }
    // On a line of its own, so that it can be copied whole.
    print(&format!(
        "made {} ({})\n{}\n",
        text(&data, "name"),
        text(&data, "id"),
        text(&data, "token"),
    ))?;
    eprintln!("Keep it safe: it is shown now and never again.");
    Ok(())
}

async fn create_online(server: ServerSettings, wanted: offline::Wanted) -> Result<Value, Failure> {
    let client = Client::new(server)?;
    let mut ids = Vec::new();
    for group in &wanted.groups {
        let group: Group = client.read(&client.find(&GROUP, group).await?)?;
        ids.push(group.id);
    }
    let scopes: Vec<_> = wanted.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut body = json!({ "name": wanted.name.as_str(), "scopes": scopes });
    if !ids.is_empty() {
        body["notiGroupIds"] = json!(ids);
    }
    if let Some(span) = wanted.expires_in {
        body["expiresAt"] = json!((jiff::Timestamp::now() + span).to_string());
    }
    let call = Call::json(Method::POST, TOKEN.path, body);
    Ok(client.call(call).await?)
}

async fn list(arguments: List) -> Result<(), Failure> {
    let List { output, place } = arguments;
    let found = if place.store.offline {
        offline::list(&place.store).await?
    } else {
        Client::new(place.server)?.list(&TOKEN, "").await?
    };
    if output.json {
        return print_json(&Value::Array(found));
    }
    let rows: Vec<_> = found.iter().map(row).collect();
    let header = ["NAME", "SCOPES", "GROUPS", "STATE", "CREATED", "ID"];
    print(&table(&header, &rows))
}

fn row(token: &Value) -> Vec<String> {
    let words = |value: &Value, word: &dyn Fn(&Value) -> String| {
        let items = value.as_array().into_iter().flatten();
        items.map(word).collect::<Vec<_>>().join(" ")
    };
    let group = |group: &Value| match group["name"].as_str() {
        Some(name) => format!("@@{name}"),
        None => text(group, "id"),
    };
    let state = match (text(token, "revokedAt"), text(token, "expiresAt")) {
        (at, _) if !at.is_empty() => format!("revoked {at}"),
        (_, at) if !at.is_empty() => format!("expires {at}"),
        _ => "in use".to_owned(),
    };
    vec![
        text(token, "name"),
        words(&token["scopes"], &|scope| {
            scope.as_str().unwrap_or_default().to_owned()
        }),
        words(&token["notiGroups"], &group),
        state,
        text(token, "createdAt"),
        text(token, "id"),
    ]
}

async fn revoke(arguments: Revoke) -> Result<(), Failure> {
    let Revoke { token, place } = arguments;
    let id = if place.store.offline {
        offline::revoke(&place.store, &token).await?
    } else {
        let client = Client::new(place.server)?;
        let id = id_of(&client, &token).await?;
        let path = format!("{}/{id}", TOKEN.path);
        client.call(Call::bare(Method::DELETE, path)).await?;
        id
    };
    print(&format!("revoked {id}\n"))
}

/// The id of the token that is meant: of one name, the one that is not revoked.
async fn id_of(client: &Client, name: &str) -> Result<String, ClientError> {
    if Uuid::try_parse(name).is_ok() {
        return Ok(name.to_owned());
    }
    let found = client.list(&TOKEN, name).await?;
    let meant = found
        .iter()
        .find(|token| token["name"].as_str() == Some(name) && token["revokedAt"].is_null())
        .ok_or_else(|| ClientError::NoSuch {
            kind: TOKEN.word,
            name: name.to_owned(),
        })?;
    match meant["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(client.foreign(StatusCode::OK)),
    }
}
