//! Times and what is said of them.

use std::time::Duration;

/// Some times.
#[derive(Clone, Debug)]
pub struct Times(Vec<Duration>);

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Times {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one, in milliseconds, as text.
    pub fn median(&self) -> String {
        self.at(0.5)
    }

    /// What 99 of 100 are not above, as text.
    pub fn p99(&self) -> String {
        self.at(0.99)
    }

    /// What 99 of 100 are not above, in milliseconds.
    pub fn p99_ms(&self) -> f64 {
        self.share(0.99).unwrap_or_default().as_secs_f64() * 1000.0
    }

    /// The longest, as text.
    pub fn slowest(&self) -> String {
        self.at(1.0)
    }

    fn at(&self, share: f64) -> String {
        self.share(share).map_or("none".into(), ms)
    }

    /// The smallest that so large a share of all is not above.
    fn share(&self, share: f64) -> Option<Duration> {
        let place = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(place.saturating_sub(1)).copied()
    }
}

/// A time in milliseconds, as text.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

/// The middle one of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
