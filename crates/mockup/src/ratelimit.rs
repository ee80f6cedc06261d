//! A token bucket per channel.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// From how many channels on full buckets are looked for and dropped.
const FIRST_PRUNING: usize = 1024;

/// How fast a channel may be written to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RateLimit {
    /// Messages a second in the long run. More than 0.
    pub(crate) per_second: f64,
    /// Messages at once after a pause. At least 1.
    pub(crate) burst: u32,
}

/// The buckets of all channels.
///
/// A bucket is one number, the time at which it will be full again (the generic
/// cell rate algorithm). A full bucket is as good as none, so memory holds only
/// the channels written to within the last `burst / per_second` seconds.
pub(crate) struct Buckets {
    start: Instant,
    full_at: HashMap<Box<str>, u64>,
    prune_at: usize,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            full_at: HashMap::new(),
            prune_at: FIRST_PRUNING,
        }
    }

    /// Takes a token out of the channel's bucket, or says how long it stays
    /// empty.
    pub(crate) fn take(
        &mut self,
        channel: &str,
        limit: RateLimit,
        now: Instant,
    ) -> Result<(), Duration> {
        let now = nanos(now.saturating_duration_since(self.start));
        let interval =
            nanos(Duration::try_from_secs_f64(1.0 / limit.per_second).unwrap_or(Duration::MAX));
        let depth = interval.saturating_mul(u64::from(limit.burst.saturating_sub(1)));

        let full_at = self.full_at.get(channel).copied().unwrap_or(0).max(now);
        if full_at - now > depth {
            return Err(Duration::from_nanos(full_at - now - depth));
        }
        let full_at = full_at.saturating_add(interval);
        if let Some(known) = self.full_at.get_mut(channel) {
            *known = full_at;
        } else {
            self.prune(now);
            self.full_at.insert(channel.into(), full_at);
        }
        Ok(())
    }

    /// Fills every bucket.
    pub(crate) fn clear(&mut self) {
        self.full_at.clear();
        self.prune_at = FIRST_PRUNING;
    }

    fn prune(&mut self, now: u64) {
        if self.full_at.len() >= self.prune_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            // Twice what is left, so that the cost a message stays constant.
            self.prune_at = FIRST_PRUNING.max(2 * self.full_at.len());
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_A_SECOND: RateLimit = RateLimit {
        per_second: 2.0,
        burst: 3,
    };

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_nothing() {
        let mut buckets = Buckets::new();
        let now = buckets.start;
        for _ in 0..3 {
            assert_eq!(buckets.take("C1", TWO_A_SECOND, now), Ok(()));
        }
        assert_eq!(buckets.take("C1", TWO_A_SECOND, now), Err(millis(500)));
    }

    #[test]
    fn an_empty_bucket_refills_at_the_rate() {
        let mut buckets = Buckets::new();
        let now = buckets.start;
        for _ in 0..3 {
            assert_eq!(buckets.take("C1", TWO_A_SECOND, now), Ok(()));
        }
        let almost = now + millis(499);
        assert_eq!(buckets.take("C1", TWO_A_SECOND, almost), Err(millis(1)));
        let later = now + millis(500);
        assert_eq!(buckets.take("C1", TWO_A_SECOND, later), Ok(()));
        assert_eq!(buckets.take("C1", TWO_A_SECOND, later), Err(millis(500)));
    }

    #[test]
    fn a_long_pause_saves_up_no_more_than_the_burst() {
        let mut buckets = Buckets::new();
        let later = buckets.start + Duration::from_secs(3600);
        for _ in 0..3 {
            assert_eq!(buckets.take("C1", TWO_A_SECOND, later), Ok(()));
        }
        assert!(buckets.take("C1", TWO_A_SECOND, later).is_err());
    }

    #[test]
    fn each_channel_has_a_bucket_of_its_own() {
        let mut buckets = Buckets::new();
        let now = buckets.start;
        for _ in 0..3 {
            assert_eq!(buckets.take("C1", TWO_A_SECOND, now), Ok(()));
        }
        assert!(buckets.take("C1", TWO_A_SECOND, now).is_err());
        assert_eq!(buckets.take("C2", TWO_A_SECOND, now), Ok(()));
    }

    #[test]
    fn full_buckets_are_dropped_and_the_others_kept() {
        let mut buckets = Buckets::new();
        let slow = RateLimit {
            per_second: 0.001,
            burst: 1,
        };
        assert_eq!(buckets.take("slow", slow, buckets.start), Ok(()));
        for turn in 0..10 * FIRST_PRUNING as u64 {
            let now = buckets.start + Duration::from_millis(50 * turn);
            assert_eq!(buckets.take(&format!("C{turn}"), TWO_A_SECOND, now), Ok(()));
            assert!(buckets.full_at.len() <= FIRST_PRUNING);
        }
        let now = buckets.start + Duration::from_secs(999);
        assert_eq!(buckets.take("slow", slow, now), Err(Duration::from_secs(1)));
    }
}
