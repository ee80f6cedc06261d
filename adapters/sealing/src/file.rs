//! The file that keys are kept in.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::keyring::KeyError;

/// Reads a file that only its owner may read.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |error| KeyError::Unreadable {
        path: path.display().to_string(),
        error,
    };
    let mode = fs::metadata(path).map_err(unreadable)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Open {
            path: path.display().to_string(),
            mode,
        });
    }
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(unreadable)
}

/// Makes the file, which must not be there; nobody else makes it at the same time, since
/// its folder is this process's own. It is whole and on the disk, or not there.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), KeyError> {
    let created = || {
        if path.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        put_there(written_beside(path, text)?, path)
    };
    created().map_err(|error| unwritable(path, error))
}

/// Replaces the file, which keeps its owner. Whoever reads it finds the old keys or the
/// new ones, after a power cut too.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), KeyError> {
    let replaced = || {
        // What a link names is replaced, not the link.
        let path = fs::canonicalize(path)?;
        let old = fs::metadata(&path)?;
        let new = written_beside(&path, text)?;
        let made = new.as_file().metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            fchown(new.as_file(), Some(old.uid()), Some(old.gid()))?;
        }
        put_there(new, &path)
    };
    replaced().map_err(|error| unwritable(path, error))
}

/// A file that its owner alone may read, on the same disk.
fn written_beside(path: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let mut new = tempfile::Builder::new()
        .prefix(".secret-key-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder_of(path))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    Ok(new)
}

/// By the standard library's rename, which is the C library's: the tests of power cuts see
/// no other.
fn put_there(new: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    fs::rename(new.into_temp_path(), path)?;
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => PathBuf::from("."),
    }
}

fn unwritable(path: &Path, error: io::Error) -> KeyError {
    KeyError::Unwritable {
        path: path.display().to_string(),
        error,
    }
}
