//! Users and groups of rows.

use std::{fmt::Display, sync::Arc};

use common::{ChannelKind, Credential, Destination, GroupId, UserDestinationId, UserId, UtcMillis};
use producer::domain::{
    Description, Destinations, Directory, FurtherDestination, Group, GroupName, User,
    UserDestination, UserName,
};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use crate::{
    secrets::{NotRead, Secrets},
    time::millis,
};

/// Users, a row for each of their places. [`Users`] reads them; to be completed with a
/// condition and [`BY_USER`].
pub(super) const USERS: &str = "SELECT u.id, u.name, u.created_at, u.updated_at,
       p.position, p.id, d.kind, d.base_url, d.address, c.id, c.secret, c.sealed
     FROM users u
     LEFT JOIN (user_destination p
       JOIN destination d ON d.id = p.destination_id
       JOIN credential c ON c.id = p.credential_id) ON p.user_id = u.id";
pub(super) const BY_USER: &str = "ORDER BY u.id, p.position";

/// Groups; [`group`] reads them.
pub(super) const GROUPS: &str = "SELECT id, name, \"desc\", created_at, updated_at FROM noti_group";

/// Puts users together, of rows that come in their order.
pub(super) struct Users<'a> {
    current: Option<Building>,
    secrets: &'a Secrets,
}

struct Building {
    id: UserId,
    name: UserName,
    created_at: UtcMillis,
    updated_at: UtcMillis,
    first: Option<UserDestination>,
    further: Vec<FurtherDestination>,
}

impl<'a> Users<'a> {
    /// No user yet.
    pub(super) fn new(secrets: &'a Secrets) -> Self {
        Self {
            current: None,
            secrets,
        }
    }

    /// Takes a row; gives the user that the rows before made, where this one begins
    /// another. A row that cannot be read, written by hand, is left out.
    pub(super) fn take(&mut self, row: &Row) -> Result<Option<User>, NotRead> {
        let id = UserId(row.try_get(0)?);
        let mut done = None;
        if self.current.as_ref().is_none_or(|current| current.id != id) {
            done = self.end();
            let name: &str = row.try_get(1)?;
            match UserName::parse(name) {
                Ok(name) => {
                    self.current = Some(Building {
                        id,
                        name,
                        created_at: millis(row.try_get(2)?),
                        updated_at: millis(row.try_get(3)?),
                        first: None,
                        further: Vec::new(),
                    });
                }
                Err(error) => leave_out("user", id.0, &error),
            }
        }
        let place = user_destination(row, self.secrets)?;
        if let (Some(current), Some((name, place))) = (&mut self.current, place)
            && current.id == id
        {
            match name {
                Some(id) => current.further.push(FurtherDestination { id, place }),
                None => current.first = Some(place),
            }
        }
        Ok(done)
    }

    /// The user that the last rows made.
    pub(super) fn end(&mut self) -> Option<User> {
        let done = self.current.take()?;
        let Some(first) = done.first else {
            leave_out(
                "user",
                done.id.0,
                &"there is no user_destination at position 0",
            );
            return None;
        };
        Some(User {
            id: done.id,
            name: done.name,
            destinations: Destinations::new(first, done.further),
            created_at: done.created_at,
            updated_at: done.updated_at,
        })
    }
}

/// A place, with its name after the first; `None` where the user has none.
fn user_destination(
    row: &Row,
    secrets: &Secrets,
) -> Result<Option<(Option<UserDestinationId>, UserDestination)>, NotRead> {
    if row.try_get::<_, Option<i16>>(4)?.is_none() {
        return Ok(None);
    }
    let name: Option<Uuid> = row.try_get(5)?;
    let kind: &str = row.try_get(6)?;
    let (id, secret) = secrets.of_credential(row, 9)?;
    let place = UserDestination {
        // Its id is made of the three, whatever a row written by hand has.
        destination: Arc::new(Destination::new(
            ChannelKind::new(kind),
            row.try_get(7)?,
            row.try_get(8)?,
        )),
        credential: Arc::new(Credential { id, secret }),
    };
    Ok(Some((name.map(UserDestinationId), place)))
}

/// A group; `None` where the row, written by hand, cannot be one.
pub(super) fn group(row: &Row) -> Result<Option<Group>, Error> {
    let id = GroupId(row.try_get(0)?);
    let name = GroupName::parse(row.try_get(1)?);
    let desc = Description::parse(row.try_get(2)?);
    Ok(match (name, desc) {
        (Ok(name), Ok(desc)) => Some(Group {
            id,
            name,
            desc,
            created_at: millis(row.try_get(3)?),
            updated_at: millis(row.try_get(4)?),
        }),
        (Err(error), _) | (_, Err(error)) => {
            leave_out("group", id.0, &error);
            None
        }
    })
}

/// Takes a membership in, unless its user or its group was left out.
pub(super) fn member(row: &Row, directory: &mut Directory) -> Result<(), Error> {
    let (group, user) = (GroupId(row.try_get(0)?), UserId(row.try_get(1)?));
    if directory.group(group).is_some() && directory.user(user).is_some() {
        directory.insert_member(group, user);
    }
    Ok(())
}

pub(super) fn leave_out(what: &str, id: Uuid, why: &dyn Display) {
    tracing::error!(
        %id,
        "a {what} in the database cannot be used and is left out: {why}"
    );
}
