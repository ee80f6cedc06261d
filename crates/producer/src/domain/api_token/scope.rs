//! What an API token may be used for.

use std::{fmt, str::FromStr};

use crate::domain::text::Invalid;

/// One thing that a token can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Posting alerts, cancelling them, and replaying and discarding dead letters.
    AlertsWrite,
    /// Reading what became of alerts, and how destinations stand.
    AlertsRead,
    /// Reading users and groups.
    DirectoryRead,
    /// Changing users and groups.
    DirectoryWrite,
    /// Everything, and API tokens and the audit log, which no other scope reaches.
    Admin,
}

impl Scope {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::AlertsWrite,
        Self::AlertsRead,
        Self::DirectoryRead,
        Self::DirectoryWrite,
        Self::Admin,
    ];

    /// The scope as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertsWrite => "alerts:write",
            Self::AlertsRead => "alerts:read",
            Self::DirectoryRead => "directory:read",
            Self::DirectoryWrite => "directory:write",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            Invalid {
                field: "scopes",
                problem: format!("must each be one of {}.", all.join(", ")),
            }
        })
    }
}

/// The scopes of one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether they allow what needs `scope`: as one of them, or by `admin`.
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    /// Those that are named, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// [`Invalid`] for a word that is no scope.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// A space between each two, as OAuth writes them and stores keep them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_were_written() {
        for bits in 0..1_u8 << Scope::ALL.len() {
            let scopes = Scopes(bits);
            assert_eq!(Scopes::parse(&scopes.to_string()), Ok(scopes));
        }
        assert!(Scopes::parse("alerts:write everything").is_err());
    }

    #[test]
    fn a_scope_allows_itself_alone_and_admin_allows_all() {
        for held in Scope::ALL {
            let scopes: Scopes = [held].into_iter().collect();
            for needed in Scope::ALL {
                let expected = held == needed || held == Scope::Admin;
                assert_eq!(scopes.allow(needed), expected, "{held} for {needed}");
            }
        }
        assert!(!Scopes::default().allow(Scope::AlertsRead));
    }
}
