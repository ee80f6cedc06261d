//! Sealing records: what subscribers without the key must not see.
//!
//! A sealed text is the base64 of a random nonce of 12 bytes, the AES-256-GCM
//! ciphertext and its tag of 16 bytes. The additional data name the record and the
//! field ([`Field`]), so a sealed text cannot be moved to another place. Rotate a key by
//! putting a new one first in every process's ring.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use common::{DestinationId, wire::Hidden};
use sealing::{Keyring, Unopened};

use crate::settings::{Format, names};

/// Seals what leaves this process and opens what comes.
pub struct Sealer {
    format: Format,
    ring: Keyring,
    lanes: Option<hmac::Key>,
}

/// The additional data that a text is sealed with: `record/field`.
#[derive(Clone, Debug)]
pub struct Field(String);

/// The format needs a key, and there is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the format is sealed and there is no key; give one with {} or {}, or choose {} plain",
    names::KEY_FILE,
    names::KEYS,
    names::FORMAT
)]
pub struct NoKey;

impl Sealer {
    /// A sealer that writes in that format. Whatever the format, all the ring's keys open.
    pub fn new(format: Format, ring: Keyring) -> Result<Self, NoKey> {
        if format == Format::Sealed && ring.is_empty() {
            return Err(NoKey);
        }
        Ok(Self {
            format,
            lanes: ring.derived(b"error-notifier lane key"),
            ring,
        })
    }

    /// How deliveries are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The id of the key that seals, for a record's `sealed`; `None` where it is plain.
    pub fn key_id(&self) -> Option<&str> {
        match self.format {
            Format::Sealed => self.ring.first_id(),
            Format::Plain => None,
        }
    }

    /// What stands in the record for that text.
    pub fn seal(&self, field: &Field, plain: &str) -> Hidden {
        let sealed = match self.format {
            Format::Sealed => self.ring.seal(field.0.as_bytes(), plain.as_bytes()),
            Format::Plain => None,
        };
        match sealed {
            Some(sealed) => Hidden::new(STANDARD.encode(sealed)),
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
        // Bytes that nobody sealed do not open: an unknown key is told first all the same.
        let bytes = STANDARD.decode(text.expose()).unwrap_or_default();
        let plain = self.ring.open(id, field.0.as_bytes(), &bytes)?;
        match std::str::from_utf8(&plain) {
            Ok(plain) => Ok(Hidden::new(plain)),
            Err(_) => Err(Unopened::Damaged(id.to_owned())),
        }
    }

    /// The lane's key in every topic but those of alerts: 16 bytes in hex, that tell
    /// lanes apart and not where they lead.
    pub fn lane_key(&self, destination: DestinationId) -> String {
        let id = destination.0.to_be_bytes();
        match &self.lanes {
            Some(key) => hex(&hmac::sign(key, &id).as_ref()[..16]),
            None => hex(&id),
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
