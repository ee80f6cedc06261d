//! Time, as a thing that is told: the engine and the use cases never ask the
//! system for it themselves.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z: the form of every durable time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// This time moved on by `span`; stays at the end of time where it would pass it.
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long it is from `earlier` to this time; zero where `earlier` is later.
    pub fn since(self, earlier: UtcMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One reading of both clocks.
///
/// `mono` runs evenly and counts waits inside the process; `utc` can jump either
/// way and is only for what is stored or shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the process's own start.
    pub mono: Duration,
    /// Wall-clock time.
    pub utc: UtcMillis,
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic side begins at zero now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        // A wall clock before 1970 is a broken one; zero keeps waits finite.
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: self.start.elapsed(),
            utc: UtcMillis(i64::try_from(utc.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_between_times_in_the_wrong_order_is_zero() {
        assert_eq!(UtcMillis(5).since(UtcMillis(9)), Duration::ZERO);
        assert_eq!(UtcMillis(9).since(UtcMillis(5)), Duration::from_millis(4));
    }
}
