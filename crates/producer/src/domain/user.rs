//! A user: someone who can be told.

use std::{fmt, sync::Arc};

use common::{Secret, UserId, UtcMillis};

use super::{
    destination::Destinations,
    text::{Invalid, line},
};

/// A user as the directory knows them.
#[derive(Clone, Debug)]
pub struct User {
    /// Never changes.
    pub id: UserId,
    /// Unique among users.
    pub name: UserName,
    /// Where they are told, in their order.
    pub destinations: Destinations,
    /// When they were created.
    pub created_at: UtcMillis,
    /// When they were last changed.
    pub updated_at: UtcMillis,
}

/// A user's name: 1 to 30 characters, not `all`, not beginning with `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(Arc<str>);

impl UserName {
    /// Reads and normalises a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let name = line("name", text, 1..=30)?;
        let problem = if &*name == "all" {
            "must not be `all`, which is the target of every user."
        } else if name.starts_with('@') {
            "must not begin with `@`, which marks a target."
        } else {
            return Ok(Self(name.into()));
        };
        Err(Invalid {
            field: "name",
            problem: problem.into(),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for UserName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's Slack channel id: 1 to 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Box<str>);

impl Address {
    /// Reads and normalises a channel id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line("channelId", text, 1..=200).map(Self)
    }

    /// The channel id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user's token: 1 to 2048 characters of printable ASCII, the only ones an
/// HTTP header carries unharmed (<https://www.rfc-editor.org/rfc/rfc9110#section-5.5>).
#[derive(Clone, Debug)]
pub struct Token(Secret);

impl Token {
    /// Reads a token. The refusal does not repeat it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |problem: &str| {
            Err(Invalid {
                field: "token",
                problem: problem.into(),
            })
        };
        if !(1..=2048).contains(&text.chars().count()) {
            return refuse("must be 1 to 2048 characters long.");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("must be printable ASCII without spaces.");
        }
        Ok(Self(Secret::new(text)))
    }

    /// The token as a secret.
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_four_letter_hangul_name_is_a_users_name() {
        assert_eq!(UserName::parse("장애알림").unwrap().as_str(), "장애알림");
    }

    #[test]
    fn names_that_targets_are_made_of_are_refused() {
        for text in ["all", "@ann", "@@ann", "", &"x".repeat(31)] {
            assert!(UserName::parse(text).is_err(), "{text:?}");
        }
        assert!(
            UserName::parse("All").is_ok(),
            "names are compared with case"
        );
    }

    #[test]
    fn a_refused_token_is_not_repeated_in_the_refusal() {
        let error = Token::parse("xoxb secret").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
