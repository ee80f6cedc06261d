//! The API tokens in their table.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use common::{ApiTokenId, GroupId};
use producer::domain::{
    ApiToken, ApiTokenHash, ApiTokenName, ApiTokenRecord, Directory, Grant, Invalid, Scopes,
};
use tokio_postgres::{Error, Row, Transaction, types::Type};
use uuid::Uuid;

use super::{plan::Plan, rows::leave_out};
use crate::time::{millis, system_time};

/// Tokens; [`token`] reads them.
pub(super) const TOKENS: &str = "SELECT id, name, hash, scopes, noti_groups, created_at,
       expires_at, revoked_at FROM api_token";

/// Takes a token in. One that cannot be read, written by hand or by a later version, is left
/// out: nobody has it then, and the API stays closed.
pub(super) fn token(row: &Row, directory: &mut Directory) -> Result<Option<ApiTokenId>, Error> {
    let id: Uuid = row.try_get(0)?;
    let hash: &[u8] = row.try_get(2)?;
    let groups: Option<Vec<Uuid>> = row.try_get(4)?;
    let groups = groups.map(|ids| ids.into_iter().map(GroupId).collect());
    let values = values(row.try_get(1)?, hash, row.try_get(3)?, groups);
    let (name, hash, grant) = match values {
        Ok(values) => values,
        Err(error) => {
            leave_out("API token", id, &error);
            directory.note_unreadable_api_token();
            return Ok(None);
        }
    };
    let at = |time: Option<SystemTime>| time.map(millis);
    let id = ApiTokenId(id);
    directory.insert_api_token(Arc::new(ApiToken {
        record: ApiTokenRecord {
            id,
            name,
            hash,
            grant,
            expires_at: at(row.try_get(6)?),
        },
        created_at: millis(row.try_get(5)?),
        revoked_at: at(row.try_get(7)?),
    }));
    Ok(Some(id))
}

fn values(
    name: &str,
    hash: &[u8],
    scopes: &str,
    groups: Option<Vec<GroupId>>,
) -> Result<(ApiTokenName, ApiTokenHash, Grant), Invalid> {
    let hash = ApiTokenHash::from_bytes(hash).ok_or_else(|| Invalid {
        field: "hash",
        problem: "must be 32 bytes long.".into(),
    })?;
    let grant = Grant::new(Scopes::parse(scopes)?, groups)?;
    Ok((ApiTokenName::parse(name)?, hash, grant))
}

/// Reads these tokens anew.
pub(super) async fn read(
    transaction: &Transaction<'_>,
    ids: &[Uuid],
    directory: &mut Directory,
) -> Result<(), Error> {
    let query = format!("{TOKENS} WHERE id = ANY ($1)");
    let rows = transaction
        .query_typed(&query, &[(&ids, Type::UUID_ARRAY)])
        .await?;
    let mut gone: BTreeSet<ApiTokenId> = ids.iter().copied().map(ApiTokenId).collect();
    for row in &rows {
        if let Some(id) = token(row, directory)? {
            gone.remove(&id);
        }
    }
    for id in gone {
        directory.remove_api_token(id);
    }
    Ok(())
}

/// Writes the tokens that a plan touches: few, so one after the other.
pub(super) async fn save(transaction: &Transaction<'_>, plan: &Plan) -> Result<u64, Error> {
    let mut rows = 0;
    let tokens = plan
        .touched
        .api_tokens
        .iter()
        .filter_map(|id| plan.after.api_token(*id));
    for token in tokens {
        let record = &token.record;
        let groups = record.grant.groups();
        let groups: Option<Vec<Uuid>> =
            groups.map(|groups| groups.iter().map(|group| group.0).collect());
        let hash = record.hash.as_bytes().as_slice();
        let created = system_time(token.created_at);
        let expires = record.expires_at.map(system_time);
        let revoked = token.revoked_at.map(system_time);
        rows += transaction
            .execute_typed(
                "INSERT INTO api_token
                   (id, name, hash, scopes, noti_groups, created_at, expires_at, revoked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (id) DO UPDATE SET revoked_at = excluded.revoked_at",
                &[
                    (&record.id.0, Type::UUID),
                    (&record.name.as_str(), Type::TEXT),
                    (&hash, Type::BYTEA),
                    (&record.grant.scopes().to_string(), Type::TEXT),
                    (&groups, Type::UUID_ARRAY),
                    (&created, Type::TIMESTAMPTZ),
                    (&expires, Type::TIMESTAMPTZ),
                    (&revoked, Type::TIMESTAMPTZ),
                ],
            )
            .await?;
    }
    Ok(rows)
}
