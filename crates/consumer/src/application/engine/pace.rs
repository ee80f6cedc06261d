//! The pace of a lane: a token bucket, kept as one point in time.

use std::time::Duration;

use crate::ports::Pace;

/// Minutes without a limit in which a rate grows from nothing to the usual one.
const STEPS: f64 = 10.0;

/// In nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// A token bucket in the form of the generic cell rate algorithm
/// (<https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>): instead of
/// counting tokens it knows when it would be full again. In any span of time it
/// lets through at most the burst and what the rate adds in that span.
///
/// The rate is halved when the destination limits us and grows back by a tenth of
/// the usual one a minute (additive increase, multiplicative decrease).
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// Nanoseconds from one message to the next; 0 for no limit.
    interval: u64,
    /// What that is while the destination does not limit us.
    usual: u64,
    /// When it was last slowed down or sped up, in nanoseconds of monotonic time.
    changed_at: u64,
    /// How far ahead of the even rhythm a burst may run, in nanoseconds.
    tolerance: u64,
    /// When the bucket is full again, in nanoseconds of monotonic time.
    full_at: u64,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(pace: Pace) -> Self {
        // Rounded up, so that the rate is never exceeded; the cast saturates.
        let interval = pace.per_second.map_or(0, |rate| (1e9 / rate).ceil() as u64);
        let tolerance = interval.saturating_mul(u64::from(pace.burst.saturating_sub(1)));
        Self {
            interval,
            usual: interval,
            changed_at: 0,
            tolerance,
            full_at: 0,
        }
    }

    /// Messages a second in the long run; `None` for no limit.
    pub(super) fn per_second(&self) -> Option<f64> {
        (self.interval > 0).then(|| 1e9 / self.interval as f64)
    }

    /// The same, if the next message went now.
    pub(super) fn per_second_at(&self, now: Duration) -> Option<f64> {
        let mut bucket = *self;
        bucket.speed_up(now);
        bucket.per_second()
    }

    /// Messages a second while the destination does not limit us.
    pub(super) fn usual(&self) -> Option<f64> {
        (self.usual > 0).then(|| 1e9 / self.usual as f64)
    }

    /// From when on the next message may go.
    pub(super) fn ready_at(&self) -> Duration {
        Duration::from_nanos(self.full_at.saturating_sub(self.tolerance))
    }

    /// From when on it is as if nothing had ever been sent.
    pub(super) fn full_at(&self) -> Duration {
        if self.interval <= self.usual {
            return Duration::from_nanos(self.full_at);
        }
        let share = self.usual as f64 / self.interval as f64;
        let minutes = ((1.0 - share) * STEPS).ceil() as u64;
        let usual_at = self.changed_at.saturating_add(minutes * MINUTE);
        Duration::from_nanos(self.full_at.max(usual_at))
    }

    /// The destination limits us: half the rate from now on, down to a sixteenth.
    pub(super) fn slow_down(&mut self, now: Duration) {
        self.speed_up(now);
        self.interval = self
            .interval
            .saturating_mul(2)
            .min(self.usual.saturating_mul(16));
        self.changed_at = nanos(now);
    }

    /// A tenth of the usual rate more for each minute without a limit.
    fn speed_up(&mut self, now: Duration) {
        let minutes = nanos(now).saturating_sub(self.changed_at) / MINUTE;
        if self.interval <= self.usual || minutes == 0 {
            return;
        }
        let share = self.usual as f64 / self.interval as f64 + minutes as f64 / STEPS;
        self.interval = if share > 1.0 - 1e-6 {
            self.usual
        } else {
            (self.usual as f64 / share).ceil() as u64
        };
        self.changed_at = self.changed_at.saturating_add(minutes * MINUTE);
    }

    /// Counts a message that goes now.
    pub(super) fn take(&mut self, now: Duration) {
        self.speed_up(now);
        if self.interval > 0 {
            self.full_at = self.full_at.max(nanos(now)).saturating_add(self.interval);
        }
    }

    /// The message that was counted last has been answered. The destination counts it
    /// from its arrival, which was by now at the latest; so do we, since one that
    /// travels faster would else come too early for what the destination allows. That
    /// matters where the bucket was full before, and slows nobody down in the long run.
    pub(super) fn arrived(&mut self, now: Duration) {
        if self.interval > 0 {
            let counted_now = nanos(now).saturating_add(self.interval);
            self.full_at = self.full_at.max(counted_now);
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(per_second: f64, burst: u32) -> Bucket {
        Bucket::new(Pace {
            per_second: Some(per_second),
            burst,
        })
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_message_an_interval() {
        let mut bucket = bucket(1.0, 4);
        let start = Duration::from_secs(100);
        for _ in 0..4 {
            assert!(bucket.ready_at() <= start);
            bucket.take(start);
        }
        assert_eq!(bucket.ready_at(), start + Duration::from_secs(1));
        bucket.take(start + Duration::from_secs(1));
        assert_eq!(bucket.ready_at(), start + Duration::from_secs(2));
    }

    #[test]
    fn what_travelled_slowly_is_counted_from_its_answer() {
        let mut bucket = bucket(1.0, 2);
        let millis = Duration::from_millis;
        bucket.take(millis(100));
        bucket.arrived(millis(130));
        bucket.take(millis(130));
        bucket.arrived(millis(140));
        assert_eq!(bucket.ready_at(), millis(1130));
    }

    #[test]
    fn the_burst_comes_back_as_slowly_as_the_rate() {
        let mut bucket = bucket(2.0, 4);
        for _ in 0..4 {
            bucket.take(Duration::ZERO);
        }
        assert_eq!(bucket.full_at(), Duration::from_secs(2));
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let mut bucket = Bucket::new(Pace {
            per_second: None,
            burst: 1,
        });
        for _ in 0..1000 {
            bucket.take(Duration::from_secs(7));
            assert_eq!(bucket.ready_at(), Duration::ZERO);
        }
        assert_eq!(bucket.full_at(), Duration::ZERO);
    }

    #[test]
    fn a_limit_halves_the_rate_and_each_clean_minute_gives_a_tenth_of_it_back() {
        let mut bucket = bucket(1.0, 4);
        let seconds = Duration::from_secs;
        bucket.slow_down(seconds(100));
        assert_eq!(bucket.per_second(), Some(0.5));
        bucket.take(seconds(159));
        assert_eq!(bucket.per_second(), Some(0.5));
        bucket.take(seconds(160));
        assert!((bucket.per_second().unwrap() - 0.6).abs() < 1e-6);
        bucket.take(seconds(400));
        assert_eq!(bucket.per_second(), Some(1.0));
    }

    #[test]
    fn a_slowed_rate_is_remembered_until_it_would_have_grown_back() {
        let mut bucket = bucket(1.0, 4);
        bucket.slow_down(Duration::from_secs(100));
        assert_eq!(bucket.full_at(), Duration::from_secs(400));
    }

    #[test]
    fn the_rate_goes_down_to_a_sixteenth_and_no_further() {
        let mut bucket = bucket(1.0, 4);
        for _ in 0..20 {
            bucket.slow_down(Duration::from_secs(1));
        }
        assert_eq!(bucket.per_second(), Some(1.0 / 16.0));
    }

    proptest! {
        #[test]
        fn no_span_of_time_sees_more_than_the_burst_and_what_the_rate_adds(
            rate in 0.1f64..1000.0,
            burst in 1u32..20,
            pauses in prop::collection::vec(0u64..3_000_000_000, 1..60),
        ) {
            let mut bucket = bucket(rate, burst);
            let mut now = Duration::ZERO;
            let mut sent = Vec::new();
            for pause in pauses {
                // A sender who tries after a pause and goes as soon as it may.
                now = (now + Duration::from_nanos(pause)).max(bucket.ready_at());
                bucket.take(now);
                sent.push(now);
            }
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let allowed = f64::from(burst) + rate * (*to - *from).as_secs_f64();
                    prop_assert!((last - first + 1) as f64 <= allowed + 1e-6);
                }
            }
        }

        #[test]
        fn a_destination_of_that_pace_never_has_to_refuse_however_long_messages_travel(
            rate in 0.1f64..1000.0,
            burst in 1u32..20,
            steps in prop::collection::vec(
                (0u64..3_000_000_000, 0u64..200_000_000, 0u64..200_000_000),
                1..60,
            ),
        ) {
            let (mut bucket, mut theirs) = (bucket(rate, burst), bucket(rate, burst));
            let mut now = Duration::ZERO;
            for (pause, there, back) in steps {
                now = (now + Duration::from_nanos(pause)).max(bucket.ready_at());
                bucket.take(now);
                now += Duration::from_nanos(there);
                prop_assert!(theirs.ready_at() <= now);
                theirs.take(now);
                now += Duration::from_nanos(back);
                bucket.arrived(now);
            }
        }

        #[test]
        fn a_sender_is_never_made_to_wait_longer_than_one_interval(
            rate in 0.1f64..1000.0,
            burst in 1u32..20,
            pauses in prop::collection::vec(0u64..3_000_000_000, 1..60),
        ) {
            let mut bucket = bucket(rate, burst);
            let mut now = Duration::ZERO;
            for pause in pauses {
                now = (now + Duration::from_nanos(pause)).max(bucket.ready_at());
                bucket.take(now);
                let wait = bucket.ready_at().saturating_sub(now);
                prop_assert!(wait.as_secs_f64() <= 1.0 / rate + 1e-6);
            }
        }
    }
}
