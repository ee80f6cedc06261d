//! Writing new secrets, sealed.

use std::{collections::BTreeMap, time::SystemTime};

use common::Secret;
use tokio_postgres::{Transaction, types::Type};

use crate::secrets::{NotRead, Secrets, credential};

/// Of a secret, equal for equal ones.
pub(super) type Fingerprint = Vec<u8>;

/// A version for each secret that has none.
pub(super) async fn save(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    wanted: &BTreeMap<Fingerprint, &Secret>,
    now: SystemTime,
) -> Result<(), NotRead> {
    if wanted.is_empty() {
        return Ok(());
    }
    let fingerprints: Vec<&Fingerprint> = wanted.keys().collect();
    // Ids are given before, since each secret is sealed for its own.
    let new = transaction
        .query_typed(
            "SELECT t.fingerprint, nextval(pg_get_serial_sequence('credential', 'id'))
             FROM unnest($1::bytea[]) AS t (fingerprint)
             WHERE NOT EXISTS (SELECT FROM credential c WHERE c.fingerprint = t.fingerprint)",
            &[(&fingerprints, Type::BYTEA_ARRAY)],
        )
        .await?;
    if new.is_empty() {
        return Ok(());
    }
    let sealing = secrets.sealing(transaction).await?;
    let (mut ids, mut sealed, mut fingerprints) = (Vec::new(), Vec::new(), Vec::new());
    for row in &new {
        let (fingerprint, id): (Vec<u8>, i64) = (row.try_get(0)?, row.try_get(1)?);
        let Some(secret) = wanted.get(&fingerprint) else {
            continue;
        };
        ids.push(id);
        sealed.push(sealing.seal(&credential(id), secret.expose().as_bytes())?);
        fingerprints.push(fingerprint);
    }
    transaction
        .execute_typed(
            "INSERT INTO credential (id, sealed, fingerprint, created_at)
             OVERRIDING SYSTEM VALUE
             SELECT *, $4 FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])",
            &[
                (&ids, Type::INT8_ARRAY),
                (&sealed, Type::BYTEA_ARRAY),
                (&fingerprints, Type::BYTEA_ARRAY),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}
