//! What is promised, checked at every request, answer, record and crash.

use std::{collections::HashMap, time::Duration};

use common::{DestinationId, Severity};
use consumer::domain::{Fault, Outcome, Settlement};

/// Sent at once, and then so many a second.
pub(crate) const BURST: f64 = 4.0;
pub(crate) const RATE: f64 = 1.0;

/// What an observer of the service and the disk knows.
#[derive(Default)]
pub(crate) struct Promises {
    /// By delivery: begun at least once, ever.
    tried: Vec<bool>,
    /// Per delivery and part: how often the service took it.
    taken: HashMap<(u64, u16), u32>,
    /// Times that each delivery may be taken once more than needed.
    excuses: HashMap<u64, u32>,
    /// Requests begun and not recorded, by delivery.
    open: HashMap<u64, u32>,
    unrecorded: usize,
    lanes: HashMap<DestinationId, LaneView>,
    pub(crate) repeated: u64,
    pub(crate) worst_crash: u32,
}

#[derive(Default)]
struct LaneView {
    last_first: [Option<u64>; 3],
    tokens: f64,
    seen: Option<Duration>,
    /// Nothing before this, as this process knows.
    asked_until: Duration,
    /// Nothing before this, as the disk knows.
    recorded_until: Duration,
}

impl Promises {
    /// A request begins.
    pub(crate) fn begun(
        &mut self,
        now: Duration,
        lane: DestinationId,
        severity: Severity,
        sequence: u64,
    ) {
        let view = self.lanes.entry(lane).or_default();
        assert!(
            now >= view.asked_until,
            "Retry-After violated: {sequence} goes at {now:?}, not before {:?}",
            view.asked_until
        );
        let idle = view
            .seen
            .map_or(f64::MAX, |seen| (now - seen).as_secs_f64());
        view.tokens = (view.tokens + idle * RATE).min(BURST);
        view.seen = Some(now);
        assert!(
            view.tokens >= 1.0 - 1e-6,
            "pace exceeded: {sequence} at {now:?}"
        );
        view.tokens -= 1.0;

        let index = usize::try_from(sequence).unwrap();
        if self.tried.len() <= index {
            self.tried.resize(index + 1, false);
        }
        if !self.tried[index] {
            self.tried[index] = true;
            let last = &mut view.last_first[usize::from(severity.code())];
            assert!(
                last.is_none_or(|last| last < sequence),
                "order: {sequence} after {last:?}"
            );
            *last = Some(sequence);
        }
        *self.open.entry(sequence).or_default() += 1;
        self.unrecorded += 1;
    }

    /// Requests begun and not recorded: what a crash now could repeat.
    pub(crate) fn unrecorded(&self) -> usize {
        self.unrecorded
    }

    pub(crate) fn was_tried(&self, sequence: u64) -> bool {
        self.tried
            .get(usize::try_from(sequence).unwrap())
            .copied()
            .unwrap_or(false)
    }

    /// The service took a part; `lost` where the answer will not say so.
    pub(crate) fn taken(&mut self, sequence: u64, part: u16, lost: bool) {
        let times = self.taken.entry((sequence, part)).or_default();
        *times += 1;
        if *times > 1 {
            let excuses = self.excuses.entry(sequence).or_default();
            assert!(
                *excuses > 0,
                "{sequence} part {part} taken {times} times without an excuse"
            );
            *excuses -= 1;
            self.repeated += 1;
        }
        if lost {
            *self.excuses.entry(sequence).or_default() += 1;
        }
    }

    /// The service asked to be left alone until then.
    pub(crate) fn asked(&mut self, lane: DestinationId, until: Duration) {
        let view = self.lanes.entry(lane).or_default();
        view.asked_until = view.asked_until.max(until);
    }

    /// A settlement is on disk.
    pub(crate) fn recorded(&mut self, settlement: &Settlement) {
        if settlement.attempt.is_some() {
            let open = self
                .open
                .get_mut(&settlement.lease.position.sequence)
                .unwrap();
            *open -= 1;
            self.unrecorded -= 1;
            if *open == 0 {
                self.open.remove(&settlement.lease.position.sequence);
            }
        }
        if let Outcome::Waiting(wait) = &settlement.outcome
            && wait.asked
        {
            assert_ne!(wait.fault, Fault::Unclear);
            let view = self.lanes.entry(settlement.lease.destination).or_default();
            view.recorded_until = view.asked_until;
        }
    }

    /// The process died; `clock_was_set` where the wall clock jumped in it, so
    /// that waits on record mean another time now. Answers how many requests had
    /// begun and were not recorded.
    pub(crate) fn crashed(&mut self, clock_was_set: bool) -> u32 {
        self.unrecorded = 0;
        let mut open = 0;
        for (sequence, requests) in self.open.drain() {
            *self.excuses.entry(sequence).or_default() += requests;
            open += requests;
        }
        self.worst_crash = self.worst_crash.max(open);
        for view in self.lanes.values_mut() {
            // The pace begins anew with a process; Retry-After does not, as far
            // as it was recorded.
            view.seen = None;
            if clock_was_set {
                view.recorded_until = Duration::ZERO;
            }
            view.asked_until = view.recorded_until;
        }
        open
    }

    /// Whether the service has that part.
    pub(crate) fn has(&self, sequence: u64, part: u16) -> bool {
        self.taken.contains_key(&(sequence, part))
    }
}
