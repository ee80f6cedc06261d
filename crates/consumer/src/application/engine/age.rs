//! How old deliveries are, although the wall clock may jump.

use std::{collections::BTreeMap, time::Duration};

use common::{Now, UtcMillis};

/// Forward steps below this are the clock being slewed, not set.
const STEP: i64 = 1000;

/// Watches the wall clock against the monotonic one.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    /// Wall clock minus monotonic clock at the last look, in milliseconds.
    offset: Option<i64>,
    /// By how much the wall clock was set forward while this process watched.
    forward: Duration,
    /// The first look, in monotonic time.
    began: Option<Duration>,
}

impl ClockWatch {
    /// Looks at both clocks.
    pub(super) fn look(&mut self, now: Now) {
        self.began.get_or_insert(now.mono);
        let mono = i64::try_from(now.mono.as_millis()).unwrap_or(i64::MAX);
        let offset = now.utc.0.saturating_sub(mono);
        let step = offset.saturating_sub(*self.offset.get_or_insert(offset));
        if step >= STEP {
            self.forward += Duration::from_millis(step.unsigned_abs());
        }
        self.offset = Some(offset);
    }

    /// When this process began, in monotonic time.
    pub(super) fn began(&self) -> Duration {
        self.began.unwrap_or_default()
    }

    /// How old something accepted then is at least: time that only a clock which
    /// was set forward has seen does not count.
    pub(super) fn age(&self, accepted_at: UtcMillis, now: Now) -> Duration {
        now.utc.since(accepted_at).saturating_sub(self.forward)
    }
}

/// When the deliveries in memory were accepted, by the second.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<i64, u32>);

impl Ages {
    /// Counts one in.
    pub(super) fn add(&mut self, accepted_at: UtcMillis) {
        *self.0.entry(second(accepted_at)).or_default() += 1;
    }

    /// Counts one out that was counted in.
    pub(super) fn remove(&mut self, accepted_at: UtcMillis) {
        if let Some(count) = self.0.get_mut(&second(accepted_at)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&second(accepted_at));
            }
        }
    }

    /// When the oldest was accepted, to the second; `None` where there is none.
    pub(super) fn oldest(&self) -> Option<UtcMillis> {
        self.0
            .keys()
            .next()
            .map(|second| UtcMillis(second.saturating_mul(1000)))
    }
}

fn second(at: UtcMillis) -> i64 {
    at.0.div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono: u64, utc: i64) -> Now {
        Now {
            mono: Duration::from_secs(mono),
            utc: UtcMillis(utc * 1000),
        }
    }

    #[test]
    fn a_clock_set_forward_makes_nothing_older() {
        let mut watch = ClockWatch::default();
        watch.look(at(0, 1000));
        watch.look(at(10, 1010));
        watch.look(at(11, 100_000));
        assert_eq!(
            watch.age(UtcMillis(1_000_000), at(11, 100_000)),
            Duration::from_secs(11)
        );
    }

    #[test]
    fn a_clock_set_back_makes_nothing_younger_than_new() {
        let mut watch = ClockWatch::default();
        watch.look(at(0, 1000));
        watch.look(at(1, 10));
        assert_eq!(watch.age(UtcMillis(1_000_000), at(1, 10)), Duration::ZERO);
    }

    #[test]
    fn a_delivery_accepted_by_an_earlier_run_is_as_old_as_the_clock_says() {
        let mut watch = ClockWatch::default();
        watch.look(at(0, 5000));
        assert_eq!(
            watch.age(UtcMillis(1_000_000), at(0, 5000)),
            Duration::from_secs(4000)
        );
    }

    #[test]
    fn the_oldest_is_the_oldest_that_is_still_there() {
        let mut ages = Ages::default();
        ages.add(UtcMillis(5500));
        ages.add(UtcMillis(5600));
        ages.add(UtcMillis(9000));
        ages.remove(UtcMillis(5500));
        assert_eq!(ages.oldest(), Some(UtcMillis(5000)));
        ages.remove(UtcMillis(5600));
        assert_eq!(ages.oldest(), Some(UtcMillis(9000)));
        ages.remove(UtcMillis(9000));
        assert_eq!(ages.oldest(), None);
    }
}
