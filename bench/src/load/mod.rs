//! Who posts, and who receives. A thread each with one small runtime, so that they take as
//! little of the machine as can be: what they use is the subject's loss.

mod closed;
mod http;
mod open;
mod receiver;

use std::time::Duration;

use hdrhistogram::Histogram;

pub(crate) use closed::{closed, closed_until_drained};
pub(crate) use http::post_request;
pub(crate) use open::open;
pub(crate) use receiver::Receiver;

/// What became of some requests.
#[derive(Debug)]
pub(crate) struct Load {
    /// Answered 2xx.
    pub(crate) accepted: u64,
    /// Answered otherwise, or not.
    pub(crate) refused: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// Processor time of whoever posted.
    pub(crate) cpu: Duration,
    /// How long the answers took, in microseconds.
    pub(crate) times: Histogram<u64>,
}

impl Load {
    fn new() -> Self {
        Self {
            accepted: 0,
            refused: 0,
            took: Duration::ZERO,
            cpu: Duration::ZERO,
            times: times(),
        }
    }

    /// Accepted ones a second.
    pub(crate) fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64()
    }
}

/// The longest time that is told apart from longer ones, in microseconds: two minutes.
const LONGEST: u64 = 120_000_000;

/// For times in microseconds, to three digits.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("three digits are possible")
}

/// A time as a histogram has it.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Processor time that this thread has used.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_stays_long() {
        let mut all = times();
        all.saturating_record(micros(Duration::from_secs(7)));
        all.saturating_record(micros(Duration::from_secs(700)));
        assert!(all.min() > 6_990_000);
        assert!(all.max() >= LONGEST);
    }
}
