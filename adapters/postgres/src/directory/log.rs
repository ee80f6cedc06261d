//! Following the log of changes.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use common::{GroupId, UserId};
use producer::domain::Directory;
use tokio_postgres::{Error, Row, Transaction, types::Type};
use uuid::Uuid;

use super::{
    State, api_tokens, load,
    rows::{BY_USER, GROUPS, USERS, Users, group, member},
};
use crate::secrets::{NotRead, Secrets};

/// How many users, groups or memberships are read by one statement.
const AT_A_TIME: usize = 5_000;

/// A place in the log. The number alone would not do: after the database was restored
/// from a backup, or a standby took over that had not everything, the same numbers are
/// given to other changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) sequence: i64,
    pub(crate) at: SystemTime,
}

/// Where the log ends.
pub(super) async fn end(transaction: &Transaction<'_>) -> Result<Position, Error> {
    let last = "SELECT sequence, at FROM directory_change ORDER BY sequence DESC LIMIT 1";
    let row = transaction.query_typed_one(last, &[]).await?;
    position(&row)
}

fn position(row: &Row) -> Result<Position, Error> {
    Ok(Position {
        sequence: row.try_get(0)?,
        at: row.try_get(1)?,
    })
}

/// The directory as it is now, where the log goes on after `known`; all of it anew where
/// the log does not have that place any more. `None` where nothing changed.
///
/// To be called with a transaction in which nothing changes any more: one that holds the
/// directory's lock, or whose statements all see the same.
pub(crate) async fn catch_up(
    transaction: &Transaction<'_>,
    known: &State,
    secrets: &Secrets,
) -> Result<Option<State>, NotRead> {
    // The place that is known comes first, to see whether it is still there.
    let rows = transaction
        .query_typed(
            "SELECT sequence, at, everything, users, groups, member_groups, member_users, api_tokens
             FROM directory_change WHERE sequence >= $1 ORDER BY sequence",
            &[(&known.position.sequence, Type::INT8)],
        )
        .await?;
    let Some((first, later)) = rows.split_first() else {
        return load_anew(transaction, known, secrets).await.map(Some);
    };
    if position(first)? != known.position {
        return load_anew(transaction, known, secrets).await.map(Some);
    }
    let Some(last) = later.last() else {
        return Ok(None);
    };
    let mut changed = Changed::default();
    for row in later {
        if row.try_get(2)? {
            return load::load_within(transaction, secrets).await.map(Some);
        }
        changed.take(row)?;
    }
    let mut directory = (*known.directory).clone();
    changed.read(transaction, secrets, &mut directory).await?;
    Ok(Some(State {
        directory: Arc::new(directory),
        position: position(last)?,
    }))
}

async fn load_anew(
    transaction: &Transaction<'_>,
    known: &State,
    secrets: &Secrets,
) -> Result<State, NotRead> {
    tracing::warn!(
        sequence = known.position.sequence,
        "the database's log of changes does not go on from here; the directory is read anew"
    );
    load::load_within(transaction, secrets).await
}

/// Who and what is to be read anew.
#[derive(Default)]
struct Changed {
    users: BTreeSet<Uuid>,
    groups: BTreeSet<Uuid>,
    members: BTreeSet<(Uuid, Uuid)>,
    api_tokens: BTreeSet<Uuid>,
}

impl Changed {
    fn take(&mut self, row: &Row) -> Result<(), Error> {
        let ids = |column| row.try_get::<_, Option<Vec<Uuid>>>(column);
        self.users.extend(ids(3)?.unwrap_or_default());
        self.groups.extend(ids(4)?.unwrap_or_default());
        let groups = ids(5)?.unwrap_or_default();
        self.members
            .extend(groups.into_iter().zip(ids(6)?.unwrap_or_default()));
        self.api_tokens.extend(ids(7)?.unwrap_or_default());
        Ok(())
    }

    async fn read(
        self,
        transaction: &Transaction<'_>,
        secrets: &Secrets,
        directory: &mut Directory,
    ) -> Result<(), NotRead> {
        let users: Vec<_> = self.users.into_iter().collect();
        for ids in users.chunks(AT_A_TIME) {
            read_users(transaction, ids, secrets, directory).await?;
        }
        let groups: Vec<_> = self.groups.into_iter().collect();
        for ids in groups.chunks(AT_A_TIME) {
            read_groups(transaction, ids, directory).await?;
        }
        let members: Vec<_> = self.members.into_iter().collect();
        for pairs in members.chunks(AT_A_TIME) {
            read_members(transaction, pairs, directory).await?;
        }
        let api_tokens: Vec<_> = self.api_tokens.into_iter().collect();
        for ids in api_tokens.chunks(AT_A_TIME) {
            api_tokens::read(transaction, ids, directory).await?;
        }
        Ok(())
    }
}

async fn read_users(
    transaction: &Transaction<'_>,
    ids: &[Uuid],
    secrets: &Secrets,
    directory: &mut Directory,
) -> Result<(), NotRead> {
    let query = format!("{USERS} WHERE u.id = ANY ($1) {BY_USER}");
    let rows = transaction
        .query_typed(&query, &[(&ids, Type::UUID_ARRAY)])
        .await?;
    let mut gone: BTreeSet<Uuid> = ids.iter().copied().collect();
    let mut appeared = Vec::new();
    let mut users = Users::new(secrets);
    let mut insert = |user: Option<producer::domain::User>| {
        if let Some(user) = user {
            gone.remove(&user.id.0);
            if directory.user(user.id).is_none() {
                appeared.push(user.id.0);
            }
            directory.insert_user(Arc::new(user));
        }
    };
    for row in &rows {
        insert(users.take(row)?);
    }
    insert(users.end());
    for id in gone {
        directory.remove_user(UserId(id));
    }
    let query = "SELECT noti_group_id, user_id FROM noti_group_user WHERE user_id = ANY ($1)";
    Ok(insert_members(transaction, query, appeared, directory).await?)
}

async fn read_groups(
    transaction: &Transaction<'_>,
    ids: &[Uuid],
    directory: &mut Directory,
) -> Result<(), Error> {
    let query = format!("{GROUPS} WHERE id = ANY ($1)");
    let rows = transaction
        .query_typed(&query, &[(&ids, Type::UUID_ARRAY)])
        .await?;
    let mut gone: BTreeSet<Uuid> = ids.iter().copied().collect();
    let mut appeared = Vec::new();
    for row in &rows {
        if let Some(group) = group(row)? {
            gone.remove(&group.id.0);
            if directory.group(group.id).is_none() {
                appeared.push(group.id.0);
            }
            directory.insert_group(Arc::new(group));
        }
    }
    for id in gone {
        directory.remove_group(GroupId(id));
    }
    let query = "SELECT noti_group_id, user_id FROM noti_group_user WHERE noti_group_id = ANY ($1)";
    insert_members(transaction, query, appeared, directory).await
}

/// The memberships of users or groups that were not there before. They may be older than
/// the log's last rows, where a row written by hand was left out and is no longer.
async fn insert_members(
    transaction: &Transaction<'_>,
    query: &str,
    appeared: Vec<Uuid>,
    directory: &mut Directory,
) -> Result<(), Error> {
    if appeared.is_empty() {
        return Ok(());
    }
    let rows = transaction
        .query_typed(query, &[(&appeared, Type::UUID_ARRAY)])
        .await?;
    rows.iter().try_for_each(|row| member(row, directory))
}

async fn read_members(
    transaction: &Transaction<'_>,
    pairs: &[(Uuid, Uuid)],
    directory: &mut Directory,
) -> Result<(), Error> {
    let (groups, users): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    let rows = transaction
        .query_typed(
            "SELECT m.noti_group_id, m.user_id
             FROM unnest($1::uuid[], $2::uuid[]) AS changed (noti_group_id, user_id)
             JOIN noti_group_user m USING (noti_group_id, user_id)",
            &[(&groups, Type::UUID_ARRAY), (&users, Type::UUID_ARRAY)],
        )
        .await?;
    for (group, user) in pairs {
        directory.remove_member(GroupId(*group), UserId(*user));
    }
    rows.iter().try_for_each(|row| member(row, directory))
}
