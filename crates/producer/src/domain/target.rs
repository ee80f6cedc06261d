//! Whom an alert names.

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

#[cfg(test)]
mod tests {
    use super::*;

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
