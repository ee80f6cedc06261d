//! Processor time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tests::{figures::machine::cpu_time, harness::Process};

/// What this thread or this process has used.
pub(crate) fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// What another process uses from now on.
pub(crate) struct Meter {
    id: u32,
    before: Duration,
}

impl Meter {
    pub(crate) fn of(process: &Process) -> Self {
        let id = process.id();
        Self {
            id,
            before: cpu_time(id),
        }
    }

    pub(crate) fn used(&self) -> Duration {
        cpu_time(self.id) - self.before
    }
}
