//! Whom an alert names.

use super::{
    GroupName, UserName,
    text::{Invalid, normalise},
};

/// One entry of an alert's `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `@all`: every user.
    All,
    /// `@name`: a user.
    User(&'a str),
    /// `@@name`: a group's users.
    Group(&'a str),
    /// No `@`: it matches nobody.
    Unmarked,
}

impl<'a> Target<'a> {
    /// Reads a target that is normalised already. Every text is a target; one
    /// that is nobody's name matches nobody.
    pub fn parse(text: &'a str) -> Self {
        match text.strip_prefix('@') {
            None => Target::Unmarked,
            Some("all") => Target::All,
            Some(rest) => match rest.strip_prefix('@') {
                Some(group) => Target::Group(group),
                None => Target::User(rest),
            },
        }
    }
}

/// Who is told that telling failed: one well-formed target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsTarget(Box<str>);

impl OpsTarget {
    /// Reads `@user`, `@@group` or `@all`. Whether anybody has the name is found out
    /// when somebody is to be told, since names come and go.
    ///
    /// # Errors
    /// [`Invalid`] for what no alert could reach anybody by.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = normalise(text);
        let named = match Target::parse(&text) {
            Target::All => Ok(()),
            Target::User(name) => UserName::parse(name).map(drop),
            Target::Group(name) => GroupName::parse(name).map(drop),
            Target::Unmarked => Err(Invalid {
                field: "target",
                problem: "must be @user, @@group or @all.".into(),
            }),
        };
        named.map(|()| Self(text.into()))
    }

    /// The target as alerts name it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_that_telling_failed_is_a_user_a_group_or_everybody() {
        for target in ["@ann", "@@admins", "@all", "@당직자", "@@장애알림방"] {
            assert_eq!(OpsTarget::parse(target).unwrap().as_str(), target);
        }
        let decomposed: String =
            unicode_normalization::UnicodeNormalization::nfd("@당직자").collect();
        assert_eq!(OpsTarget::parse(&decomposed).unwrap().as_str(), "@당직자");
        let long = format!("@{}", "x".repeat(31));
        for wrong in [
            "", "ann", "@", "@@", "@@few", "@ ann", "@ann ", "@a\nb", "@@@ann", &long,
        ] {
            assert!(OpsTarget::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_marks_tell_users_groups_and_everybody_apart() {
        assert_eq!(Target::parse("@all"), Target::All);
        assert_eq!(Target::parse("@ann"), Target::User("ann"));
        assert_eq!(Target::parse("@@admins"), Target::Group("admins"));
        assert_eq!(Target::parse("@@all"), Target::Group("all"));
        assert_eq!(Target::parse("ann"), Target::Unmarked);
        assert_eq!(Target::parse("@ALL"), Target::User("ALL"));
    }
}
