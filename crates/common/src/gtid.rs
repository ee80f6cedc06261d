//! The global transaction id that ties a request to all its log lines.

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// The global transaction id of a request: the caller's `X-Global-Transaction-Id`
/// where that is 1 to 128 of `[A-Za-z0-9._-]`, else a new UUID. The alphabet
/// keeps line breaks and escape sequences out of the logs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gtid(Arc<str>);

impl Gtid {
    /// The name of the header that carries it, in requests and answers.
    pub const HEADER: &'static str = "x-global-transaction-id";

    /// The caller's id where it is well formed.
    pub fn parse(text: &str) -> Option<Self> {
        let well_formed = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        well_formed.then(|| Self(text.into()))
    }

    /// A new id, for a request that brought none.
    pub fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        Self((&*Uuid::new_v4().hyphenated().encode_lower(&mut buffer)).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_taken_as_it_is() {
        let longest = "a".repeat(128);
        for text in ["a", "A-1_b.c", longest.as_str()] {
            assert_eq!(Gtid::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let too_long = "a".repeat(129);
        for text in ["", "a b", "a\nb", "\u{1b}[0m", "장애", too_long.as_str()] {
            assert_eq!(Gtid::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_new_id_is_well_formed_itself() {
        let id = Gtid::random();
        assert_eq!(Gtid::parse(id.as_str()), Some(id));
    }
}
