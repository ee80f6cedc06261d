//! Whether memory that is full of tails will soon have room.

use std::time::Duration;

/// How long requests are counted before it is said how many there were.
const WINDOW: Duration = Duration::from_millis(100);
/// Full memory is brisk where all of it would be sent within so many windows.
const WINDOWS: usize = 100;
/// Requests in a window, below which nothing is brisk.
const LEAST: usize = 64;

/// How fast the tails of alerts to very many leave memory, where they fill it. While
/// they do so fast, those that follow are better left in the queue, which hands over
/// what is not of a tail before them, than parked on disk: what is parked delays all
/// that follows it in its lane until there is room again.
#[derive(Debug)]
pub(super) struct Turnover {
    least: usize,
    from: Duration,
    begun: usize,
    is_brisk: bool,
}

impl Turnover {
    /// Of a memory of that many deliveries.
    pub(super) fn new(memory_leases: usize) -> Self {
        Self {
            least: (memory_leases / WINDOWS).max(LEAST),
            from: Duration::ZERO,
            begun: 0,
            is_brisk: false,
        }
    }

    /// A delivery of a tail is sent.
    pub(super) fn begin(&mut self, now: Duration) {
        self.look(now);
        self.begun += 1;
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self, now: Duration) {
        if now < self.ends_at() {
            return;
        }
        let is_next = now < self.ends_at() + WINDOW;
        self.is_brisk = is_next && self.begun >= self.least;
        self.from = now;
        self.begun = 0;
    }

    /// Whether they left fast in the last window.
    pub(super) fn is_brisk(&self) -> bool {
        self.is_brisk
    }

    /// Until when that holds, at least.
    pub(super) fn ends_at(&self) -> Duration {
        self.from + WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(turnover: &mut Turnover, count: usize, from: u64, to: u64) {
        for n in 0..count {
            let span = to - from;
            turnover.begin(at(from + span * n as u64 / count as u64));
        }
    }

    #[test]
    fn it_is_brisk_while_each_window_has_its_share_of_memory() {
        let mut turnover = Turnover::new(10_000);
        sent(&mut turnover, 100, 0, 100);
        assert!(!turnover.is_brisk());
        turnover.look(at(100));
        assert!(turnover.is_brisk());
        sent(&mut turnover, 99, 100, 200);
        turnover.look(at(199));
        assert!(turnover.is_brisk());
        turnover.look(at(200));
        assert!(!turnover.is_brisk());
    }

    #[test]
    fn it_is_not_where_nothing_has_been_sent_since() {
        let mut turnover = Turnover::new(10_000);
        sent(&mut turnover, 1000, 0, 100);
        turnover.look(at(100));
        assert!(turnover.is_brisk());
        turnover.look(at(200));
        assert!(!turnover.is_brisk());
        sent(&mut turnover, 1000, 200, 300);
        turnover.look(at(450));
        assert!(!turnover.is_brisk());
    }

    #[test]
    fn a_small_memory_takes_as_many_as_a_middling_one() {
        let mut turnover = Turnover::new(10);
        sent(&mut turnover, 63, 0, 100);
        turnover.look(at(100));
        assert!(!turnover.is_brisk());
        sent(&mut turnover, 64, 100, 200);
        turnover.look(at(200));
        assert!(turnover.is_brisk());
    }
}
