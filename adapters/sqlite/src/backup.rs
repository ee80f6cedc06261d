//! Reading a data folder from beside the process that uses it.

use std::{path::Path, sync::Arc};

use producer::domain::Directory;

use sealing::Vault;

use crate::{
    OpenError, directory, folder, schema,
    secrets::{self, Secrets},
};

/// Writes a consistent copy of the database of the data folder to `to`, whether
/// or not a server is running on it. The copy holds the tokens, sealed, and not their
/// key; it is made readable for its owner alone. Fails where `to` exists.
pub fn backup(data_folder: &Path, to: &Path) -> Result<(), OpenError> {
    let connection = open(data_folder)?;
    let unusable = |error| OpenError::Folder {
        path: to.into(),
        error,
    };
    let target = to
        .to_str()
        .ok_or_else(|| unusable(std::io::ErrorKind::InvalidFilename.into()))?;
    if to.exists() {
        return Err(unusable(std::io::ErrorKind::AlreadyExists.into()));
    }
    // VACUUM INTO accepts an empty file; made first, it never has other permissions.
    let copy = folder::private_file(to).map_err(unusable)?;
    let copied = connection.execute("VACUUM INTO ?1", [target]);
    if let Err(error) = copied {
        // Half a copy would stand in the way of the next try; it is no loss.
        let _ = std::fs::remove_file(to);
        return Err(error.into());
    }
    copy.sync_all().map_err(unusable)
}

/// Reads the directory of the data folder, tokens included, with those keys or the one in
/// the folder.
pub fn read_directory(
    data_folder: &Path,
    secret_key: Option<Arc<Vault>>,
) -> Result<Directory, OpenError> {
    let connection = open(data_folder)?;
    let vault = match secret_key {
        Some(vault) => vault,
        None => Arc::new(secrets::keys_of_file(&folder::secret_key(data_folder))?),
    };
    let secrets = Secrets::read_only(&connection, vault)?;
    Ok(directory::load(&connection, &secrets)?)
}

fn open(data_folder: &Path) -> Result<rusqlite::Connection, OpenError> {
    let path = folder::database(data_folder);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(schema::open_reader(&path)?),
        Err(error) => Err(OpenError::Folder { path, error }),
    }
}
