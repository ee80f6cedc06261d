//! What an API token looks like, and what is kept of it.
//!
//! `en_` and 48 characters of base64url: 32 random bytes, then the first 4 of the SHA-256
//! of `en_` and those. So a token that was mistyped or cut off is known as such without
//! looking for it, and a scanner of source code can tell a token from what resembles one.
//!
//! Kept is the SHA-256 of the random bytes. They are as many as nobody can try, so a slow
//! hash, which passwords need, would gain nothing and cost each request.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::Secret;
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every token begins with.
pub const PREFIX: &str = "en_";
/// How many characters follow.
const ENCODED: usize = 48;
/// How many random bytes a token has.
const RANDOM: usize = 32;
const CHECKSUM: usize = 4;

/// A token that its form says to be whole; whether anybody has it, the directory knows.
pub struct ApiTokenSecret(Zeroizing<[u8; RANDOM]>);

impl ApiTokenSecret {
    /// A new one.
    pub fn generate() -> Self {
        let mut random = Zeroizing::new([0; RANDOM]);
        // A cryptographic generator, seeded by the operating system.
        rand::rng().fill_bytes(random.as_mut());
        Self(random)
    }

    /// Reads a token; `None` where it is none, or not as it was given out.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != ENCODED {
            return None;
        }
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?);
        let (random, sum) = bytes.split_at_checked(RANDOM)?;
        if checksum(random) != sum {
            return None;
        }
        let mut secret = Zeroizing::new([0; RANDOM]);
        secret.copy_from_slice(random);
        Some(Self(secret))
    }

    /// The token as its owner writes it, to be shown to them once.
    pub fn text(&self) -> Secret {
        let mut bytes = Zeroizing::new(self.0.to_vec());
        bytes.extend_from_slice(&checksum(&*self.0));
        let encoded = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(&*bytes));
        Secret::new(format!("{PREFIX}{}", *encoded))
    }

    /// What is kept of it.
    pub fn hash(&self) -> ApiTokenHash {
        ApiTokenHash(Sha256::digest(*self.0).into())
    }
}

impl fmt::Debug for ApiTokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenSecret(…)")
    }
}

fn checksum(random: &[u8]) -> [u8; CHECKSUM] {
    let sum = Sha256::new().chain_update(PREFIX).chain_update(random);
    let sum = sum.finalize();
    [sum[0], sum[1], sum[2], sum[3]]
}

/// The SHA-256 of a token's random bytes. Not the token, and yet nobody's business.
#[derive(Clone, Copy)]
pub struct ApiTokenHash([u8; 32]);

impl ApiTokenHash {
    /// Reads what [`as_bytes`](Self::as_bytes) gave; `None` where it is not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, to be stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first bytes, to find few to compare with among many. How long that takes tells
    /// at most those, of a hash that nobody can work back from.
    pub(crate) fn beginning(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether they are the same, in a time that does not tell how far.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for ApiTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_itself_and_no_two_are_alike() {
        let secret = ApiTokenSecret::generate();
        let text = secret.text();
        assert_eq!(text.expose().len(), PREFIX.len() + ENCODED);
        let read = ApiTokenSecret::parse(text.expose()).unwrap();
        assert!(read.hash().is(&secret.hash()));
        assert!(!ApiTokenSecret::generate().hash().is(&secret.hash()));
    }

    #[test]
    fn a_token_with_any_character_changed_or_missing_is_none() {
        let text = ApiTokenSecret::generate().text();
        let text = text.expose();
        for place in 0..text.len() {
            let other = if &text[place..=place] == "A" {
                "B"
            } else {
                "A"
            };
            let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
            assert!(ApiTokenSecret::parse(&changed).is_none(), "{place}");
            assert!(ApiTokenSecret::parse(&text[..place]).is_none(), "{place}");
        }
        for wrong in [format!("{text}A"), format!(" {text}"), text.to_uppercase()] {
            assert!(ApiTokenSecret::parse(&wrong).is_none());
        }
        assert!(ApiTokenSecret::parse("en_ü").is_none());
    }

    #[test]
    fn the_form_of_tokens_stays_as_it_is() {
        let secret = ApiTokenSecret(Zeroizing::new([7; RANDOM]));
        let text = secret.text();
        assert_eq!(
            text.expose(),
            "en_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBweil2G1"
        );
        assert_eq!(
            secret.hash().beginning(),
            u64::from_be_bytes(Sha256::digest([7; 32])[..8].try_into().unwrap())
        );
    }

    #[test]
    fn neither_token_nor_hash_is_shown_by_debug() {
        let secret = ApiTokenSecret::generate();
        assert_eq!(format!("{secret:?}"), "ApiTokenSecret(…)");
        assert_eq!(format!("{:?}", secret.hash()), "ApiTokenHash(…)");
    }
}
