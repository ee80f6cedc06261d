//! What the directory keeps of each user.

use std::sync::Arc;

use common::GroupId;

use crate::domain::User;

/// A user, and the groups that they are in. Most are in a few, so those are one list in
/// the order of their ids, written anew with each change: a tree of their own would take
/// more memory than all else of the user.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) user: Arc<User>,
    /// `None` for none.
    groups: Option<Arc<[GroupId]>>,
}

impl Entry {
    /// A user in no group.
    pub(super) fn new(user: Arc<User>) -> Self {
        Self { user, groups: None }
    }

    /// The groups, in the order of their ids.
    pub(super) fn groups(&self) -> &[GroupId] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// Adds a group; one that is there already stays.
    pub(super) fn join(&mut self, group: GroupId) {
        let groups = self.groups();
        if let Err(place) = groups.binary_search(&group) {
            let (before, after) = groups.split_at(place);
            let joined = before.iter().chain([&group]).chain(after);
            self.groups = Some(joined.copied().collect());
        }
    }

    /// Takes a group out, if it is there.
    pub(super) fn leave(&mut self, group: GroupId) {
        let left: Arc<[GroupId]> = self
            .groups()
            .iter()
            .copied()
            .filter(|other| *other != group)
            .collect();
        self.groups = Some(left).filter(|left| !left.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::fixtures::{group_id, user};

    use super::*;

    #[test]
    fn groups_are_kept_in_order_and_each_once() {
        let mut entry = Entry::new(user(1, "ann", "channel1", 1));
        for number in [3, 1, 2, 3] {
            entry.join(group_id(number));
        }
        assert_eq!(entry.groups(), [1, 2, 3].map(group_id));
        entry.leave(group_id(2));
        entry.leave(group_id(9));
        assert_eq!(entry.groups(), [1, 3].map(group_id));
    }

    #[test]
    fn whoever_is_in_no_group_keeps_no_list() {
        let mut entry = Entry::new(user(1, "ann", "channel1", 1));
        entry.join(group_id(1));
        entry.leave(group_id(1));
        assert!(entry.groups.is_none());
    }
}
