//! One key.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac, rand,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;
/// Bytes of a nonce and of a tag.
pub(crate) const NONCE: usize = 12;
const TAG: usize = 16;
/// The longest id of a key, since it stands beside all that is sealed with it.
pub(crate) const MAX_ID: usize = 32;

pub(crate) struct Key {
    pub(crate) id: String,
    secret: Zeroizing<[u8; KEY]>,
    aead: RandomizedNonceKey,
}

impl Key {
    /// Reads `id:base64`; else says what is wrong with it, without repeating it.
    pub(crate) fn parse(line: &str) -> Result<Self, &'static str> {
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
            .map(Zeroizing::new)
            .map_err(|_| "it is not base64")?;
        let secret = <[u8; KEY]>::try_from(&secret[..]).map_err(|_| "it does not have 32 bytes")?;
        Self::of(id, Zeroizing::new(secret))
    }

    /// A new one, of the system's random bytes.
    pub(crate) fn random(id: &str) -> Result<Self, &'static str> {
        let mut secret = Zeroizing::new([0; KEY]);
        rand::fill(&mut secret[..]).map_err(|_| "the system gives no random bytes")?;
        Self::of(id, secret)
    }

    fn of(id: &str, secret: Zeroizing<[u8; KEY]>) -> Result<Self, &'static str> {
        let aead =
            RandomizedNonceKey::new(&AES_256_GCM, &secret[..]).map_err(|_| "it is refused")?;
        Ok(Self {
            id: id.to_owned(),
            secret,
            aead,
        })
    }

    /// As it stands in a file.
    pub(crate) fn line(&self) -> Zeroizing<String> {
        let secret = Zeroizing::new(STANDARD.encode(&self.secret[..]));
        Zeroizing::new(format!("{}:{}", self.id, *secret))
    }

    /// Nonce, ciphertext and tag, put behind what is in `sealed` already.
    pub(crate) fn seal(&self, sealed: &mut Vec<u8>, data: &[u8], plain: &[u8]) {
        sealed.reserve_exact(NONCE + plain.len() + TAG);
        let nonce_at = sealed.len();
        sealed.extend_from_slice(&[0; NONCE]);
        let text_at = sealed.len();
        sealed.extend_from_slice(plain);
        let (nonce, tag) = self
            .aead
            .seal_in_place_separate_tag(Aad::from(data), &mut sealed[text_at..])
            .expect("a text is shorter than 64 GiB");
        sealed[nonce_at..text_at].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
    }

    /// The text of nonce, ciphertext and tag, if they were sealed with this key and data.
    pub(crate) fn open(&self, data: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_at_checked(NONCE)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = Zeroizing::new(text.to_vec());
        let length = self
            .aead
            .open_in_place(nonce, Aad::from(data), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }

    /// A key for another purpose: HMAC-SHA-256, with this one, of the purpose.
    pub(crate) fn derived(&self, purpose: &[u8]) -> hmac::Key {
        let master = hmac::Key::new(hmac::HMAC_SHA256, &self.secret[..]);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, purpose).as_ref())
    }
}
