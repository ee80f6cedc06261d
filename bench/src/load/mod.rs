//! Who posts, and who receives. A thread each with one small runtime, so that they take as
//! little of the machine as can be: what they use is the subject's loss.

mod closed;
mod http;
mod open;
mod receiver;

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::time::ClockId;
use tokio::task::LocalSet;

use crate::clock::cpu;

pub(crate) use closed::closed;
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

    /// Counts an answer to what was posted at `since`; whether the connection goes on.
    fn count(&mut self, is_accepted: Option<bool>, since: Instant) -> bool {
        match is_accepted {
            Some(true) => {
                self.accepted += 1;
                self.times.saturating_record(micros(since.elapsed()));
            }
            Some(false) | None => self.refused += 1,
        }
        is_accepted.is_some()
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

/// Runs on this thread what `start` starts, which counts in what it is given.
fn on_this_thread(start: impl FnOnce(&LocalSet, &Rc<RefCell<Load>>)) -> Load {
    let (before, begun) = (cpu(ClockId::ThreadCPUTime), Instant::now());
    let load = Rc::new(RefCell::new(Load::new()));
    let all = LocalSet::new();
    start(&all, &load);
    runtime().block_on(all);
    let mut load = Rc::try_unwrap(load).expect("all have ended").into_inner();
    load.took = begun.elapsed();
    load.cpu = cpu(ClockId::ThreadCPUTime) - before;
    load
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
