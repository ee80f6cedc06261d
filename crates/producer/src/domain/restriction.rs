//! Tokens whose alerts may be for some groups alone.

use common::GroupId;

use super::{Directory, Target};

/// A target that a restricted token may not name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This API token may only target {allowed}, and not {target}.")]
pub struct ForbiddenTarget {
    /// The target as it was named.
    pub target: String,
    /// What it may target, in words.
    pub allowed: String,
}

/// Whether each of `targets`, normalised, is one of `groups`.
///
/// # Errors
/// The first that is not, be it somebody's name or nobody's: what is not allowed is refused
/// whether or not it exists, so that a restricted token finds no names out.
pub fn check_targets(
    directory: &Directory,
    targets: &[Box<str>],
    groups: &[GroupId],
) -> Result<(), ForbiddenTarget> {
    let is_allowed = |text: &str| match Target::parse(text) {
        Target::Group(name) => directory
            .group_named(name)
            .is_some_and(|group| groups.contains(&group.id)),
        Target::All | Target::User(_) | Target::Unmarked => false,
    };
    match targets.iter().find(|text| !is_allowed(text)) {
        None => Ok(()),
        Some(target) => Err(ForbiddenTarget {
            target: target.to_string(),
            allowed: allowed(directory, groups),
        }),
    }
}

fn allowed(directory: &Directory, groups: &[GroupId]) -> String {
    let names: Vec<_> = groups
        .iter()
        .filter_map(|id| directory.group(*id))
        .map(|group| format!("@@{}", group.name))
        .collect();
    match names.is_empty() {
        true => "groups that no longer exist".into(),
        false => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixtures::{group_id, two_users};

    fn check(targets: &[&str], groups: &[u128]) -> Result<(), ForbiddenTarget> {
        let targets: Vec<Box<str>> = targets.iter().map(|text| (*text).into()).collect();
        let groups: Vec<_> = groups.iter().map(|n| group_id(*n)).collect();
        check_targets(&two_users(), &targets, &groups)
    }

    #[test]
    fn a_restricted_token_may_target_its_groups() {
        assert_eq!(check(&["@@everyone", "@@admins"], &[1, 2]), Ok(()));
    }

    #[test]
    fn a_restricted_token_may_target_nothing_else() {
        for target in ["@all", "@ann", "@@admins", "@@unknown", "everyone", "@@all"] {
            let refused = check(&["@@everyone", target], &[1]).unwrap_err();
            assert_eq!(refused.target, target);
            assert_eq!(
                refused.to_string(),
                format!("This API token may only target @@everyone, and not {target}.")
            );
        }
    }

    #[test]
    fn a_restriction_to_a_group_that_is_gone_allows_nothing() {
        let refused = check(&["@@everyone"], &[9]).unwrap_err();
        assert_eq!(refused.allowed, "groups that no longer exist");
    }
}
