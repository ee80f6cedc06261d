//! The whole directory out and in, as JSON Lines.
//!
//! One object a line, users before the groups that name them:
//!
//! ```json
//! {"type":"user","id":"…","name":"ann","token":"…","channelId":"C1"}
//! {"type":"group","id":"…","name":"admins","desc":"those on call","users":["…"]}
//! ```
//!
//! A user with more than one destination has the others, in order, as
//! `"destinations":[{"id":"…","kind":"webhook","address":"https://…","credential":"…"}]`;
//! an import of a line without `destinations` keeps those that the user has.
//!
//! `token` and `credential` are left out of an export without secrets; an import of
//! such a line keeps what the user and their destination of that id have.

use std::collections::HashMap;

use common::{GroupId, Secret, UserDestinationId, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        Address, Caller, Command, Description, DestinationRecord, Directory, Effect, Group,
        GroupName, GroupRecord, Invalid, Place, Token, User, UserName, UserRecord,
    },
    ports::{DirectoryStore, Mode, StoreError},
};

/// An import stops reading at this many wrong lines, so that a file of another
/// kind altogether does not fill the memory with complaints.
pub const MAX_LINE_ERRORS: usize = 1000;

/// Whether an export holds tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// It does: treat it as one.
    Included,
    /// It does not.
    LeftOut,
}

/// What an import did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Users that did not exist before.
    pub users_created: usize,
    /// Users that were changed.
    pub users_updated: usize,
    /// Users that were so already.
    pub users_unchanged: usize,
    /// Groups that did not exist before.
    pub groups_created: usize,
    /// Groups that were changed.
    pub groups_updated: usize,
    /// Groups that were so already.
    pub groups_unchanged: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Counts from 1.
    pub line: usize,
    /// What to mend.
    pub message: String,
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// These lines are wrong; where they are [`MAX_LINE_ERRORS`], there may be more.
    #[error("{} of the lines cannot be imported; nothing was", .0.len())]
    Lines(Vec<LineError>),
    /// The store could not do it.
    #[error(transparent)]
    Store(StoreError),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    #[serde(rename_all = "camelCase")]
    User {
        id: String,
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        channel_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destinations: Option<Vec<DestinationLine>>,
    },
    Group {
        id: String,
        name: String,
        desc: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        users: Option<Vec<String>>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationLine {
    id: String,
    kind: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

/// The lines of an export, users by name, then groups by name.
pub fn export(directory: &Directory, secrets: Secrets) -> impl Iterator<Item = String> + '_ {
    let users = directory
        .users_by_name("", None)
        .map(move |user| user_line(user, secrets));
    let groups = directory
        .groups_by_name("", None)
        .map(|group| group_line(directory, group));
    users
        .chain(groups)
        .map(|line| serde_json::to_string(&line).unwrap_or_default() + "\n")
}

fn user_line(user: &User, secrets: Secrets) -> Line {
    let shown =
        |secret: &Secret| (secrets == Secrets::Included).then(|| secret.expose().to_owned());
    let first = user.destinations.first();
    let further = user
        .destinations
        .further()
        .iter()
        .map(|one| DestinationLine {
            id: one.id.to_string(),
            kind: one.place.destination.kind.to_string(),
            address: one.place.destination.shown(),
            credential: shown(&one.place.credential.secret),
        });
    let further: Vec<_> = further.collect();
    Line::User {
        id: user.id.to_string(),
        name: user.name.to_string(),
        token: shown(&first.credential.secret),
        channel_id: first.destination.address.to_string(),
        destinations: (!further.is_empty()).then_some(further),
    }
}

fn group_line(directory: &Directory, group: &Group) -> Line {
    Line::Group {
        id: group.id.to_string(),
        name: group.name.to_string(),
        desc: group.desc.as_str().to_owned(),
        users: Some(
            directory
                .member_ids(group.id)
                .map(|id| id.to_string())
                .collect(),
        ),
    }
}

/// Brings the directory to what `text` says, all or nothing; users and groups it
/// does not name stay as they are. A repeated import changes nothing.
pub async fn import(
    store: &dyn DirectoryStore,
    text: &str,
    mode: Mode,
    by: &Caller,
) -> Result<Imported, ImportError> {
    let (commands, lines) = parse(text).map_err(ImportError::Lines)?;
    let is_user: Vec<bool> = commands
        .iter()
        .map(|command| matches!(command, Command::PutUser(_)))
        .collect();
    match store.execute(commands, mode, by).await {
        Ok(executed) => Ok(count(&is_user, &executed.effects)),
        Err(StoreError::Refused(reasons)) => Err(ImportError::Lines(
            reasons
                .into_iter()
                .map(|(place, reason)| LineError {
                    line: lines.get(place).copied().unwrap_or_default(),
                    message: reason.to_string(),
                })
                .collect(),
        )),
        Err(error) => Err(ImportError::Store(error)),
    }
}

fn count(is_user: &[bool], effects: &[Effect]) -> Imported {
    let mut counts = Imported::default();
    for (is_user, effect) in is_user.iter().zip(effects) {
        let place = match (is_user, effect) {
            (true, Effect::Created) => &mut counts.users_created,
            (true, Effect::Updated) => &mut counts.users_updated,
            (true, Effect::Unchanged) => &mut counts.users_unchanged,
            (false, Effect::Created) => &mut counts.groups_created,
            (false, Effect::Updated) => &mut counts.groups_updated,
            (false, Effect::Unchanged) => &mut counts.groups_unchanged,
        };
        *place += 1;
    }
    counts
}

/// The commands, users first so that groups may name them from any line, and the
/// line each came from.
fn parse(text: &str) -> Result<(Vec<Command>, Vec<usize>), Vec<LineError>> {
    let mut users = Vec::new();
    let mut groups = Vec::new();
    let mut errors = Vec::new();
    let mut ids = HashMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        match command(text) {
            Ok(command) => {
                let (is_user, id) = subject(&command);
                if let Some(first) = ids.insert((is_user, id), line) {
                    let message = format!("the id stands on line {first} already.");
                    errors.push(LineError { line, message });
                }
                if is_user { &mut users } else { &mut groups }.push((command, line));
            }
            Err(message) => errors.push(LineError { line, message }),
        }
        if errors.len() == MAX_LINE_ERRORS {
            break;
        }
    }
    if errors.is_empty() {
        Ok(users.into_iter().chain(groups).unzip())
    } else {
        Err(errors)
    }
}

fn subject(command: &Command) -> (bool, uuid::Uuid) {
    match command {
        Command::PutUser(record) | Command::CreateUser(record) => (true, record.id.0),
        Command::PutGroup(record) | Command::CreateGroup(record) => (false, record.id.0),
        Command::RemoveUser(id)
        | Command::CreateDestination(id, ..)
        | Command::PutDestination(id, ..)
        | Command::RemoveDestination(id, _)
        | Command::Subscribe(_, id)
        | Command::Unsubscribe(_, id) => (true, id.0),
        Command::RemoveGroup(id) => (false, id.0),
        Command::CreateApiToken(record) => (false, record.id.0),
        Command::RevokeApiToken(id) => (false, id.0),
    }
}

fn command(text: &str) -> Result<Command, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    match line {
        Line::User {
            id,
            name,
            token,
            channel_id,
            destinations,
        } => user(
            &id,
            &name,
            token.as_deref(),
            &channel_id,
            destinations.as_deref(),
        ),
        Line::Group {
            id,
            name,
            desc,
            users,
        } => group(&id, &name, &desc, users.as_deref()),
    }
}

/// What serde says repeats pieces of the line, which may be a token; the kind of
/// mistake and the column do not.
fn malformed(error: &serde_json::Error) -> String {
    let problem = match error.classify() {
        serde_json::error::Category::Data => "is not a user or group of the documented form",
        _ => "is not JSON",
    };
    // A mistake in the whole has no column.
    match error.column() {
        0 => format!("{problem}."),
        column => format!("{problem} (column {column})."),
    }
}

fn user(
    id: &str,
    name: &str,
    token: Option<&str>,
    channel_id: &str,
    destinations: Option<&[DestinationLine]>,
) -> Result<Command, String> {
    Ok(Command::PutUser(UserRecord {
        id: id.parse::<UserId>().map_err(|error| error.to_string())?,
        name: UserName::parse(name).map_err(|error| error.to_string())?,
        address: Address::parse(channel_id).map_err(|error| error.to_string())?,
        token: token
            .map(Token::parse)
            .transpose()
            .map_err(|error| error.to_string())?,
        destinations: destinations
            .map(|lines| lines.iter().map(destination).collect())
            .transpose()?,
    }))
}

fn destination(line: &DestinationLine) -> Result<DestinationRecord, String> {
    let parse = || {
        let place = Place::parse(&line.kind, &line.address)?;
        let credential = line.credential.as_deref();
        let credential = credential.map(|text| place.credential(text)).transpose()?;
        Ok((place, credential))
    };
    let (place, credential) = parse().map_err(|error: Invalid| error.to_string())?;
    let id = line.id.parse::<UserDestinationId>();
    Ok(DestinationRecord {
        id: id.map_err(|error| error.to_string())?,
        place,
        credential,
    })
}

fn group(id: &str, name: &str, desc: &str, users: Option<&[String]>) -> Result<Command, String> {
    let members = |ids: &[String]| {
        ids.iter()
            .map(|id| id.parse::<UserId>())
            .collect::<Result<_, _>>()
    };
    Ok(Command::PutGroup(GroupRecord {
        id: id.parse::<GroupId>().map_err(|error| error.to_string())?,
        name: GroupName::parse(name).map_err(|error| error.to_string())?,
        desc: Description::parse(desc).map_err(|error| error.to_string())?,
        users: users
            .map(members)
            .transpose()
            .map_err(|error| error.to_string())?,
    }))
}

#[cfg(test)]
mod tests;
