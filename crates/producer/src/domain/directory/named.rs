//! Who has a name.

use std::{borrow::Borrow, cmp::Ordering, fmt, ops::Bound, sync::Arc};

use common::{GroupId, UserId};
use imbl::OrdSet;

use crate::domain::{Group, User};

/// What has a name that no other of its kind has.
pub(super) trait Named {
    type Id: PartialEq;

    fn id(&self) -> Self::Id;
    fn name(&self) -> &str;
}

impl Named for User {
    type Id = UserId;

    fn id(&self) -> UserId {
        self.id
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }
}

impl Named for Group {
    type Id = GroupId;

    fn id(&self) -> GroupId {
        self.id
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// All of a kind in the order of their names. One pointer each: a map from names to
/// ids would take four times the memory, and a second search to find whom it names.
pub(super) struct Names<T>(OrdSet<ByName<T>>);

impl<T: Named> Names<T> {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<T>> {
        self.0.get(name).map(|found| &found.0)
    }

    /// Gives the name of `named` to it, whoever has it.
    pub(super) fn give(&mut self, named: Arc<T>) {
        self.0.insert(ByName(named));
    }

    /// Takes the name of `named` from it, unless another has it already.
    pub(super) fn give_up(&mut self, named: &T) {
        if self
            .get(named.name())
            .is_some_and(|owner| owner.id() == named.id())
        {
            self.0.remove(named.name());
        }
    }

    /// From the first name after `after` (the first of all for `None`) that begins with
    /// `prefix`.
    pub(super) fn from<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<T>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.0
            .range::<_, str>((start, Bound::Unbounded))
            .map(|found| &found.0)
            .take_while(move |named| named.name().starts_with(prefix))
    }
}

impl<T> Clone for Names<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(OrdSet::new())
    }
}

impl<T: Named + fmt::Debug> fmt::Debug for Names<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|found| found.0.name());
        f.debug_list().entries(names).finish()
    }
}

/// As its name is ordered.
struct ByName<T>(Arc<T>);

impl<T> Clone for ByName<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Named> Borrow<str> for ByName<T> {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl<T: Named> PartialEq for ByName<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl<T: Named> Eq for ByName<T> {}

impl<T: Named> PartialOrd for ByName<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Named> Ord for ByName<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name().cmp(other.0.name())
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::fixtures::user;

    use super::*;

    #[test]
    fn a_name_leads_to_the_newest_form_of_who_has_it() {
        let mut names = Names::default();
        names.give(user(1, "ann", "channel1", 1));
        names.give(user(1, "ann", "channel2", 1));
        let ann = names.get("ann").unwrap();
        assert_eq!(
            &*ann.destinations.first().destination.address,
            "channel2",
            "{ann:?}"
        );
    }

    #[test]
    fn a_name_that_another_has_by_now_is_not_given_up() {
        let mut names = Names::default();
        let (ann, other) = (user(1, "ann", "channel1", 1), user(2, "ann", "channel2", 2));
        names.give(ann.clone());
        names.give(other.clone());
        names.give_up(&ann);
        assert_eq!(names.get("ann").unwrap().id, other.id);
        names.give_up(&other);
        assert!(names.get("ann").is_none());
    }
}
