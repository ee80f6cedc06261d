//! A breaker: what keeps many lanes from failing one by one of the same cause.
//!
//! Closed, everything passes. Open, nothing does, until a time that moves further
//! away with each failure. Then it is half-open: one request, the probe, goes;
//! its answer closes the breaker or opens it again.

use std::{collections::VecDeque, time::Duration};

use common::{DestinationId, status::BreakerState};

/// Distinct lanes that a [`Tally`] remembers.
const REMEMBERED: usize = 32;

/// How long a lane's last answer counts as lately.
const LATELY: Duration = Duration::from_secs(300);

/// Lanes that must fail before their common host or credential is blamed.
const SEVERAL: usize = 5;

/// A breaker, closed at first.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// Failures in a row since it was last closed.
    failures: u32,
    /// What was said last.
    error: Box<str>,
    /// When it was opened, in monotonic time.
    opened_at: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    Open {
        until: Duration,
    },
    HalfOpen {
        probing: bool,
    },
}

impl Breaker {
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether a request may go now.
    pub(super) fn admits(&self) -> bool {
        matches!(
            self.state,
            State::Closed | State::HalfOpen { probing: false }
        )
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Failures in a row since it was last closed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// What made it open, said last.
    pub(super) fn error(&self) -> &str {
        &self.error
    }

    /// When it lets a probe through; `None` unless it is open.
    pub(super) fn opens_at(&self) -> Option<Duration> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Counts a failure and answers how many in a row there are now.
    pub(super) fn fail(&mut self, error: &str) -> u32 {
        self.failures = self.failures.saturating_add(1);
        if *self.error != *error {
            self.error = error.into();
        }
        self.failures
    }

    /// Lets nothing pass before `until`.
    pub(super) fn open(&mut self, now: Duration, until: Duration) {
        if self.is_closed() {
            self.opened_at = now;
        }
        self.state = State::Open { until };
    }

    /// Brings the probe forward to `until` at the latest.
    pub(super) fn cut(&mut self, latest: Duration) {
        if let State::Open { until } = &mut self.state {
            *until = (*until).min(latest);
        }
    }

    /// Becomes half-open if its time has come; answers whether it became so.
    pub(super) fn ripen(&mut self, now: Duration) -> bool {
        match self.state {
            State::Open { until } if until <= now => {
                self.state = State::HalfOpen { probing: false };
                true
            }
            _ => false,
        }
    }

    /// A request goes: if the breaker is half-open it is the probe.
    pub(super) fn begin(&mut self) {
        if let State::HalfOpen { probing } = &mut self.state {
            *probing = true;
        }
    }

    /// The probe said nothing about whether it works: another one may go.
    pub(super) fn release(&mut self) {
        if let State::HalfOpen { probing } = &mut self.state {
            *probing = false;
        }
    }

    /// It works again. Answers since when it had not been closed.
    pub(super) fn close(&mut self) -> Duration {
        self.state = State::Closed;
        self.failures = 0;
        self.opened_at
    }

    /// Since when it has not been closed: time in which nothing could be tried.
    pub(super) fn opened_at(&self) -> Option<Duration> {
        (!self.is_closed()).then_some(self.opened_at)
    }
}

/// How the lanes that share a host or a credential fared lately, each counted
/// once, by its last answer.
#[derive(Debug, Default)]
pub(super) struct Tally(VecDeque<(DestinationId, Duration, bool)>);

impl Tally {
    /// Takes note of a lane's answer.
    pub(super) fn count(&mut self, lane: DestinationId, now: Duration, failed: bool) {
        self.0
            .retain(|(other, at, _)| *other != lane && *at + LATELY > now);
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((lane, now, failed));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many lanes have answered lately.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether several lanes failed, and at least that share of those tried.
    pub(super) fn blames(&self, numerator: usize, denominator: usize) -> bool {
        let failed = self.0.iter().filter(|(_, _, failed)| *failed).count();
        failed >= SEVERAL && failed * denominator >= self.0.len() * numerator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn failures_in_a_row_are_counted() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.failures(), 0);
        assert_eq!((breaker.fail("a"), breaker.fail("a")), (1, 2));
        assert_eq!(breaker.failures(), 2);
    }

    #[test]
    fn an_open_breaker_lets_one_probe_through_when_its_time_has_come() {
        let mut breaker = Breaker::default();
        assert!(breaker.admits());
        breaker.open(seconds(10), seconds(15));
        assert!(!breaker.admits());
        assert!(!breaker.ripen(seconds(14)));
        assert!(breaker.ripen(seconds(15)));
        assert!(breaker.admits());
        breaker.begin();
        assert!(!breaker.admits());
        breaker.close();
        assert!(breaker.admits());
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn failures_add_up_until_it_closes() {
        let mut breaker = Breaker::default();
        assert_eq!([breaker.fail("a"), breaker.fail("b")], [1, 2]);
        assert_eq!(breaker.error(), "b");
        breaker.close();
        assert_eq!(breaker.fail("a"), 1);
    }

    #[test]
    fn it_counts_as_open_from_its_first_opening_until_it_closes() {
        let mut breaker = Breaker::default();
        breaker.open(seconds(10), seconds(15));
        breaker.ripen(seconds(15));
        breaker.open(seconds(16), seconds(30));
        assert_eq!(breaker.opened_at(), Some(seconds(10)));
        assert_eq!(breaker.close(), seconds(10));
        assert_eq!(breaker.opened_at(), None);
    }

    fn tally(answers: &[(u64, bool)]) -> Tally {
        let mut tally = Tally::default();
        for (lane, failed) in answers {
            tally.count(DestinationId(*lane), seconds(1), *failed);
        }
        tally
    }

    #[test]
    fn one_lane_that_fails_often_is_one_lane() {
        let often: Vec<_> = (0..100).map(|_| (1, true)).collect();
        assert!(!tally(&often).blames(4, 5));
    }

    #[test]
    fn five_failing_lanes_are_several_and_four_are_not() {
        let failing: Vec<_> = (0..5).map(|lane| (lane, true)).collect();
        assert!(!tally(&failing[..4]).blames(4, 5));
        assert!(tally(&failing).blames(4, 5));
    }

    #[test]
    fn four_fifths_of_those_tried_must_fail() {
        let mut answers: Vec<_> = (0..8).map(|lane| (lane, true)).collect();
        answers.extend([(100, false), (101, false)]);
        assert!(tally(&answers).blames(4, 5));
        answers.push((102, false));
        assert!(!tally(&answers).blames(4, 5));
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        let mut tally = tally(&[(1, true), (2, true), (3, true), (4, true)]);
        tally.count(DestinationId(5), seconds(400), true);
        assert!(!tally.blames(4, 5));
    }
}
