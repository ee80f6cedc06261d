//! Reading a data folder from beside the process that uses it.

use std::path::Path;

use producer::domain::Directory;

use crate::{OpenError, directory, folder, schema};

/// Writes a consistent copy of the database of the data folder to `to`, whether
/// or not a server is running on it. The copy holds the tokens; it is made
/// readable for its owner alone. Fails where `to` exists.
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

/// Reads the directory of the data folder, tokens included.
pub fn read_directory(data_folder: &Path) -> Result<Directory, OpenError> {
    Ok(directory::load(&open(data_folder)?)?)
}

fn open(data_folder: &Path) -> Result<rusqlite::Connection, OpenError> {
    let path = folder::database(data_folder);
    match std::fs::metadata(&path) {
        Ok(_) => Ok(schema::open_reader(&path)?),
        Err(error) => Err(OpenError::Folder { path, error }),
    }
}
