//! When a host or a credential could not be used: time that does not count towards
//! giving up what waited for it.

use std::{collections::VecDeque, time::Duration};

/// Spans remembered; the oldest are taken together, in favour of what waited.
const REMEMBERED: usize = 64;

/// Spans of monotonic time, in order.
#[derive(Debug, Default)]
pub(super) struct Outages(VecDeque<(Duration, Duration)>);

impl Outages {
    /// Remembers one that has ended.
    pub(super) fn add(&mut self, from: Duration, to: Duration) {
        self.0.push_back((from, to));
        if self.0.len() > REMEMBERED
            && let Some((from, _)) = self.0.pop_front()
            && let Some(next) = self.0.front_mut()
        {
            next.0 = from;
        }
    }

    /// How much of the time from then on they took.
    pub(super) fn since(&self, from: Duration) -> Duration {
        self.0
            .iter()
            .rev()
            .take_while(|(_, end)| *end > from)
            .map(|(begin, end)| *end - (*begin).max(from))
            .sum()
    }

    /// Whether all ended before then.
    pub(super) fn ended_before(&self, at: Duration) -> bool {
        self.0.back().is_none_or(|(_, end)| *end < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn outages(spans: &[(u64, u64)]) -> Outages {
        let mut outages = Outages::default();
        for (from, to) in spans {
            outages.add(seconds(*from), seconds(*to));
        }
        outages
    }

    #[test]
    fn only_what_lies_after_the_time_asked_for_counts() {
        let outages = outages(&[(10, 20), (40, 70)]);
        assert_eq!(outages.since(seconds(0)), seconds(40));
        assert_eq!(outages.since(seconds(15)), seconds(35));
        assert_eq!(outages.since(seconds(50)), seconds(20));
        assert_eq!(outages.since(seconds(70)), seconds(0));
    }

    #[test]
    fn with_too_many_the_oldest_count_as_one() {
        let spans: Vec<_> = (0..65).map(|n| (10 * n, 10 * n + 1)).collect();
        let outages = outages(&spans);
        assert_eq!(outages.0.len(), 64);
        assert_eq!(outages.since(seconds(0)), seconds(11 + 63));
    }

    #[test]
    fn all_have_ended_once_the_last_has() {
        let outages = outages(&[(10, 20), (40, 70)]);
        assert!(!outages.ended_before(seconds(70)));
        assert!(outages.ended_before(seconds(71)));
    }
}
