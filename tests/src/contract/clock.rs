//! A clock that stands still until it is moved.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use common::{Clock, Now, UtcMillis};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// The time at which it begins: 2026-11-23.
    pub const BEGINNING: UtcMillis = UtcMillis(1_795_392_000_000);

    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn set_back(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap();
        self.0.fetch_sub(millis, Ordering::SeqCst);
    }

    pub fn utc(&self) -> UtcMillis {
        UtcMillis(Self::BEGINNING.0 + self.0.load(Ordering::SeqCst))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self(AtomicI64::new(0))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        let passed = self.0.load(Ordering::SeqCst);
        Now {
            mono: Duration::from_millis(passed.unsigned_abs()),
            utc: self.utc(),
        }
    }
}
