//! Sealing: what subscribers without the key must not see.
//!
//! A sealed text is the base64 of a random nonce of 12 bytes, the AES-256-GCM
//! ciphertext and its tag of 16 bytes. The additional data name the record and the
//! field ([`Field`]), so a sealed text cannot be moved to another place. With random nonces
//! one key is good for some four thousand million texts (NIST SP 800-38D, 8.3): rotate it
//! before, by putting a new one first in every process's ring.

use std::{fmt, fs, io, path::Path};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use common::{DestinationId, wire::Hidden};

use crate::settings::{Format, names};

/// Bytes of a key.
const KEY: usize = 32;
/// Bytes of a nonce and of a tag.
const NONCE: usize = 12;
const TAG: usize = 16;
/// The longest id of a key, since it stands in every record.
const MAX_ID: usize = 32;

/// Seals what leaves this process and opens what comes.
pub struct Sealer {
    format: Format,
    ring: Keyring,
}

/// The keys that this process knows: the first one seals, all of them open.
#[derive(Default)]
pub struct Keyring(Vec<Key>);

struct Key {
    id: String,
    aead: RandomizedNonceKey,
    lanes: hmac::Key,
}

/// The additional data that a text is sealed with: `record/field`.
#[derive(Clone, Debug)]
pub struct Field(String);

/// Why a text cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// This process does not have that key; another one may.
    #[error("it is sealed with the key '{0}', which is not among {keys} of this process", keys = names::KEY_FILE)]
    UnknownKey(String),
    /// It was not sealed with this key for this place.
    #[error(
        "the key '{0}' does not open it: it was changed, or sealed with another key of that id"
    )]
    Damaged(String),
}

impl Unopened {
    /// Whether a process with other keys might open it.
    pub fn another_may(&self) -> bool {
        matches!(self, Unopened::UnknownKey(_))
    }
}

/// Why keys cannot be used. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the keys of {} cannot be read from {path}: {error}", names::KEY_FILE)]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Others can read the file.
    #[error(
        "the file {path} of {} can be read by others (mode {mode:o}); chmod 600 it",
        names::KEY_FILE
    )]
    Open {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// A line is no key.
    #[error(
        "line {line} of {setting} is no key: {problem}; write id:base64 of 32 random bytes, as by: echo \"k1:$(openssl rand -base64 32)\""
    )]
    Malformed {
        /// Which setting.
        setting: &'static str,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is none, and the format needs one.
    #[error(
        "the format is sealed and there is no key; give one with {} or {}, or choose {} plain",
        names::KEY_FILE,
        names::KEYS,
        names::FORMAT
    )]
    None,
}

impl Keyring {
    /// Reads a file that only its owner may read. One key a line; empty lines and
    /// those that begin with `#` are passed over.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error| KeyError::Unreadable {
            path: path.display().to_string(),
            error,
        };
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Open {
                    path: path.display().to_string(),
                    mode,
                });
            }
        }
        let text = zeroize::Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
        Self::parse(&text, names::KEY_FILE)
    }

    /// Reads the text of the environment variable, where line breaks or white space
    /// stand between keys.
    pub fn from_environment(text: &str) -> Result<Self, KeyError> {
        let lines: Vec<&str> = text.split_whitespace().collect();
        let text = zeroize::Zeroizing::new(lines.join("\n"));
        Self::parse(&text, names::KEYS)
    }

    fn parse(text: &str, setting: &'static str) -> Result<Self, KeyError> {
        let mut ring = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let malformed = |problem| KeyError::Malformed {
                setting,
                line: index + 1,
                problem,
            };
            let key = Key::parse(line).map_err(malformed)?;
            if ring.find(&key.id).is_some() {
                return Err(malformed("its id stands there twice"));
            }
            ring.0.push(key);
        }
        Ok(ring)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let (id, secret) = line.split_once(':').ok_or("it has no colon")?;
        let is_id = (1..=MAX_ID).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_id {
            return Err("its id is not 1 to 32 of A-Z a-z 0-9 . _ -");
        }
        let secret = STANDARD
            .decode(secret.trim())
            .map(zeroize::Zeroizing::new)
            .map_err(|_| "it is not base64")?;
        if secret.len() != KEY {
            return Err("it does not have 32 bytes");
        }
        let aead = RandomizedNonceKey::new(&AES_256_GCM, &secret).map_err(|_| "it is refused")?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let lanes = hmac::sign(&master, b"error-notifier lane key");
        Ok(Self {
            id: id.to_owned(),
            aead,
            lanes: hmac::Key::new(hmac::HMAC_SHA256, lanes.as_ref()),
        })
    }

    fn seal(&self, field: &Field, plain: &[u8]) -> String {
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        sealed.extend_from_slice(&[0; NONCE]);
        sealed.extend_from_slice(plain);
        let aad = Aad::from(field.0.as_bytes());
        let (nonce, tag) = self
            .aead
            .seal_in_place_separate_tag(aad, &mut sealed[NONCE..])
            .expect("a text is shorter than 64 GiB");
        sealed[..NONCE].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        STANDARD.encode(sealed)
    }

    fn open(&self, field: &Field, sealed: &str) -> Option<String> {
        let mut bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_mut_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self
            .aead
            .open_in_place(nonce, Aad::from(field.0.as_bytes()), text)
            .ok()?;
        std::str::from_utf8(plain).map(str::to_owned).ok()
    }
}

impl Sealer {
    /// A sealer that writes in that format. Whatever the format, all the ring's keys open.
    pub fn new(format: Format, ring: Keyring) -> Result<Self, KeyError> {
        if format == Format::Sealed && ring.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { format, ring })
    }

    /// How deliveries are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The id of the key that seals, for a record's `sealed`; `None` where it is plain.
    pub fn key_id(&self) -> Option<&str> {
        self.sealing().map(|key| &*key.id)
    }

    /// What stands in the record for that text.
    pub fn seal(&self, field: &Field, plain: &str) -> Hidden {
        match self.sealing() {
            Some(key) => Hidden::new(key.seal(field, plain.as_bytes())),
            None => Hidden::new(plain),
        }
    }

    /// The text that stands in a record whose `sealed` is that.
    pub fn open(
        &self,
        sealed: Option<&str>,
        field: &Field,
        text: &Hidden,
    ) -> Result<Hidden, Unopened> {
        let Some(id) = sealed else {
            return Ok(text.clone());
        };
        let Some(key) = self.ring.find(id) else {
            return Err(Unopened::UnknownKey(id.to_owned()));
        };
        match key.open(field, text.expose()) {
            Some(plain) => Ok(Hidden::new(plain)),
            None => Err(Unopened::Damaged(id.to_owned())),
        }
    }

    /// The lane's key in every topic but those of alerts: 16 bytes in hex, that tell
    /// lanes apart and not where they lead.
    pub fn lane_key(&self, destination: DestinationId) -> String {
        let id = destination.0.to_be_bytes();
        match self.ring.0.first() {
            Some(key) => hex(&hmac::sign(&key.lanes, &id).as_ref()[..16]),
            None => hex(&id),
        }
    }

    fn sealing(&self) -> Option<&Key> {
        match self.format {
            Format::Sealed => self.ring.0.first(),
            Format::Plain => None,
        }
    }
}

impl Field {
    /// That field of the record with that id.
    pub fn new(record: impl fmt::Display, field: &str) -> Self {
        Self(format!("{record}/{field}"))
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.0.iter().map(|key| &*key.id).collect();
        f.debug_tuple("Keyring").field(&ids).finish()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("format", &self.format)
            .field("ring", &self.ring)
            .finish()
    }
}

#[cfg(test)]
mod tests;
