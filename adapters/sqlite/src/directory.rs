//! The directory: loaded at the start, then amended in memory by every write.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use common::{
    ChannelKind, Credential, CredentialId, Destination, GroupId, UserDestinationId, UserId,
    UtcMillis,
};
use consumer::{domain::Lease, ports::Credentials};
use producer::{
    domain::{
        Caller, Command, Description, Destinations, Directory, FurtherDestination, Group,
        GroupName, User, UserDestination, UserName,
    },
    ports::{DirectoryStore, Executed, Mode, StoreError},
};
use rusqlite::{Connection, Row};

use crate::{
    api_tokens,
    reader::{damaged, uuid},
    secrets::Secrets,
    writer::{self, Commands},
};

/// The directory that requests read.
pub(crate) type Published = ArcSwap<Directory>;

/// The directory in SQLite, and users' current credentials with it.
pub struct SqliteDirectory {
    published: Arc<ArcSwap<Directory>>,
    commands: Commands,
}

impl SqliteDirectory {
    pub(crate) fn new(published: Arc<ArcSwap<Directory>>, commands: Commands) -> Self {
        Self {
            published,
            commands,
        }
    }
}

#[async_trait]
impl DirectoryStore for SqliteDirectory {
    fn snapshot(&self) -> Arc<Directory> {
        self.published.load_full()
    }

    async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
        by: &Caller,
    ) -> Result<Executed, StoreError> {
        let ended = || StoreError::Failed("the store is closed".into());
        let answer = self.commands.send(|reply| writer::Command::Directory {
            commands,
            mode,
            by: by.clone(),
            reply,
        });
        answer.ok_or_else(ended)?.await.map_err(|_| ended())?
    }
}

impl Credentials for SqliteDirectory {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        let directory = self.published.load();
        let current = directory.credential_for(&lease.recipients, &lease.destination);
        current.unwrap_or(&lease.credential).clone()
    }
}

/// Reads the whole directory.
pub(crate) fn load(
    connection: &Connection,
    secrets: &Secrets,
) -> Result<Directory, rusqlite::Error> {
    let mut directory = Directory::default();
    let mut users = connection.prepare(
        "SELECT u.id, u.name, u.created_at, u.updated_at,
                d.kind, d.base_url, d.address, c.id, c.secret, p.id
         FROM users u
         JOIN user_destination p ON p.user_id = u.id
         JOIN destination d ON d.id = p.destination_id
         JOIN credential c ON c.id = p.credential_id
         ORDER BY u.id, p.position",
    )?;
    let mut rows = users.query([])?;
    let mut current: Option<Loading> = None;
    while let Some(row) = rows.next()? {
        let place = user_destination(row, secrets)?;
        let id = UserId(uuid(row, 0)?);
        match &mut current {
            Some(user) if user.id == id => user.further.push(FurtherDestination {
                id: UserDestinationId(uuid(row, 9)?),
                place,
            }),
            _ => {
                if let Some(done) = current.replace(loading(row, id, place)?) {
                    directory.insert_user(Arc::new(done.user()));
                }
            }
        }
    }
    if let Some(done) = current {
        directory.insert_user(Arc::new(done.user()));
    }
    load_groups(connection, &mut directory)?;
    api_tokens::load(connection, &mut directory)?;
    Ok(directory)
}

/// A user whose places are still coming.
struct Loading {
    id: UserId,
    name: UserName,
    first: UserDestination,
    further: Vec<FurtherDestination>,
    created_at: UtcMillis,
    updated_at: UtcMillis,
}

impl Loading {
    fn user(self) -> User {
        User {
            id: self.id,
            name: self.name,
            destinations: Destinations::new(self.first, self.further),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

fn load_groups(connection: &Connection, directory: &mut Directory) -> Result<(), rusqlite::Error> {
    let mut groups =
        connection.prepare("SELECT id, name, \"desc\", created_at, updated_at FROM noti_group")?;
    let mut rows = groups.query([])?;
    while let Some(row) = rows.next()? {
        directory.insert_group(Arc::new(Group {
            id: GroupId(uuid(row, 0)?),
            name: GroupName::parse(row.get_ref(1)?.as_str()?).map_err(|e| damaged(1, e))?,
            desc: Description::parse(row.get_ref(2)?.as_str()?).map_err(|e| damaged(2, e))?,
            created_at: UtcMillis(row.get(3)?),
            updated_at: UtcMillis(row.get(4)?),
        }));
    }
    let mut members = connection.prepare("SELECT noti_group_id, user_id FROM noti_group_user")?;
    let mut rows = members.query([])?;
    while let Some(row) = rows.next()? {
        directory.insert_member(GroupId(uuid(row, 0)?), UserId(uuid(row, 1)?));
    }
    Ok(())
}

fn loading(row: &Row<'_>, id: UserId, first: UserDestination) -> Result<Loading, rusqlite::Error> {
    Ok(Loading {
        id,
        name: UserName::parse(row.get_ref(1)?.as_str()?).map_err(|error| damaged(1, error))?,
        first,
        further: Vec::new(),
        created_at: UtcMillis(row.get(2)?),
        updated_at: UtcMillis(row.get(3)?),
    })
}

fn user_destination(row: &Row<'_>, secrets: &Secrets) -> Result<UserDestination, rusqlite::Error> {
    let kind = ChannelKind::new(row.get_ref(4)?.as_str()?);
    let id = CredentialId(row.get(7)?);
    let secret = secrets.of_row(id, row.get_ref(8)?.as_blob()?);
    let secret = secret.map_err(|unopened| damaged(8, unopened))?;
    Ok(UserDestination {
        destination: Arc::new(Destination::new(
            kind,
            row.get_ref(5)?.as_str()?,
            row.get_ref(6)?.as_str()?,
        )),
        credential: Arc::new(Credential { id, secret }),
    })
}
