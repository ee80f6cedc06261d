//! Secrets, sealed in their rows (`migrations/V6__sealed_secrets.sql`).
//!
//! The producers have their keys each from a file of its own, so the database says with which
//! one everybody seals. Whoever does not have it cannot write secrets, and says so.

mod opening;
mod rotation;
mod unsealed;

use std::sync::Arc;

use common::{CredentialId, Secret};
use sealing::{FingerprintKey, Place, Unopened, Vault};
use tokio_postgres::{Row, Transaction};

pub(crate) use opening::open;
pub use rotation::PostgresSecrets;
pub(crate) use unsealed::seal_unsealed;

use crate::error::Failure;

/// What seals, opens and recognises secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(crate) vault: Arc<Vault>,
    pub(crate) fingerprints: FingerprintKey,
}

/// Seals with the key that everybody seals with, as it was when a transaction asked.
pub(crate) struct Sealing<'a> {
    secrets: &'a Secrets,
    key_id: String,
}

impl Secrets {
    /// To be called within the transaction that writes what is sealed: a rotation waits for
    /// it, or it sees what the rotation has agreed on.
    pub(crate) async fn sealing(
        &self,
        transaction: &Transaction<'_>,
    ) -> Result<Sealing<'_>, tokio_postgres::Error> {
        let row = transaction
            .query_typed_one("SELECT key_id FROM sealing", &[])
            .await?;
        Ok(Sealing {
            secrets: self,
            key_id: row.try_get(0)?,
        })
    }

    /// The secret of a row of credential, of its columns from that one on: id, secret,
    /// sealed. One that was changed, or moved to another row, is told of and is empty: its
    /// deliveries die where everybody can see it.
    pub(crate) fn of_credential(
        &self,
        row: &Row,
        from: usize,
    ) -> Result<(CredentialId, Secret), NotRead> {
        let id = CredentialId(row.try_get(from)?);
        let secret = self.of_row(row, from + 1, &credential(id.0))?;
        Ok((id, secret))
    }

    /// The secret of columns secret and sealed.
    pub(crate) fn of_row(&self, row: &Row, from: usize, place: &Place) -> Result<Secret, NotRead> {
        if let Some(plain) = row.try_get::<_, Option<&[u8]>>(from)? {
            // A token that is no UTF-8 is none that anybody has: it is refused when used.
            return Ok(Secret::new(String::from_utf8_lossy(plain)));
        }
        let sealed = row.try_get::<_, Option<&[u8]>>(from + 1)?;
        match self.vault.open(place, sealed.unwrap_or_default()) {
            Ok(secret) => Ok(secret),
            Err(unopened) if unopened.another_may() => Err(NotRead::Sealed(unopened)),
            Err(unopened) => {
                tracing::error!(
                    ?place,
                    "a token in the database cannot be used; give its user a new one: {unopened}"
                );
                Ok(Secret::new(""))
            }
        }
    }
}

impl Sealing<'_> {
    pub(crate) fn seal(&self, place: &Place, plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.secrets.vault.seal_with(&self.key_id, place, plain)
    }
}

/// The place of that credential.
pub(crate) fn credential(id: i64) -> Place {
    Place::new("credential", id)
}

/// The place of the credential that a delivery brought.
pub(crate) fn adopted(sequence: i64, ordinal: i32) -> Place {
    Place::new("adopted_credential", format_args!("{sequence}/{ordinal}"))
}

/// Why something with secrets in it was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    /// The database failed.
    #[error("{}", crate::error::describe(.0))]
    Database(#[from] tokio_postgres::Error),
    /// This process lacks a key.
    #[error("a secret in the database cannot be opened: {0}")]
    Sealed(#[from] Unopened),
}

impl From<NotRead> for Failure {
    fn from(not_read: NotRead) -> Self {
        match not_read {
            NotRead::Database(error) => Failure::from(error),
            sealed @ NotRead::Sealed(_) => Failure::Failed(sealed.to_string()),
        }
    }
}
