//! API tokens: who may call the API, and for what.

mod scope;
mod secret;

use std::sync::Arc;

use common::{ApiTokenId, GroupId, UtcMillis};

pub use scope::{Scope, Scopes};
pub use secret::{ApiTokenHash, ApiTokenSecret, PREFIX};

use super::text::{Invalid, line};

/// The most tokens that there may be, revoked ones counted.
pub const MAX_API_TOKENS: usize = 10_000;
/// The most groups that one token may be restricted to.
const MAX_GROUPS: usize = 100;

/// A token as the directory knows it. One that is revoked stays, so that its callers are
/// told so, and so that an API that asked for tokens goes on asking.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// Its values.
    pub record: ApiTokenRecord,
    /// When it was created.
    pub created_at: UtcMillis,
    /// When it was revoked, if it was.
    pub revoked_at: Option<UtcMillis>,
}

/// The values of a token, which never change.
#[derive(Clone, Debug)]
pub struct ApiTokenRecord {
    /// Names it in logs, and to revoke it.
    pub id: ApiTokenId,
    /// Whose it is or what for; unique among tokens that are not revoked.
    pub name: ApiTokenName,
    /// What is kept of the secret.
    pub hash: ApiTokenHash,
    /// What it allows.
    pub grant: Grant,
    /// From when on it is refused; `None` for never.
    pub expires_at: Option<UtcMillis>,
}

/// A token's name: 1 to 60 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiTokenName(Arc<str>);

impl ApiTokenName {
    /// Reads and normalises a name.
    ///
    /// # Errors
    /// [`Invalid`] where it is not a line of 1 to 60 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line("name", text, 1..=60).map(|name| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token allows: scopes, and where it is restricted, the groups that its alerts may
/// be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    scopes: Scopes,
    /// A group that is deleted stays here and can no longer be named, so that a
    /// restriction never widens.
    groups: Option<Arc<[GroupId]>>,
}

impl Grant {
    /// Those scopes, for alerts to those groups alone, where some are given.
    ///
    /// # Errors
    /// [`Invalid`] where there is no scope, an empty or too long list of groups, or a
    /// restricted token would have a scope that reaches beyond groups: with
    /// `directory:write` it could put anybody into its own, and what became of alerts is
    /// not kept by group.
    pub fn new(scopes: Scopes, groups: Option<Vec<GroupId>>) -> Result<Self, Invalid> {
        let refuse = |field, problem: &str| {
            Err(Invalid {
                field,
                problem: problem.into(),
            })
        };
        if scopes.is_empty() {
            return refuse("scopes", "must name at least one scope.");
        }
        let Some(mut groups) = groups else {
            return Ok(Self {
                scopes,
                groups: None,
            });
        };
        groups.sort_unstable();
        groups.dedup();
        if groups.is_empty() || groups.len() > MAX_GROUPS {
            return refuse(
                "notiGroupIds",
                "must name 1 to 100 groups, or be left out for a token that may target anybody.",
            );
        }
        if scopes != [Scope::AlertsWrite].into_iter().collect() {
            return refuse(
                "scopes",
                "of a token that is restricted to groups must be alerts:write alone; the others reach beyond groups.",
            );
        }
        Ok(Self {
            scopes,
            groups: Some(groups.into()),
        })
    }

    /// The scopes.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// The groups that its alerts may be for, in the order of their ids; `None` where it
    /// may target anybody.
    pub fn groups(&self) -> Option<&Arc<[GroupId]>> {
        self.groups.as_ref()
    }
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// None was given.
    #[error(
        "This needs an API token: send the header Authorization: Bearer en_…; `error-notifier token create` makes one."
    )]
    Missing,
    /// What was given is no token, or not whole.
    #[error(
        "This is not an API token, or not a whole one: it begins with en_ and has 51 characters."
    )]
    Malformed,
    /// Nobody has it.
    #[error("This API token is not known here.")]
    Unknown,
    /// Its time is over.
    #[error("This API token has expired; `error-notifier token create` makes another.")]
    Expired,
    /// It was revoked.
    #[error("This API token has been revoked; `error-notifier token create` makes another.")]
    Revoked,
}

impl ApiToken {
    /// Whether it is taken at that time.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: UtcMillis) -> Result<(), TokenRefusal> {
        if self.revoked_at.is_some() {
            return Err(TokenRefusal::Revoked);
        }
        match self.record.expires_at {
            Some(expiry) if expiry <= now => Err(TokenRefusal::Expired),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn scopes(scopes: &[Scope]) -> Scopes {
        scopes.iter().copied().collect()
    }

    #[test]
    fn a_grant_has_a_scope_and_a_restricted_one_that_of_posting_alerts_alone() {
        let group = Some(vec![GroupId(Uuid::from_u128(1))]);
        assert!(Grant::new(scopes(&[Scope::AlertsWrite]), group.clone()).is_ok());
        assert!(Grant::new(scopes(&Scope::ALL), None).is_ok());
        assert!(Grant::new(scopes(&[]), None).is_err());
        assert!(Grant::new(scopes(&[Scope::AlertsWrite]), Some(vec![])).is_err());
        for reaching in [
            Scope::AlertsRead,
            Scope::DirectoryRead,
            Scope::DirectoryWrite,
            Scope::Admin,
        ] {
            let both = scopes(&[Scope::AlertsWrite, reaching]);
            assert!(Grant::new(both, group.clone()).is_err(), "{reaching}");
            assert!(Grant::new(scopes(&[reaching]), group.clone()).is_err());
        }
    }

    #[test]
    fn groups_of_a_grant_are_kept_in_order_and_each_once() {
        let id = |n| GroupId(Uuid::from_u128(n));
        let groups = vec![id(3), id(1), id(3)];
        let grant = Grant::new(scopes(&[Scope::AlertsWrite]), Some(groups)).unwrap();
        assert_eq!(**grant.groups().unwrap(), [id(1), id(3)]);
    }

    #[test]
    fn a_token_is_taken_until_it_expires_or_is_revoked() {
        let mut token = ApiToken {
            record: ApiTokenRecord {
                id: ApiTokenId(Uuid::from_u128(1)),
                name: ApiTokenName::parse("ci").unwrap(),
                hash: ApiTokenSecret::generate().hash(),
                grant: Grant::new(scopes(&[Scope::Admin]), None).unwrap(),
                expires_at: Some(UtcMillis(1_000)),
            },
            created_at: UtcMillis(0),
            revoked_at: None,
        };
        assert_eq!(token.check(UtcMillis(999)), Ok(()));
        assert_eq!(token.check(UtcMillis(1_000)), Err(TokenRefusal::Expired));
        token.revoked_at = Some(UtcMillis(10));
        assert_eq!(token.check(UtcMillis(11)), Err(TokenRefusal::Revoked));
    }
}
