//! Sealing everything anew, while it is in use.

use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::{Pool, Transaction};
use producer::ports::{Rotation, RotationError, SecretRotation};
use sealing::{Place, is_sealed_with};
use tokio::sync::Mutex;
use tokio_postgres::types::{ToSql, Type};

use super::{NotRead, Sealing, Secrets, adopted, credential};
use crate::error::Failure;

/// How many rows one transaction seals anew.
const STEP: i64 = 500;

/// The keys of the producers, and sealing anew with them.
///
/// Every producer has its keys from a file or an environment of its own, so none changes
/// them: a new key is put first in all of them, and then one producer is told to rotate. It
/// writes down that everybody is to seal with that key from now on; who does not have it
/// cannot write secrets. Then it seals anew what is there, and last the fingerprint key,
/// which tells that nothing is left.
pub struct PostgresSecrets {
    pool: Pool,
    secrets: Arc<Secrets>,
    /// One rotation at a time in this process; two processes do some work twice.
    turn: Mutex<()>,
}

impl PostgresSecrets {
    pub(crate) fn new(pool: Pool, secrets: Arc<Secrets>) -> Self {
        Self {
            pool,
            secrets,
            turn: Mutex::new(()),
        }
    }

    async fn rotate_to(&self, key_id: &str) -> Result<Option<usize>, Failure> {
        if !self.agree(key_id).await? {
            return Ok(None);
        }
        let sealing = Sealing {
            secrets: &self.secrets,
            key_id: key_id.to_owned(),
        };
        let mut count = 0;
        let mut after = 0;
        while let Some(step) = self.reseal_credentials(&sealing, &mut after).await? {
            count += step;
        }
        let mut after = (i64::MIN, 0);
        while let Some(step) = self.reseal_adopted(&sealing, &mut after).await? {
            count += step;
        }
        let fingerprints = &self.secrets.fingerprints;
        let sealed = fingerprints.sealed_with(&self.secrets.vault, key_id);
        let sealed = sealed.map_err(NotRead::from)?;
        let client = self.pool.get().await?;
        client
            .execute_typed(
                "UPDATE sealing SET fingerprint_key = $1 WHERE key_id = $2",
                &[(&sealed, Type::BYTEA), (&key_id, Type::TEXT)],
            )
            .await?;
        Ok(Some(count))
    }

    /// From when this returns everybody seals with that key. `false` where everything is
    /// sealed with it already.
    async fn agree(&self, key_id: &str) -> Result<bool, Failure> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        // Whoever is writing secrets with the key of before has ended, and is seen.
        let alone = "SELECT directory_lock(); SELECT FROM history_state FOR UPDATE";
        transaction.batch_execute(alone).await?;
        let now = transaction
            .query_typed_one("SELECT key_id, fingerprint_key FROM sealing", &[])
            .await?;
        let (current, sealed): (&str, &[u8]) = (now.try_get(0)?, now.try_get(1)?);
        if current == key_id && is_sealed_with(key_id, sealed) {
            return Ok(false);
        }
        transaction
            .execute_typed("UPDATE sealing SET key_id = $1", &[(&key_id, Type::TEXT)])
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// One step; how many rows it sealed anew, `None` where there are no more.
    async fn reseal_credentials(
        &self,
        sealing: &Sealing<'_>,
        after: &mut i64,
    ) -> Result<Option<usize>, Failure> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let rows = transaction
            .query_typed(
                "SELECT id, sealed FROM credential WHERE id > $1 AND sealed IS NOT NULL
                 ORDER BY id LIMIT $2",
                &[(&*after, Type::INT8), (&STEP, Type::INT8)],
            )
            .await?;
        let (mut ids, mut new) = (Vec::new(), Vec::new());
        for row in &rows {
            let id = row.try_get(0)?;
            *after = id;
            if let Some(sealed) = self.anew(sealing, &credential(id), row.try_get(1)?)? {
                ids.push(id);
                new.push(sealed);
            }
        }
        let update = "UPDATE credential c SET sealed = new.sealed
             FROM unnest($1::bigint[], $2::bytea[]) AS new (id, sealed) WHERE c.id = new.id";
        let values: &[(&(dyn ToSql + Sync), Type)] =
            &[(&ids, Type::INT8_ARRAY), (&new, Type::BYTEA_ARRAY)];
        write(transaction, update, values).await?;
        Ok((!rows.is_empty()).then_some(ids.len()))
    }

    async fn reseal_adopted(
        &self,
        sealing: &Sealing<'_>,
        after: &mut (i64, i32),
    ) -> Result<Option<usize>, Failure> {
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let rows = transaction
            .query_typed(
                "SELECT sequence, ordinal, sealed FROM adopted_credential
                 WHERE (sequence, ordinal) > ($1, $2) AND sealed IS NOT NULL
                 ORDER BY sequence, ordinal LIMIT $3",
                &[
                    (&after.0, Type::INT8),
                    (&after.1, Type::INT4),
                    (&STEP, Type::INT8),
                ],
            )
            .await?;
        let (mut sequences, mut ordinals, mut new) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let (sequence, ordinal) = (row.try_get(0)?, row.try_get(1)?);
            *after = (sequence, ordinal);
            let place = adopted(sequence, ordinal);
            if let Some(sealed) = self.anew(sealing, &place, row.try_get(2)?)? {
                sequences.push(sequence);
                ordinals.push(ordinal);
                new.push(sealed);
            }
        }
        let update = "UPDATE adopted_credential a SET sealed = new.sealed
             FROM unnest($1::bigint[], $2::integer[], $3::bytea[])
               AS new (sequence, ordinal, sealed)
             WHERE a.sequence = new.sequence AND a.ordinal = new.ordinal";
        let values: &[(&(dyn ToSql + Sync), Type)] = &[
            (&sequences, Type::INT8_ARRAY),
            (&ordinals, Type::INT4_ARRAY),
            (&new, Type::BYTEA_ARRAY),
        ];
        write(transaction, update, values).await?;
        Ok((!rows.is_empty()).then_some(sequences.len()))
    }

    /// The same sealed anew, unless it is. What was changed by hand and opens no longer
    /// stays as it is, and is told of where it is used.
    fn anew(
        &self,
        sealing: &Sealing<'_>,
        place: &Place,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, NotRead> {
        if is_sealed_with(&sealing.key_id, sealed) {
            return Ok(None);
        }
        match self.secrets.vault.open(place, sealed) {
            Ok(secret) => Ok(Some(sealing.seal(place, secret.expose().as_bytes())?)),
            Err(unopened) if unopened.another_may() => Err(unopened.into()),
            Err(_) => Ok(None),
        }
    }
}

async fn write(
    transaction: Transaction<'_>,
    update: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<(), tokio_postgres::Error> {
    transaction.execute_typed(update, values).await?;
    transaction.commit().await
}

#[async_trait]
impl SecretRotation for PostgresSecrets {
    async fn rotate(&self, _keep_old: bool) -> Result<Rotation, RotationError> {
        let _turn = self.turn.lock().await;
        let vault = &self.secrets.vault;
        let read = vault.read_again();
        read.map_err(|error| RotationError::Keys(error.to_string()))?;
        let key_id = vault.key_id();
        match self.rotate_to(&key_id).await {
            Ok(Some(resealed)) => Ok(Rotation {
                key_id,
                resealed,
                dropped: Vec::new(),
            }),
            Ok(None) => Err(RotationError::NoNewKey),
            Err(Failure::Away(reason)) => Err(RotationError::Unwritable(reason)),
            Err(Failure::Failed(reason)) => Err(RotationError::Failed(reason)),
        }
    }
}
