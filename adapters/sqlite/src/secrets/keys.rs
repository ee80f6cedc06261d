//! Which keys a data folder is used with.

use std::{io, path::Path, sync::Arc};

use rusqlite::Connection;
use sealing::{FingerprintKey, KeyError, Vault};

use super::sealed_fingerprint_key;
use crate::{OpenError, folder::Folder};

/// Those that are named, or those in the folder; proved by what is sealed.
pub(super) fn of_folder(
    connection: &Connection,
    folder: &Folder,
    named: Option<Arc<Vault>>,
) -> Result<Arc<Vault>, OpenError> {
    let sealed = match has_meta(connection)? {
        true => sealed_fingerprint_key(connection)?,
        false => None,
    };
    let vault = match (named, &sealed) {
        (Some(vault), _) => vault,
        (None, Some(_)) => Arc::new(of_file(&folder.secret_key())?),
        (None, None) => Arc::new(found_or_made(&folder.secret_key())?),
    };
    if let Some(sealed) = sealed {
        FingerprintKey::open(&vault, &sealed).map_err(OpenError::Keys)?;
    }
    Ok(vault)
}

/// The keys in the folder of a database that has sealed something.
pub(crate) fn of_file(path: &Path) -> Result<Vault, OpenError> {
    Vault::of_file(path).map_err(|error| match error {
        KeyError::Unreadable { error, .. } if error.kind() == io::ErrorKind::NotFound => {
            OpenError::KeyMissing(path.into())
        }
        error => OpenError::Key(error),
    })
}

fn found_or_made(path: &Path) -> Result<Vault, OpenError> {
    match of_file(path) {
        Err(OpenError::KeyMissing(_)) => {
            let vault = Vault::create(path).map_err(OpenError::Key)?;
            tracing::info!(path = %path.display(), "made the key that users' tokens are sealed with");
            Ok(vault)
        }
        found => found,
    }
}

fn has_meta(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'";
    connection.query_row(query, [], |row| row.get(0))
}
