//! The data folder: its lock, its database file, and the reserve.
//!
//! ```text
//! data/
//!   lock                held by the one process that uses the folder
//!   error-notifier.db   the database, with -wal and -shm beside it
//!   secret-key          the key of users' tokens, where no other is named
//!   reserve             space given up when the disk is full, for settling alone
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use crate::OpenError;

/// The reserve's size: enough for the write-ahead log at its largest and some
/// hundred thousand outcomes.
pub(crate) const RESERVE_BYTES: u64 = 16 << 20;

/// A data folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where there is none, and takes its lock.
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable = |error: io::Error| OpenError::Folder {
            path: path.into(),
            error,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        let lock = private_file(&path.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.into(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.into())),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        database(&self.path)
    }

    /// Where the key is that tokens are sealed with, unless another is named.
    pub(crate) fn secret_key(&self) -> PathBuf {
        secret_key(&self.path)
    }

    /// Makes the reserve where it is not whole. An error means that the disk has
    /// no room for it.
    pub(crate) fn restore_reserve(&self) -> io::Result<()> {
        let path = self.reserve();
        if fs::metadata(&path).is_ok_and(|reserve| reserve.len() == RESERVE_BYTES) {
            return Ok(());
        }
        let written = write_reserve(&path);
        if written.is_err() {
            // Half a reserve would only make the shortage worse.
            self.release_reserve();
        }
        written
    }

    /// Gives the reserve's space back to the disk.
    pub(crate) fn release_reserve(&self) {
        if let Err(error) = fs::remove_file(self.reserve())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(%error, "the disk reserve cannot be released");
        }
    }

    fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }
}

/// The database file of the data folder at `path`.
pub(crate) fn database(path: &Path) -> PathBuf {
    path.join("error-notifier.db")
}

/// The key file of the data folder at `path`.
pub(crate) fn secret_key(path: &Path) -> PathBuf {
    path.join("secret-key")
}

/// Opens or makes a file that its owner alone may read: it may hold tokens.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .mode(0o600)
        .open(path)
}

fn write_reserve(path: &Path) -> io::Result<()> {
    let file = private_file(path)?;
    file.set_len(0)?;
    match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
        Err(Errno::OPNOTSUPP) => write_noise(&file)?,
        result => result?,
    }
    file.sync_all()
}

/// For a file system that cannot set space aside. Noise, since one that
/// compresses would keep zeros in no space.
fn write_noise(mut file: &File) -> io::Result<()> {
    let mut block = vec![0_u8; 1 << 20];
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..RESERVE_BYTES >> 20 {
        for chunk in block.chunks_exact_mut(8) {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            chunk.copy_from_slice(&noise.to_le_bytes());
        }
        file.write_all(&block)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::take(place.path()).unwrap();
        assert!(matches!(
            Folder::take(place.path()),
            Err(OpenError::InUse(_))
        ));
        drop(first);
        assert!(Folder::take(place.path()).is_ok());
    }

    #[test]
    fn the_reserve_takes_real_space_and_can_be_given_up_and_restored() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::take(place.path()).unwrap();
        folder.restore_reserve().unwrap();
        let reserve = place.path().join("reserve");
        assert!(fs::metadata(&reserve).unwrap().blocks() * 512 >= RESERVE_BYTES);
        folder.release_reserve();
        assert!(!reserve.exists());
        folder.restore_reserve().unwrap();
        assert!(reserve.exists());
    }

    #[test]
    fn a_file_in_the_folders_place_is_refused_naming_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "").unwrap();
        let error = Folder::take(&path).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
