//! A notification group: users who are told together.

use std::{borrow::Borrow, fmt, sync::Arc};

use common::{GroupId, UtcMillis};

use super::text::{Invalid, line};

/// A notification group as the directory knows it; who is in it, the
/// [`Directory`](super::Directory) tells.
#[derive(Clone, Debug)]
pub struct Group {
    /// Never changes.
    pub id: GroupId,
    /// Unique among groups.
    pub name: GroupName,
    /// What it is for.
    pub desc: Description,
    /// When it was created.
    pub created_at: UtcMillis,
    /// When it was last changed, its members apart.
    pub updated_at: UtcMillis,
}

/// A group's name: 5 to 30 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(Arc<str>);

impl GroupName {
    /// Reads and normalises a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line("name", text, 5..=30).map(|name| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for GroupName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a group is for: 5 to 200 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Box<str>);

impl Description {
    /// Reads and normalises a description.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        line("desc", text, 5..=200).map(Self)
    }

    /// The description.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hangul_letters_are_a_groups_name_and_four_are_not() {
        assert!(GroupName::parse("장애알림방").is_ok());
        assert!(GroupName::parse("장애알림").is_err());
    }

    #[test]
    fn a_description_has_5_to_200_characters() {
        for (length, fits) in [(4, false), (5, true), (200, true), (201, false)] {
            assert_eq!(
                Description::parse(&"x".repeat(length)).is_ok(),
                fits,
                "{length}"
            );
        }
    }
}
