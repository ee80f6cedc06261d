//! A sealed column of a database. Durable; a changed format gets another version.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the version: 1 |
//! | 1 | n, the length of the key's id: 1 to 32 |
//! | n | the key's id, ASCII |
//! | 12 | the nonce, random |
//! | as the text | the AES-256-GCM ciphertext |
//! | 16 | the tag |
//!
//! The additional data are the version and the [`Place`] in words, `column table/row`: what
//! was moved to another row or table does not open, nor does what was sealed for Kafka,
//! whose places begin otherwise.

use std::fmt;

use common::Secret;
use zeroize::Zeroizing;

use crate::{
    key::{Key, MAX_ID, NONCE},
    keyring::{Keyring, Unopened},
};

const VERSION: u8 = 1;

/// A row with a sealed column, of which no table has two.
#[derive(Clone, Debug)]
pub struct Place(Vec<u8>);

impl Place {
    /// That row of that table: by what never changes of it.
    pub fn new(table: &str, row: impl fmt::Display) -> Self {
        let mut data = vec![VERSION];
        data.extend_from_slice(format!("column {table}/{row}").as_bytes());
        Self(data)
    }
}

/// Seals with the ring's first key; `None` where it has none.
pub(crate) fn seal(ring: &Keyring, place: &Place, plain: &[u8]) -> Option<Vec<u8>> {
    ring.first().map(|key| seal_by(key, place, plain))
}

/// As [`seal`], with the key of that id; `None` where the ring has none such.
pub(crate) fn seal_with(ring: &Keyring, id: &str, place: &Place, plain: &[u8]) -> Option<Vec<u8>> {
    ring.find(id).map(|key| seal_by(key, place, plain))
}

fn seal_by(key: &Key, place: &Place, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(2 + key.id.len());
    // The id is 32 bytes long at most.
    sealed.extend_from_slice(&[VERSION, key.id.len() as u8]);
    sealed.extend_from_slice(key.id.as_bytes());
    key.seal(&mut sealed, &place.0, plain);
    sealed
}

/// What [`seal`] has sealed for that place.
pub(crate) fn open(
    ring: &Keyring,
    place: &Place,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let (id, rest) = parts(sealed).ok_or(Unopened::Foreign)?;
    ring.open(id, &place.0, rest)
}

/// The id of the key that it is sealed with.
pub(crate) fn key_id(sealed: &[u8]) -> Option<&str> {
    parts(sealed).map(|(id, _)| id)
}

fn parts(sealed: &[u8]) -> Option<(&str, &[u8])> {
    let (&[version, length], rest) = sealed.split_first_chunk()?;
    let length = usize::from(length);
    if version != VERSION || !(1..=MAX_ID).contains(&length) {
        return None;
    }
    let (id, rest) = rest.split_at_checked(length)?;
    let id = std::str::from_utf8(id).ok()?;
    (rest.len() >= NONCE).then_some((id, rest))
}

/// The text as a secret. One that is no UTF-8 is none that anybody has: it is refused when
/// it is used.
pub(crate) fn secret(plain: &[u8]) -> Secret {
    Secret::new(String::from_utf8_lossy(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &str) -> Keyring {
        Keyring::from_environment(keys).unwrap()
    }

    const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const K2: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    #[test]
    fn what_was_sealed_is_opened_and_does_not_hold_the_text() {
        let place = Place::new("credential", 7);
        let sealed = seal(&ring(K1), &place, b"xoxb-secret").unwrap();
        assert!(!sealed.windows(4).any(|four| four == b"xoxb"));
        assert_ne!(sealed, seal(&ring(K1), &place, b"xoxb-secret").unwrap());
        assert_eq!(key_id(&sealed), Some("k1"));
        let opened = open(&ring(&format!("{K2} {K1}")), &place, &sealed).unwrap();
        assert_eq!(&opened[..], b"xoxb-secret");
    }

    #[test]
    fn what_was_moved_to_another_row_or_table_does_not_open() {
        let sealed = seal(&ring(K1), &Place::new("credential", 7), b"secret").unwrap();
        for other in [
            Place::new("credential", 8),
            Place::new("credential", 77),
            Place::new("adopted_credential", 7),
        ] {
            let unopened = open(&ring(K1), &other, &sealed).unwrap_err();
            assert_eq!(unopened, Unopened::Damaged("k1".into()));
        }
    }

    #[test]
    fn a_key_that_the_ring_lacks_is_named() {
        let place = Place::new("credential", 7);
        let sealed = seal(&ring(K2), &place, b"secret").unwrap();
        let unopened = open(&ring(K1), &place, &sealed).unwrap_err();
        assert_eq!(unopened, Unopened::UnknownKey("k2".into()));
    }

    #[test]
    fn nothing_that_was_changed_or_cut_opens() {
        let place = Place::new("credential", 7);
        let mut sealed = seal(&ring(K1), &place, b"secret").unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            assert!(open(&ring(K1), &place, &sealed).is_err(), "{at}");
            sealed[at] ^= 1;
            assert!(open(&ring(K1), &place, &sealed[..at]).is_err(), "{at}");
        }
        assert!(open(&ring(K1), &place, b"xoxb-in-the-clear").is_err());
    }

    #[test]
    fn the_format_is_durable() {
        let place = Place::new("credential", 7);
        let sealed = b"\x01\x02k1\xb6\x1c";
        assert_eq!(key_id(sealed), None, "it is too short");
        let sealed = seal(&ring(K1), &place, b"").unwrap();
        assert_eq!(sealed.len(), 2 + 2 + 12 + 16);
        assert_eq!(sealed[..4], *b"\x01\x02k1");
        assert_eq!(place.0, b"\x01column credential/7");
    }
}
