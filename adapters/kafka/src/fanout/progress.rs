//! How far the fan-out has come.

use std::collections::VecDeque;

/// Which alerts have all their deliveries acknowledged. What it
/// [commits](Self::committable) is never past one that has not.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What was read is needed again from that offset on, for what is not complete.
    needed: u64,
    /// Alerts with deliveries that are not acknowledged, in the order of the log.
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    sequence: u64,
    /// The offset of its first chunk, or its sequence.
    first: u64,
    /// How many of its deliveries are not acknowledged.
    left: usize,
}

impl Progress {
    /// Begins at that offset.
    pub(super) fn from(needed: u64) -> Self {
        Self {
            needed,
            open: VecDeque::new(),
        }
    }

    /// Everything before `needed` was read and is complete.
    pub(super) fn read_to(&mut self, needed: u64) {
        self.needed = needed;
    }

    /// The alert at `sequence`, later than all before, which began at `first`, has that
    /// many deliveries.
    pub(super) fn begin(&mut self, sequence: u64, first: u64, deliveries: usize) {
        if deliveries > 0 {
            self.open.push_back(Open {
                sequence,
                first,
                left: deliveries,
            });
        }
    }

    /// One of the deliveries of the alert at `sequence` is acknowledged.
    pub(super) fn acknowledged(&mut self, sequence: u64) {
        let index = self
            .open
            .binary_search_by_key(&sequence, |open| open.sequence);
        if let Ok(index) = index {
            self.open[index].left = self.open[index].left.saturating_sub(1);
        }
        while self.open.front().is_some_and(|open| open.left == 0) {
            self.open.pop_front();
        }
    }

    /// The offset to commit: whoever begins there publishes everything that is not
    /// acknowledged.
    pub(super) fn committable(&self) -> u64 {
        let open = self.open.iter().filter(|open| open.left > 0);
        let first = open.map(|open| open.first).min();
        first.map_or(self.needed, |first| first.min(self.needed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_alert_counts_when_all_before_it_and_all_its_deliveries_are_acknowledged() {
        let mut progress = Progress::from(5);
        progress.begin(5, 5, 2);
        progress.begin(6, 6, 0);
        progress.begin(7, 7, 1);
        progress.read_to(8);
        progress.acknowledged(7);
        progress.acknowledged(5);
        assert_eq!(progress.committable(), 5);
        progress.acknowledged(5);
        assert_eq!(progress.committable(), 8);
    }

    #[test]
    fn the_chunks_of_an_alert_are_needed_until_its_deliveries_are_acknowledged() {
        let mut progress = Progress::from(5);
        // Chunks at 5 and 8, and an alert at 6.
        progress.begin(6, 6, 1);
        progress.read_to(5);
        progress.acknowledged(6);
        assert_eq!(progress.committable(), 5);
        progress.begin(8, 5, 1);
        progress.read_to(9);
        assert_eq!(progress.committable(), 5);
        progress.acknowledged(8);
        assert_eq!(progress.committable(), 9);
    }

    proptest! {
        #[test]
        fn nothing_is_committed_past_what_is_not_acknowledged(
            counts in prop::collection::vec(0..4_usize, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        ) {
            let mut progress = Progress::from(0);
            let mut left = Vec::new();
            for (sequence, count) in counts.iter().enumerate() {
                progress.begin(sequence as u64, sequence as u64, *count);
                left.extend(std::iter::repeat_n(sequence as u64, *count));
            }
            let end = counts.len() as u64;
            progress.read_to(end);
            for index in order {
                if left.is_empty() {
                    break;
                }
                progress.acknowledged(left.swap_remove(index.index(left.len())));
                let lowest = left.iter().min().copied().unwrap_or(end);
                prop_assert!(progress.committable() <= lowest);
            }
            for sequence in left {
                progress.acknowledged(sequence);
            }
            prop_assert_eq!(progress.committable(), end);
        }
    }
}
