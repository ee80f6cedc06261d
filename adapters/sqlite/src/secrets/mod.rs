//! Credentials, sealed in their rows.

mod keys;
mod rotation;
mod unsealed;

use std::sync::Arc;

use common::{CredentialId, Secret};
use rusqlite::{Connection, OptionalExtension};
use sealing::{FingerprintKey, Place, Unopened, Vault};

use crate::{OpenError, folder::Folder, reader::damaged};

pub(crate) use keys::of_file as keys_of_file;
pub use rotation::SqliteSecrets;
pub(crate) use rotation::{Resealed, reseal};
pub(crate) use unsealed::scrub;

/// In `meta`, durable.
const FINGERPRINT_KEY: &str = "sealed_fingerprint_key";

/// What seals, opens and recognises secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(crate) vault: Arc<Vault>,
    pub(crate) fingerprints: FingerprintKey,
}

impl Secrets {
    /// The keys that open the database; only reads, but where the database has nothing
    /// sealed and no key is named: then one is made in the data folder.
    ///
    /// # Errors
    /// Where they are missing, or do not open what is sealed.
    pub(crate) fn keys(
        connection: &Connection,
        folder: &Folder,
        named: Option<Arc<Vault>>,
    ) -> Result<Arc<Vault>, OpenError> {
        keys::of_folder(connection, folder, named)
    }

    /// With that, seals what is still in the clear. To be called when the schema is up to
    /// date.
    pub(crate) fn open(connection: &mut Connection, vault: Arc<Vault>) -> Result<Self, OpenError> {
        let fingerprints = match sealed_fingerprint_key(connection)? {
            Some(sealed) => FingerprintKey::open(&vault, &sealed).map_err(OpenError::Keys)?,
            None => unsealed::seal(connection, &vault)?,
        };
        Ok(Self {
            vault,
            fingerprints,
        })
    }

    /// For a database that nobody else uses, beside a process that may.
    pub(crate) fn read_only(connection: &Connection, vault: Arc<Vault>) -> Result<Self, OpenError> {
        let Some(sealed) = sealed_fingerprint_key(connection)? else {
            return Err(OpenError::NotSealed);
        };
        let fingerprints = FingerprintKey::open(&vault, &sealed).map_err(OpenError::Keys)?;
        Ok(Self {
            vault,
            fingerprints,
        })
    }

    /// What stands in the row of that credential.
    pub(crate) fn seal(&self, id: i64, secret: &Secret) -> Vec<u8> {
        self.vault.seal(&place(id), secret.expose().as_bytes())
    }

    /// The secret of a row. One that was changed, or moved to another row, is told of and is
    /// empty: its deliveries die where everybody can see it, and hold nobody up.
    pub(crate) fn of_row(&self, id: CredentialId, sealed: &[u8]) -> Result<Secret, Unopened> {
        match self.vault.open(&place(id.0), sealed) {
            Ok(secret) => Ok(secret),
            Err(unopened) if unopened.another_may() => Err(unopened),
            Err(unopened) => {
                tracing::error!(
                    credential = id.0,
                    "a token in the database cannot be used; give its user a new one: {unopened}"
                );
                Ok(Secret::new(""))
            }
        }
    }

    /// Whether what no user has any longer can be opened too: deliveries may refer to it.
    pub(crate) fn check_retired(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let query = "SELECT id, secret FROM credential WHERE retired_at IS NOT NULL";
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let sealed = row.get_ref(1)?.as_blob()?;
            let opened = self.of_row(CredentialId(row.get(0)?), sealed);
            opened.map_err(|unopened| damaged(1, unopened))?;
        }
        Ok(())
    }
}

fn place(id: i64) -> Place {
    Place::new("credential", id)
}

/// Where it is, secrets are sealed.
fn sealed_fingerprint_key(connection: &Connection) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT value FROM meta WHERE key = ?1",
            [FINGERPRINT_KEY],
            |row| row.get(0),
        )
        .optional()
}

/// Those of a data folder in use.
#[cfg(test)]
pub(crate) fn of_folder(path: &std::path::Path) -> Arc<Secrets> {
    let database = crate::folder::database(path);
    let connection = crate::schema::open_reader(&database).unwrap();
    let vault = Vault::of_file(&crate::folder::secret_key(path)).unwrap();
    Arc::new(Secrets::read_only(&connection, Arc::new(vault)).unwrap())
}

/// Those of a database without a folder.
#[cfg(test)]
pub(crate) fn of_tests(connection: &mut Connection) -> Arc<Secrets> {
    let ring = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let ring = sealing::Keyring::from_environment(ring).unwrap();
    let vault = Arc::new(Vault::of_ring(ring).unwrap());
    Arc::new(Secrets::open(connection, vault).unwrap())
}
