//! One destination's lane: what waits there, and which goes next.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use common::{Now, Severity};

use crate::domain::{Fault, Lease, LeaseKey, Position};

use super::{
    pace::Bucket,
    parking::Parking,
    schedule::{Place, Rank},
    settings::EngineSettings,
};

/// A delivery that has waited too long takes at most every fourth turn of its
/// lane, so that a backlog of old ones does not bury a new urgent one.
const TURNS_BETWEEN_STARVED: u8 = 3;

/// A delivery in memory, with what has been tried.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Arc<Lease>,
    /// Since when it has waited: received or last tried, in monotonic time.
    since: Duration,
    /// How old it was then.
    age: Duration,
    pub(super) attempts: u32,
    pub(super) parts_sent: u16,
    /// How often it was refused because of its own content.
    pub(super) refusals: u16,
}

impl Held {
    pub(super) fn new(lease: Lease, now: Now, age: Duration, settings: &EngineSettings) -> Self {
        let progress = lease.progress;
        // How many of the attempts were refusals of its content is not stored:
        // it gets one more at least.
        let refusals = match progress.wait {
            Some(wait) if wait.fault == Fault::Payload => {
                let most = settings.payload_attempts.saturating_sub(1);
                u16::try_from(progress.attempts)
                    .unwrap_or(u16::MAX)
                    .min(most)
            }
            _ => 0,
        };
        Self {
            since: now.mono,
            age,
            attempts: progress.attempts,
            parts_sent: progress.parts_sent,
            refusals,
            lease: Arc::new(lease),
        }
    }

    pub(super) fn key(&self) -> LeaseKey {
        self.lease.key()
    }

    pub(super) fn severity(&self) -> Severity {
        self.lease.alert.severity
    }

    /// Counts an attempt that has ended.
    pub(super) fn tried(&mut self, now: Duration) {
        self.age = self.age_at(now);
        self.since = now;
        self.attempts = self.attempts.saturating_add(1);
    }

    pub(super) fn age_at(&self, now: Duration) -> Duration {
        self.age + now.saturating_sub(self.since)
    }

    fn position(&self) -> Position {
        self.lease.position
    }
}

/// Why and how long a lane rests.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// Failures in a row that were not a delivery's own.
    pub(super) failures: u32,
    /// Nothing goes before this.
    until: Duration,
    /// The service asked for this much of it, so nothing cuts it shorter.
    asked_until: Duration,
    /// What it said last.
    pub(super) error: Box<str>,
}

/// A lane. Exists only while something waits, is under way, is parked, or must be
/// remembered (pace, backoff).
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Known from the first delivery on.
    pub(super) bucket: Option<Bucket>,
    /// By [`Severity::code`], each in order of acceptance.
    queues: [VecDeque<Held>; 3],
    /// In flight; or, if not, sent in part, and next before all others.
    pub(super) current: Option<Held>,
    pub(super) in_flight: bool,
    /// Whether what is in flight began as a tail.
    pub(super) sends_tail: bool,
    /// Tells the lane's requests apart.
    pub(super) serial: u32,
    turns_since_starved: u8,
    /// Stepped aside because of their own content, each until its own time.
    aside: Vec<(Duration, Held)>,
    pub(super) trouble: Option<Box<Trouble>>,
    pub(super) parking: Option<Box<Parking>>,
    pub(super) place: Place,
}

impl Lane {
    /// How many deliveries it holds in memory.
    pub(super) fn held(&self) -> usize {
        let queued: usize = self.queues.iter().map(VecDeque::len).sum();
        queued + self.aside.len() + usize::from(self.current.is_some())
    }

    /// How many of that severity wait for their turn.
    pub(super) fn queued(&self, severity: Severity) -> usize {
        self.queues[index(severity)].len()
    }

    /// Takes in a delivery at its place in the order.
    pub(super) fn insert(&mut self, held: Held) {
        if held.parts_sent > 0 && self.current.is_none() {
            self.current = Some(held);
            return;
        }
        let queue = &mut self.queues[index(held.severity())];
        let place = match queue.back() {
            Some(last) if last.position() > held.position() => {
                queue.partition_point(|other| other.position() < held.position())
            }
            _ => queue.len(),
        };
        queue.insert(place, held);
    }

    /// Lets a delivery step aside until then; the others go on.
    pub(super) fn set_aside(&mut self, held: Held, until: Duration) {
        self.aside.push((until, held));
    }

    /// From when on the lane may send; `None` where nothing waits in memory.
    pub(super) fn next_at(&self, settings: &EngineSettings) -> Option<Duration> {
        // With so many aside that memory must not take more, the lane waits for
        // them: seconds, since a delivery steps aside only a few times.
        let full = self.aside.len() >= settings.lane_leases;
        let queued = !full && self.queues.iter().any(|queue| !queue.is_empty());
        let from = if self.current.is_some() || queued {
            Duration::ZERO
        } else {
            self.aside.iter().map(|(until, _)| *until).min()?
        };
        Some(from.max(self.open_at()))
    }

    /// When the lane can be forgotten, if nothing comes until then.
    pub(super) fn rested_at(&self) -> Duration {
        let full_at = self
            .bucket
            .map_or(Duration::ZERO, |bucket| bucket.full_at());
        full_at.max(
            self.trouble
                .as_ref()
                .map_or(Duration::ZERO, |trouble| trouble.until),
        )
    }

    fn open_at(&self) -> Duration {
        let ready_at = self
            .bucket
            .map_or(Duration::ZERO, |bucket| bucket.ready_at());
        ready_at.max(
            self.trouble
                .as_ref()
                .map_or(Duration::ZERO, |trouble| trouble.until),
        )
    }

    /// The severity of the most urgent that waits.
    pub(super) fn urgency(&self) -> Severity {
        let queued = Severity::BY_URGENCY
            .into_iter()
            .find(|severity| self.queued(*severity) > 0);
        let aside = self.aside.iter().map(|(_, held)| held.severity()).max();
        self.current
            .as_ref()
            .map(Held::severity)
            .max(queued)
            .or(aside)
            .unwrap_or(Severity::Low)
    }

    /// What it lines up with.
    pub(super) fn rank(&self) -> Rank {
        let severity = self.urgency();
        let queue = &self.queues[usize::from(severity.code())];
        // Whoever stands behind a tail in its own lane hurries it along.
        let ends = [queue.front(), queue.back()];
        Rank::of(
            severity,
            ends.into_iter().flatten().map(|held| held.lease.position),
        )
    }

    /// Takes out the delivery that goes next: the rest of one sent in part, else
    /// the most urgent, the earliest accepted first; now and then one that has
    /// waited too long behind more urgent ones.
    pub(super) fn take_next(&mut self, now: Duration, settings: &EngineSettings) -> Option<Held> {
        self.recall(now);
        if let Some(begun) = self.current.take() {
            return Some(begun);
        }
        let urgent = Severity::BY_URGENCY
            .into_iter()
            .find(|severity| self.queued(*severity) > 0)?;
        let chosen = match self.starved(now, urgent, settings.starvation_limit) {
            Some(starved) => {
                self.turns_since_starved = 0;
                starved
            }
            None => {
                self.turns_since_starved = self.turns_since_starved.saturating_add(1);
                urgent
            }
        };
        self.queues[index(chosen)].pop_front()
    }

    /// Puts those aside whose time has come back into the order.
    fn recall(&mut self, now: Duration) {
        let mut next = 0;
        while next < self.aside.len() {
            if self.aside[next].0 <= now {
                let (_, held) = self.aside.swap_remove(next);
                self.insert(held);
            } else {
                next += 1;
            }
        }
    }

    fn starved(&self, now: Duration, urgent: Severity, limit: Duration) -> Option<Severity> {
        if self.turns_since_starved < TURNS_BETWEEN_STARVED {
            return None;
        }
        Severity::BY_URGENCY
            .into_iter()
            .filter(|severity| *severity < urgent)
            .filter_map(|severity| {
                let first = self.queues[index(severity)].front()?;
                (first.since + limit <= now).then_some((first.since, severity))
            })
            .min()
            .map(|(_, severity)| severity)
    }

    /// Counts a failure that was not a delivery's own; answers how many in a row.
    pub(super) fn count_failure(&mut self, error: &str) -> u32 {
        let trouble = self.trouble.get_or_insert_default();
        trouble.failures = trouble.failures.saturating_add(1);
        if *trouble.error != *error {
            trouble.error = error.into();
        }
        trouble.failures
    }

    /// Takes over a wait from an earlier run.
    pub(super) fn restore(&mut self, attempts: u32) {
        let trouble = self.trouble.get_or_insert_default();
        trouble.failures = trouble.failures.max(attempts);
    }

    /// Nothing goes before `until`; nothing shortens that if the service `asked`.
    pub(super) fn rest(&mut self, until: Duration, asked: bool) {
        let trouble = self.trouble.get_or_insert_default();
        trouble.until = trouble.until.max(until);
        if asked {
            trouble.asked_until = trouble.asked_until.max(until);
        }
    }

    /// Shortens a backoff to `until`, but not what the service asked for.
    pub(super) fn cut(&mut self, until: Duration) {
        if let Some(trouble) = &mut self.trouble {
            trouble.until = trouble.until.min(until.max(trouble.asked_until));
        }
    }

    /// The service has taken a message: all is well again. What it asked for
    /// earlier still holds.
    pub(super) fn recover(&mut self, now: Duration) {
        self.trouble = self
            .trouble
            .take()
            .filter(|trouble| trouble.asked_until > now);
        if let Some(trouble) = &mut self.trouble {
            trouble.failures = 0;
            trouble.until = trouble.asked_until;
        }
    }

    /// Takes out those that are too old to be tried again while their
    /// destination fails.
    pub(super) fn take_expired(&mut self, now: Duration, max_age: Duration) -> Vec<Held> {
        let mut expired = Vec::new();
        for queue in &mut self.queues {
            if queue.iter().any(|held| held.age_at(now) >= max_age) {
                let (old, young): (VecDeque<_>, VecDeque<_>) = queue
                    .drain(..)
                    .partition(|held| held.age_at(now) >= max_age);
                expired.extend(old);
                *queue = young;
            }
        }
        expired
    }
}

fn index(severity: Severity) -> usize {
    usize::from(severity.code())
}
