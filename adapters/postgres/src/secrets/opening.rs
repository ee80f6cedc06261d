//! Coming to a database with keys.

use std::sync::Arc;

use sealing::{FingerprintKey, KeyError, Unopened, Vault};
use tokio_postgres::{Client, Error, Transaction, types::Type};

use super::{NotRead, Secrets, unsealed};
use crate::error::{ConnectError, describe};

/// Proves the keys by what is sealed, or begins with them where nothing is; seals what is in
/// the clear. Changes nothing where the keys are wrong.
pub(crate) async fn open(
    client: &mut Client,
    vault: Arc<Vault>,
    place: &str,
) -> Result<Secrets, ConnectError> {
    let opened = opened(client, vault).await;
    let secrets = opened.map_err(|problem| problem.at(place))?;
    if let Err(reason) = unsealed::scrub(client).await {
        tracing::warn!(
            "the database may hold remains of tokens in the clear, from before they were sealed: \
             {reason}; as their owner run VACUUM FULL credential, adopted_credential"
        );
    }
    Ok(secrets)
}

async fn opened(client: &mut Client, vault: Arc<Vault>) -> Result<Secrets, Problem> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("SELECT directory_lock()").await?;
    let found = transaction
        .query_typed_opt("SELECT fingerprint_key, key_id FROM sealing", &[])
        .await?;
    let fingerprints = match found {
        Some(row) => {
            let fingerprints = FingerprintKey::open(&vault, row.try_get(0)?)?;
            // While a rotation goes on, everybody seals with another key already.
            fingerprints.sealed_with(&vault, row.try_get(1)?)?;
            fingerprints
        }
        None => begin(&transaction, &vault).await?,
    };
    let secrets = Secrets {
        vault,
        fingerprints,
    };
    unsealed::seal_unsealed(&transaction, &secrets).await?;
    transaction.commit().await?;
    Ok(secrets)
}

async fn begin(transaction: &Transaction<'_>, vault: &Vault) -> Result<FingerprintKey, Problem> {
    let fingerprints = FingerprintKey::random()?;
    transaction
        .execute_typed(
            "INSERT INTO sealing (key_id, fingerprint_key) VALUES ($1, $2)",
            &[
                (&vault.key_id(), Type::TEXT),
                (&fingerprints.sealed(vault), Type::BYTEA),
            ],
        )
        .await?;
    Ok(fingerprints)
}

enum Problem {
    Database(Error),
    Unopened(Unopened),
    Key(KeyError),
}

impl Problem {
    fn at(self, place: &str) -> ConnectError {
        let place = place.to_owned();
        match self {
            Problem::Database(error) => ConnectError::Unreachable {
                place,
                reason: describe(&error),
            },
            Problem::Unopened(reason) => ConnectError::Keys { place, reason },
            Problem::Key(error) => ConnectError::Schema {
                place,
                reason: error.to_string(),
            },
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Database(error)
    }
}

impl From<Unopened> for Problem {
    fn from(unopened: Unopened) -> Self {
        Problem::Unopened(unopened)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Problem::Key(error)
    }
}

impl From<NotRead> for Problem {
    fn from(not_read: NotRead) -> Self {
        match not_read {
            NotRead::Database(error) => Problem::Database(error),
            NotRead::Sealed(unopened) => Problem::Unopened(unopened),
        }
    }
}
