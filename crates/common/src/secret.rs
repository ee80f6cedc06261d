//! The one type that holds a credential in memory.

use std::fmt;

use zeroize::Zeroizing;

/// A secret such as a Slack token. It cannot be printed, serialised or compared
/// by accident, and its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<str>>);

impl Secret {
    /// Takes the plain secret in.
    pub fn new(plain: impl Into<Box<str>>) -> Self {
        Self(Zeroizing::new(plain.into()))
    }

    /// The plain secret, for the one place that needs it: the request to the
    /// external service, or the store that seals it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters of a secret of 16 characters or more, so that a
    /// person can tell two apart; `None` for a shorter one, of which four would
    /// tell too much.
    pub fn hint(&self) -> Option<String> {
        let count = self.0.chars().count();
        (count >= 16).then(|| self.0.chars().skip(count - 4).collect())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_hold_the_secret() {
        let secret = Secret::new("xoxb-very-secret-token");
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }

    #[test]
    fn the_hint_is_the_last_four_of_sixteen_or_more_characters() {
        assert_eq!(
            Secret::new("0123456789abcdef").hint().as_deref(),
            Some("cdef")
        );
        assert_eq!(Secret::new("0123456789abcde").hint(), None);
    }
}
