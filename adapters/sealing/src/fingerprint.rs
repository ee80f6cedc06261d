//! Finding an equal secret without opening any.

use aws_lc_rs::{hmac, rand};
use common::Secret;
use zeroize::Zeroizing;

use crate::{
    column::Place,
    keyring::{KeyError, Unopened},
    vault::Vault,
};

/// The key of the fingerprints of secrets. It is random, and kept sealed beside them, so
/// that whoever has the database alone cannot try secrets, and that it stays the same when
/// keys are rotated.
///
/// It is also the proof of the keys: a ring that does not open it is not this database's.
pub struct FingerprintKey {
    bytes: Zeroizing<[u8; 32]>,
    hmac: hmac::Key,
}

impl FingerprintKey {
    /// A new one.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut bytes[..])
            .map_err(|_| KeyError::NotMade("the system gives no random bytes"))?;
        Ok(Self::of(bytes))
    }

    /// Opens one that [`sealed`](Self::sealed) has sealed.
    pub fn open(vault: &Vault, sealed: &[u8]) -> Result<Self, Unopened> {
        let plain = vault.open_bytes(&place(), sealed)?;
        let bytes = <[u8; 32]>::try_from(&plain[..]).map_err(|_| Unopened::Foreign)?;
        Ok(Self::of(Zeroizing::new(bytes)))
    }

    /// What is kept of it.
    pub fn sealed(&self, vault: &Vault) -> Vec<u8> {
        vault.seal(&place(), &self.bytes[..])
    }

    /// As [`sealed`](Self::sealed), with the key of that id.
    pub fn sealed_with(&self, vault: &Vault, id: &str) -> Result<Vec<u8>, Unopened> {
        vault.seal_with(id, &place(), &self.bytes[..])
    }

    /// HMAC-SHA-256 of the secret: equal for equal secrets.
    pub fn of_secret(&self, secret: &Secret) -> [u8; 32] {
        let tag = hmac::sign(&self.hmac, secret.expose().as_bytes());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(tag.as_ref());
        fingerprint
    }

    fn of(bytes: Zeroizing<[u8; 32]>) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &bytes[..]);
        Self { bytes, hmac }
    }
}

fn place() -> Place {
    Place::new("sealing", "fingerprint_key")
}

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey(redacted)")
    }
}
