//! How long to wait after a failure: exponential, with full jitter
//! (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).

use std::time::Duration;

use rand::{Rng, RngExt};

/// Draws waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// The first wait is drawn from zero to `base`, none is longer than `cap`.
    pub(super) fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap }
    }

    /// The wait after that many failures in a row (at least 1): anything from
    /// zero to a ceiling that doubles each time.
    pub(super) fn draw(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let ceiling = u64::try_from(self.ceiling(failures).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(rng.random_range(0..=ceiling))
    }

    /// As [`draw`](Self::draw), with another cap.
    pub(super) fn draw_capped(&self, failures: u32, cap: Duration, rng: &mut impl Rng) -> Duration {
        let capped = Self {
            cap: self.cap.min(cap),
            ..*self
        };
        capped.draw(failures, rng)
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(600),
    };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let seconds = |failures| BACKOFF.ceiling(failures).as_secs();
        assert_eq!([1, 2, 3, 4, 10].map(seconds), [1, 2, 4, 8, 512]);
        assert_eq!([11, 32, 33, u32::MAX].map(seconds), [600; 4]);
    }

    #[test]
    fn the_jitter_uses_the_whole_span() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let draws: Vec<_> = (0..1000)
            .map(|_| BACKOFF.draw(4, &mut rng).as_secs_f64())
            .collect();
        assert!(draws.iter().any(|wait| *wait < 0.5));
        assert!(draws.iter().any(|wait| *wait > 7.5));
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_its_ceiling(failures: u32, seed: u64) {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            prop_assert!(BACKOFF.draw(failures, &mut rng) <= BACKOFF.ceiling(failures));
        }
    }
}
