//! The keys of a running process.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use common::Secret;
use zeroize::Zeroizing;

use crate::{
    column::{self, Place},
    file,
    keyring::{KeyError, Keyring, Unopened},
};

/// Seals and opens the sealed columns of a database, with keys that may be rotated while
/// it is in use. There is always a key.
///
/// Keys that leave the file stay known to the process until it ends, since it may be
/// reading what was sealed with one a moment ago.
pub struct Vault {
    file: Option<PathBuf>,
    ring: ArcSwap<Keyring>,
}

impl Vault {
    /// The keys of a file, which is read again when a key is missing.
    pub fn of_file(path: &Path) -> Result<Self, KeyError> {
        let ring = Keyring::read(path)?;
        Self::new(Some(path.into()), ring)
    }

    /// Keys that came with the process and stay as they are.
    pub fn of_ring(ring: Keyring) -> Result<Self, KeyError> {
        Self::new(None, ring)
    }

    /// Makes a file with a new key, on the disk when this returns. There must be no such
    /// file.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let ring = Keyring::new_one()?;
        file::create(path, &ring.lines())?;
        Self::new(Some(path.into()), ring)
    }

    fn new(file: Option<PathBuf>, ring: Keyring) -> Result<Self, KeyError> {
        if ring.is_empty() {
            return Err(KeyError::Empty);
        }
        Ok(Self {
            file,
            ring: ArcSwap::from_pointee(ring),
        })
    }

    /// The file that the keys are in, where they are in one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What stands in the column for `plain`, sealed with the first key.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Vec<u8> {
        column::seal(&self.ring.load(), place, plain).expect("a vault is never without a key")
    }

    /// As [`seal`](Self::seal), with the key of that id, for who shares a database and has
    /// agreed on it. Where it is missing the file is read again.
    pub fn seal_with(&self, id: &str, place: &Place, plain: &[u8]) -> Result<Vec<u8>, Unopened> {
        let sealed = column::seal_with(&self.ring.load(), id, place, plain);
        let sealed = sealed.or_else(|| {
            self.read_again().ok()?;
            column::seal_with(&self.ring.load(), id, place, plain)
        });
        sealed.ok_or_else(|| Unopened::UnknownKey(id.to_owned()))
    }

    /// The secret that was sealed for that place.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Secret, Unopened> {
        self.open_bytes(place, sealed)
            .map(|plain| column::secret(&plain))
    }

    /// As [`open`](Self::open), of anything. Where a key is missing the file is read again:
    /// somebody may have put it there.
    pub(crate) fn open_bytes(
        &self,
        place: &Place,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        match column::open(&self.ring.load(), place, sealed) {
            Err(unopened) if unopened.another_may() && self.read_again().is_ok() => {
                column::open(&self.ring.load(), place, sealed)
            }
            other => other,
        }
    }

    /// The id of the key that seals.
    pub fn key_id(&self) -> String {
        let ring = self.ring.load();
        ring.first_id().unwrap_or_default().to_owned()
    }

    /// Whether that column is sealed with the key that seals now.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.ring
            .load()
            .first_id()
            .is_some_and(|id| is_sealed_with(id, sealed))
    }

    /// Takes up what the file holds now.
    pub fn read_again(&self) -> Result<(), KeyError> {
        let Some(path) = &self.file else {
            return Ok(());
        };
        let ring = Keyring::read(path)?;
        if ring.is_empty() {
            return Err(KeyError::Empty);
        }
        self.take(ring);
        Ok(())
    }

    /// Puts a new key first in the file, on the disk when this returns, and seals with it
    /// from then on. Gives its id. `None` where the keys are in no file.
    pub fn add_key(&self) -> Result<Option<String>, KeyError> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let ring = Keyring::read(path)?.with_new_first()?;
        file::replace(path, &ring.lines())?;
        self.take(ring);
        Ok(Some(self.key_id()))
    }

    /// Leaves the first key alone in the file. Gives the ids of those that went.
    pub fn drop_old_keys(&self) -> Result<Vec<String>, KeyError> {
        let Some(path) = &self.file else {
            return Ok(Vec::new());
        };
        let ring = Keyring::read(path)?;
        let gone: Vec<_> = ring.ids().skip(1).map(str::to_owned).collect();
        if !gone.is_empty() {
            file::replace(path, &ring.first_alone().lines())?;
        }
        Ok(gone)
    }

    fn take(&self, ring: Keyring) {
        self.ring
            .rcu(|known| Arc::new(ring.clone().followed_by(known)));
    }
}

/// Whether that column is sealed with the key of that id.
pub fn is_sealed_with(id: &str, sealed: &[u8]) -> bool {
    column::key_id(sealed) == Some(id)
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("file", &self.file)
            .field("ring", &self.ring.load())
            .finish()
    }
}

#[cfg(test)]
mod tests;
