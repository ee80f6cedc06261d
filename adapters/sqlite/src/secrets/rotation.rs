//! Sealing everything anew, while it is in use.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use producer::ports::{Rotation, RotationError, SecretRotation};
use rusqlite::{Transaction, params};
use sealing::{KeyError, Vault};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::{FINGERPRINT_KEY, Secrets, place, sealed_fingerprint_key};
use crate::{
    history::SqliteHistory,
    writer::{Command, Commands},
};

/// How many rows one step looks at: a few milliseconds of the writer's.
const STEP: i64 = 500;

/// The keys of the data folder, and sealing anew with them.
///
/// New keys are in the file before anything is sealed with them, and old ones leave it when
/// nothing is sealed with them any more; so the file opens everything at each moment. What
/// tells that nothing is left is the fingerprint key, which is sealed anew last.
pub struct SqliteSecrets {
    secrets: Arc<Secrets>,
    history: Arc<SqliteHistory>,
    commands: Commands,
    /// One rotation at a time.
    turn: Mutex<()>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resealed {
    /// How many rows it sealed anew.
    pub(crate) count: usize,
    /// After which row the next one goes on; `None` where nothing is left.
    pub(crate) next: Option<i64>,
}

impl SqliteSecrets {
    pub(crate) fn new(
        secrets: Arc<Secrets>,
        history: Arc<SqliteHistory>,
        commands: Commands,
    ) -> Self {
        Self {
            secrets,
            history,
            commands,
            turn: Mutex::new(()),
        }
    }

    /// The file that the keys are in, where they are in one.
    pub fn key_file(&self) -> Option<&Path> {
        self.secrets.vault.file()
    }

    /// Whether all is sealed with the key that seals now.
    async fn is_ended(&self) -> Result<bool, RotationError> {
        let secrets = self.secrets.clone();
        let read = self.history.read(move |view| {
            let sealed = sealed_fingerprint_key(view.connection)?;
            Ok(sealed.is_none_or(|sealed| secrets.vault.is_current(&sealed)))
        });
        read.await
            .map_err(|error| RotationError::Failed(error.to_string()))
    }

    async fn reseal_all(&self) -> Result<usize, RotationError> {
        let ended = || RotationError::Failed("the store is closed".into());
        let (mut after, mut count) = (0, 0);
        loop {
            let step = self
                .commands
                .send(|reply| Command::Reseal { after, reply })
                .ok_or_else(ended)?;
            let step = step.await.map_err(|_| ended())??;
            count += step.count;
            match step.next {
                Some(next) => after = next,
                None => return Ok(count),
            }
        }
    }
}

#[async_trait]
impl SecretRotation for SqliteSecrets {
    async fn rotate(&self, keep_old: bool) -> Result<Rotation, RotationError> {
        let _turn = self.turn.lock().await;
        let vault = &self.secrets.vault;
        // Somebody may have put a new key into the file by hand.
        with_keys(vault, Vault::read_again).await?;
        if self.is_ended().await? && with_keys(vault, Vault::add_key).await?.is_none() {
            return Err(RotationError::NoNewKey);
        }
        let resealed = self.reseal_all().await?;
        let dropped = match keep_old {
            true => Vec::new(),
            false => with_keys(vault, Vault::drop_old_keys).await?,
        };
        Ok(Rotation {
            key_id: vault.key_id(),
            resealed,
            dropped,
        })
    }
}

/// Works with the file of the keys, where it may wait for the disk.
async fn with_keys<T: Send + 'static>(
    vault: &Arc<Vault>,
    work: impl FnOnce(&Vault) -> Result<T, KeyError> + Send + 'static,
) -> Result<T, RotationError> {
    let vault = vault.clone();
    match spawn_blocking(move || work(&vault)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(RotationError::Keys(error.to_string())),
        Err(error) => Err(RotationError::Failed(error.to_string())),
    }
}

/// Seals some rows anew, and at the end the fingerprint key.
pub(crate) fn reseal(
    transaction: &Transaction<'_>,
    secrets: &Secrets,
    after: i64,
) -> Result<Resealed, rusqlite::Error> {
    let vault = &secrets.vault;
    let mut read = transaction
        .prepare_cached("SELECT id, secret FROM credential WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = read.query_map([after, STEP], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut count = 0;
    for (id, sealed) in rows.iter().filter(|(_, sealed)| !vault.is_current(sealed)) {
        // What does not open stays as it is, and is told of where it is used.
        let Ok(secret) = vault.open(&place(*id), sealed) else {
            continue;
        };
        transaction
            .prepare_cached("UPDATE credential SET secret = ?2 WHERE id = ?1")?
            .execute(params![id, secrets.seal(*id, &secret)])?;
        count += 1;
    }
    let next = rows.last().map(|(id, _)| *id);
    if next.is_none() {
        transaction.execute(
            "UPDATE meta SET value = ?2 WHERE key = ?1",
            params![FINGERPRINT_KEY, secrets.fingerprints.sealed(vault)],
        )?;
    }
    Ok(Resealed { count, next })
}
