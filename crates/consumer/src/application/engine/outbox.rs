//! Outcomes that are decided, on their way to the disk.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::domain::{Attempt, Lease, Outcome, Settlement};

use super::{event::Action, held::Held};

/// Settlements in the order in which they were decided, and how far the disk has
/// followed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<(Settlement, Arc<Lease>)>,
    decided: u64,
    recorded: u64,
    unrecorded_attempts: usize,
    now: Duration,
    /// Since when the oldest attempt has been waiting to be recorded, or when some were
    /// recorded last, where that is later.
    recorded_at: Duration,
}

impl Outbox {
    /// Looks at the clock.
    pub(super) fn look(&mut self, now: Duration) {
        self.now = now;
    }

    /// Decides an outcome.
    pub(super) fn settle(&mut self, held: &Held, attempt: Option<Attempt>, outcome: Outcome) {
        self.decided += 1;
        if self.unrecorded_attempts == 0 {
            self.recorded_at = self.now;
        }
        self.unrecorded_attempts += usize::from(attempt.is_some());
        let settlement = Settlement {
            lease: held.key(),
            attempt,
            parts_sent: held.parts_sent,
            outcome,
        };
        self.waiting
            .push_back((settlement, Arc::clone(&held.lease)));
    }

    /// The next settlement to record.
    pub(super) fn next(&mut self) -> Option<Action> {
        let (settlement, lease) = self.waiting.pop_front()?;
        Some(Action::Settle { settlement, lease })
    }

    /// The oldest ones are recorded.
    pub(super) fn recorded(&mut self, settlements: usize, attempts: usize) {
        self.recorded += settlements as u64;
        self.unrecorded_attempts = self.unrecorded_attempts.saturating_sub(attempts);
        self.recorded_at = self.now;
    }

    /// How many were decided so far.
    pub(super) fn decided(&self) -> u64 {
        self.decided
    }

    /// How many of them are recorded.
    pub(super) fn recorded_so_far(&self) -> u64 {
        self.recorded
    }

    /// Not yet recorded, with an attempt.
    pub(super) fn unrecorded_attempts(&self) -> usize {
        self.unrecorded_attempts
    }

    /// How long attempts have been waiting to be recorded while none was.
    pub(super) fn stands_still_for(&self) -> Duration {
        match self.unrecorded_attempts {
            0 => Duration::ZERO,
            _ => self.now.saturating_sub(self.recorded_at),
        }
    }

    /// Not yet recorded, without an attempt: parked, mostly.
    pub(super) fn unrecorded_parks(&self) -> usize {
        let unrecorded = self.decided.saturating_sub(self.recorded);
        usize::try_from(unrecorded)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.unrecorded_attempts)
    }
}
