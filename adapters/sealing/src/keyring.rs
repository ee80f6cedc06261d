//! The keys that a process knows.

use std::{fmt, io, path::Path, sync::Arc};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{file, key::Key};

/// The keys that a process knows: the first one seals, all of them open.
#[derive(Clone, Default)]
pub struct Keyring(Vec<Arc<Key>>);

/// Why something cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// This process does not have that key; another one may.
    #[error(
        "it is sealed with the key '{0}', which this process was not given (--secret-key-file for \
         what is stored, --kafka-key-file for what is in Kafka)"
    )]
    UnknownKey(String),
    /// It was not sealed with this key for this place.
    #[error(
        "the key '{0}' does not open it: it was changed or moved, or sealed with another key of that id"
    )]
    Damaged(String),
    /// It is nothing that was ever sealed.
    #[error("it is not sealed as this version seals")]
    Foreign,
}

impl Unopened {
    /// Whether a process with other keys might open it.
    pub fn another_may(&self) -> bool {
        matches!(self, Unopened::UnknownKey(_))
    }
}

/// Why keys cannot be used. Never holds one. To be told with the setting that names them.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the keys cannot be read from {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The file cannot be written; it is as it was.
    #[error("the keys in {path} cannot be replaced: {error}")]
    Unwritable {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Others can read the file.
    #[error("the file {path} can be read by others (mode {mode:o}); chmod 600 it")]
    Open {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// A line is no key.
    #[error(
        "line {line} is no key: {problem}; write id:base64 of 32 random bytes, as by: echo \"k1:$(openssl rand -base64 32)\""
    )]
    Malformed {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is none.
    #[error(
        "there is no key; write one, id:base64 of 32 random bytes, as by: echo \"k1:$(openssl rand -base64 32)\""
    )]
    Empty,
    /// No key can be made.
    #[error("no key can be made: {0}")]
    NotMade(&'static str),
}

impl Keyring {
    /// Reads a file that only its owner may read. One key a line; empty lines and
    /// those that begin with `#` are passed over.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&file::read(path)?)
    }

    /// Reads the text of an environment variable, where line breaks or white space
    /// stand between keys.
    pub fn from_environment(text: &str) -> Result<Self, KeyError> {
        let lines: Vec<&str> = text.split_whitespace().collect();
        Self::parse(&Zeroizing::new(lines.join("\n")))
    }

    fn parse(text: &str) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = |problem| KeyError::Malformed {
                line: index + 1,
                problem,
            };
            let key = Key::parse(line).map_err(malformed)?;
            if ring.find(&key.id).is_some() {
                return Err(malformed("its id stands there twice"));
            }
            ring.0.push(Arc::new(key));
        }
        Ok(ring)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of the key that seals.
    pub fn first_id(&self) -> Option<&str> {
        self.first().map(|key| &*key.id)
    }

    /// The ids of all keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| &*key.id)
    }

    /// The nonce of 12 bytes, the AES-256-GCM ciphertext and the tag of 16 bytes of
    /// `plain`, with that additional data; `None` where there is no key.
    pub fn seal(&self, data: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = Vec::new();
        self.first()?.seal(&mut sealed, data, plain);
        Some(sealed)
    }

    /// What the key of that id has sealed with that additional data.
    pub fn open(
        &self,
        id: &str,
        data: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let unknown = || Unopened::UnknownKey(id.to_owned());
        let key = self.find(id).ok_or_else(unknown)?;
        let damaged = || Unopened::Damaged(id.to_owned());
        key.open(data, sealed).ok_or_else(damaged)
    }

    /// A key for another purpose, derived of the first one; `None` where there is none.
    pub fn derived(&self, purpose: &[u8]) -> Option<hmac::Key> {
        self.first().map(|key| key.derived(purpose))
    }

    /// The text of a file with these keys.
    pub(crate) fn lines(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(96 * (self.0.len() + 2)));
        text.push_str("# The first key seals, all of them open. Whoever has them and the data\n");
        text.push_str("# has the secrets, so keep them where copies of the data are not.\n");
        for key in &self.0 {
            text.push_str(&key.line());
            text.push('\n');
        }
        text
    }

    /// One new key alone.
    pub(crate) fn new_one() -> Result<Self, KeyError> {
        let key = Key::random("k1").map_err(KeyError::NotMade)?;
        Ok(Self(vec![Arc::new(key)]))
    }

    /// The same with a new key first. Its id is `k` and a number above those there are.
    pub(crate) fn with_new_first(&self) -> Result<Self, KeyError> {
        let numbers = self
            .ids()
            .filter_map(|id| id.strip_prefix('k')?.parse().ok());
        let last: u32 = numbers.max().unwrap_or_default();
        let id = format!("k{}", last.saturating_add(1));
        let new = Key::random(&id).map_err(KeyError::NotMade)?;
        let mut keys = vec![Arc::new(new)];
        keys.extend(self.0.iter().cloned());
        Ok(Self(keys))
    }

    /// The first key alone.
    pub(crate) fn first_alone(&self) -> Self {
        Self(self.0.iter().take(1).cloned().collect())
    }

    /// These keys, and after them those of `known` that are not among them.
    pub(crate) fn followed_by(mut self, known: &Self) -> Self {
        let others = known.0.iter().filter(|key| self.find(&key.id).is_none());
        let others: Vec<_> = others.cloned().collect();
        self.0.extend(others);
        self
    }

    pub(crate) fn first(&self) -> Option<&Key> {
        self.0.first().map(|key| &**key)
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id).map(|key| &**key)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.ids().collect();
        f.debug_tuple("Keyring").field(&ids).finish()
    }
}

#[cfg(test)]
mod tests;
