//! Which alerts were seen lately.

use std::collections::{HashMap, VecDeque};

use common::AlertId;

/// How many offsets before it an alert's id is looked for.
pub const WINDOW: u64 = 100_000;

/// The ids of the alerts that ended within the last [`WINDOW`] offsets: 6 MB at most.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: HashMap<AlertId, u64>,
    order: VecDeque<(u64, AlertId)>,
}

impl Seen {
    /// Whether an alert with that id ended within the window before `offset`. From now on
    /// one has, at `offset`. Offsets only grow.
    pub(super) fn is_repetition(&mut self, id: AlertId, offset: u64) -> bool {
        self.forget_before(offset.saturating_sub(WINDOW));
        self.order.push_back((offset, id));
        self.last.insert(id, offset).is_some()
    }

    fn forget_before(&mut self, oldest: u64) {
        while let Some((offset, id)) = self.order.front().copied()
            && offset < oldest
        {
            self.order.pop_front();
            // It may have ended again since.
            if self.last.get(&id) == Some(&offset) {
                self.last.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(n: u128) -> AlertId {
        AlertId(Uuid::from_u128(n))
    }

    #[test]
    fn an_id_is_a_repetition_within_the_window_and_not_after_it() {
        let mut seen = Seen::default();
        assert!(!seen.is_repetition(id(1), 10));
        assert!(!seen.is_repetition(id(2), 11));
        assert!(seen.is_repetition(id(1), 10 + WINDOW));
        assert!(!seen.is_repetition(id(2), 12 + WINDOW));
    }

    #[test]
    fn a_repetition_counts_for_the_next_one() {
        let mut seen = Seen::default();
        assert!(!seen.is_repetition(id(1), 0));
        assert!(seen.is_repetition(id(1), WINDOW));
        assert!(seen.is_repetition(id(1), 2 * WINDOW));
        assert!(!seen.is_repetition(id(1), 3 * WINDOW + 1));
    }

    #[test]
    fn no_more_is_remembered_than_the_window_holds() {
        let mut seen = Seen::default();
        for offset in 0..3 * WINDOW {
            seen.is_repetition(id(u128::from(offset)), offset);
        }
        assert_eq!(seen.order.len() as u64, WINDOW + 1);
        assert_eq!(seen.last.len(), seen.order.len());
    }
}
