//! What is in the clear: of earlier versions, or written by hand.

use common::Secret;
use tokio_postgres::{Client, Transaction, types::Type};

use super::{NotRead, Sealing, Secrets, adopted, credential};
use crate::error::describe;

/// How many rows are in memory at a time.
const STEP: i64 = 1_000;

/// How long the tables' users are kept waiting for their turn.
const LOCK: &str = "SET lock_timeout = '10s'; SET statement_timeout = 0";
const UNLOCK: &str = "RESET lock_timeout; RESET statement_timeout";

/// Where the tables' rows are; another one after they were rewritten.
const FILES: &str = "SELECT pg_relation_filenode('credential')::text || ' ' ||
     pg_relation_filenode('adopted_credential')::text";

/// Seals all of it. To be called under the directory's lock. Says how many rows that were.
pub(crate) async fn seal_unsealed(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
) -> Result<u64, NotRead> {
    let sealing = secrets.sealing(transaction).await?;
    let mut rows = 0;
    loop {
        let step = seal_credentials(transaction, secrets, &sealing).await?
            + seal_adopted(transaction, &sealing).await?;
        rows += step;
        if step == 0 {
            break;
        }
    }
    if rows > 0 {
        let mark = "UPDATE sealing SET unscrubbed = true";
        transaction.execute_typed(mark, &[]).await?;
        tracing::info!(rows, "tokens that were in the clear are sealed");
    }
    Ok(rows)
}

async fn seal_credentials(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    sealing: &Sealing<'_>,
) -> Result<u64, NotRead> {
    let found = transaction
        .query_typed(
            "SELECT id, secret FROM credential WHERE secret IS NOT NULL ORDER BY id LIMIT $1",
            &[(&STEP, Type::INT8)],
        )
        .await?;
    let (mut ids, mut sealed, mut fingerprints) = (Vec::new(), Vec::new(), Vec::new());
    for row in &found {
        let (id, plain): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        let secret = Secret::new(String::from_utf8_lossy(plain));
        ids.push(id);
        sealed.push(sealing.seal(&credential(id), secret.expose().as_bytes())?);
        fingerprints.push(secrets.fingerprints.of_secret(&secret).to_vec());
    }
    if ids.is_empty() {
        return Ok(0);
    }
    // One that another row has already stays without a fingerprint, and users go over to
    // the other row: an equal secret is one version.
    let columns: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[
        (&ids, Type::INT8_ARRAY),
        (&sealed, Type::BYTEA_ARRAY),
        (&fingerprints, Type::BYTEA_ARRAY),
    ];
    let rows = transaction
        .execute_typed(
            "UPDATE credential c SET secret = NULL, sealed = new.sealed, fingerprint = CASE
               WHEN new.is_first AND NOT EXISTS (
                 SELECT FROM credential other WHERE other.fingerprint = new.fingerprint)
               THEN new.fingerprint END
             FROM (SELECT *, row_number() OVER (PARTITION BY fingerprint ORDER BY id) = 1 AS is_first
                   FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS t (id, sealed, fingerprint)
                  ) AS new
             WHERE c.id = new.id",
            columns,
        )
        .await?;
    transaction
        .execute_typed(
            "UPDATE user_destination p SET credential_id = other.id
             FROM unnest($1::bigint[], $2::bytea[]) AS new (id, fingerprint)
             JOIN credential other ON other.fingerprint = new.fingerprint
             WHERE p.credential_id = new.id AND other.id <> new.id",
            &[(&ids, Type::INT8_ARRAY), (&fingerprints, Type::BYTEA_ARRAY)],
        )
        .await?;
    Ok(rows)
}

async fn seal_adopted(
    transaction: &Transaction<'_>,
    sealing: &Sealing<'_>,
) -> Result<u64, NotRead> {
    let found = transaction
        .query_typed(
            "SELECT sequence, ordinal, secret FROM adopted_credential
             WHERE secret IS NOT NULL ORDER BY sequence, ordinal LIMIT $1",
            &[(&STEP, Type::INT8)],
        )
        .await?;
    let (mut sequences, mut ordinals, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    for row in &found {
        let (sequence, ordinal): (i64, i32) = (row.try_get(0)?, row.try_get(1)?);
        let plain: &[u8] = row.try_get(2)?;
        sequences.push(sequence);
        ordinals.push(ordinal);
        sealed.push(sealing.seal(&adopted(sequence, ordinal), plain)?);
    }
    if sequences.is_empty() {
        return Ok(0);
    }
    let rows = transaction
        .execute_typed(
            "UPDATE adopted_credential a SET secret = NULL, sealed = new.sealed
             FROM unnest($1::bigint[], $2::integer[], $3::bytea[])
               AS new (sequence, ordinal, sealed)
             WHERE a.sequence = new.sequence AND a.ordinal = new.ordinal",
            &[
                (&sequences, Type::INT8_ARRAY),
                (&ordinals, Type::INT4_ARRAY),
                (&sealed, Type::BYTEA_ARRAY),
            ],
        )
        .await?;
    Ok(rows)
}

/// Rewrites the tables where their files may hold remains; they are small. Else says why
/// not; the next start tries again.
pub(super) async fn scrub(client: &Client) -> Result<(), String> {
    let needed = "SELECT unscrubbed FROM sealing";
    let told = |error: tokio_postgres::Error| describe(&error);
    let needed: bool = client.query_one(needed, &[]).await.map_err(told)?.get(0);
    if !needed {
        return Ok(());
    }
    let files = || async {
        let row = client.query_one(FILES, &[]).await.map_err(told)?;
        Ok::<String, String>(row.get(0))
    };
    let before = files().await?;
    client.batch_execute(LOCK).await.map_err(told)?;
    let rewritten = rewrite(client).await.map_err(told);
    client.batch_execute(UNLOCK).await.map_err(told)?;
    rewritten?;
    // Who may not do it is not refused, but passed over.
    if files().await? == before {
        return Err("this account may not rewrite the tables".into());
    }
    let done = "UPDATE sealing SET unscrubbed = false";
    client.execute(done, &[]).await.map_err(told).map(drop)
}

async fn rewrite(client: &Client) -> Result<(), tokio_postgres::Error> {
    // Neither can be part of a transaction.
    client.batch_execute("VACUUM FULL credential").await?;
    client.batch_execute("VACUUM FULL adopted_credential").await
}
