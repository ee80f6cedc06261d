//! The API tokens in their table.

use std::sync::Arc;

use common::{ApiTokenId, GroupId, UtcMillis};
use producer::domain::{
    ApiToken, ApiTokenHash, ApiTokenName, ApiTokenRecord, Directory, Grant, Invalid, Scopes,
};
use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use crate::reader::{damaged, uuid};

/// Reads all tokens into the directory.
pub(crate) fn load(
    connection: &Connection,
    directory: &mut Directory,
) -> Result<(), rusqlite::Error> {
    let mut tokens = connection.prepare(
        "SELECT id, name, hash, scopes, noti_groups, created_at, expires_at, revoked_at
         FROM api_token",
    )?;
    let mut rows = tokens.query([])?;
    while let Some(row) = rows.next()? {
        directory.insert_api_token(Arc::new(token(row)?));
    }
    Ok(())
}

/// Writes a token that is new.
pub(crate) fn insert(
    transaction: &Transaction<'_>,
    token: &ApiToken,
) -> Result<(), rusqlite::Error> {
    let record = &token.record;
    let groups = record.grant.groups().map(|groups| packed(groups));
    transaction
        .prepare_cached(
            "INSERT INTO api_token
             (id, name, hash, scopes, noti_groups, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            record.id.0.as_bytes(),
            record.name.as_str(),
            record.hash.as_bytes(),
            record.grant.scopes().to_string(),
            groups,
            token.created_at.0,
            record.expires_at.map(|at| at.0),
        ])
        .map(drop)
}

/// Writes that a token was revoked.
pub(crate) fn revoke(
    transaction: &Transaction<'_>,
    id: ApiTokenId,
    now: UtcMillis,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("UPDATE api_token SET revoked_at = ?2 WHERE id = ?1")?
        .execute(params![id.0.as_bytes(), now.0])
        .map(drop)
}

fn token(row: &Row<'_>) -> Result<ApiToken, rusqlite::Error> {
    let invalid = |column| move |error: Invalid| damaged(column, error);
    let hash = ApiTokenHash::from_bytes(row.get_ref(2)?.as_blob()?).ok_or_else(|| {
        damaged(
            2,
            std::io::Error::other("the hash of an API token is not 32 bytes long"),
        )
    })?;
    let scopes = Scopes::parse(row.get_ref(3)?.as_str()?).map_err(invalid(3))?;
    let groups = row.get_ref(4)?.as_blob_or_null()?.map(unpacked);
    Ok(ApiToken {
        record: ApiTokenRecord {
            id: ApiTokenId(uuid(row, 0)?),
            name: ApiTokenName::parse(row.get_ref(1)?.as_str()?).map_err(invalid(1))?,
            hash,
            grant: Grant::new(scopes, groups).map_err(invalid(4))?,
            expires_at: row.get::<_, Option<i64>>(6)?.map(UtcMillis),
        },
        created_at: UtcMillis(row.get(5)?),
        revoked_at: row.get::<_, Option<i64>>(7)?.map(UtcMillis),
    })
}

fn packed(groups: &[GroupId]) -> Vec<u8> {
    groups
        .iter()
        .flat_map(|group| *group.0.as_bytes())
        .collect()
}

fn unpacked(bytes: &[u8]) -> Vec<GroupId> {
    let (ids, _) = bytes.as_chunks::<16>();
    ids.iter()
        .map(|id| GroupId(Uuid::from_bytes(*id)))
        .collect()
}
