//! One destination's lane: what waits there, and which goes next.

use std::{collections::VecDeque, time::Duration};

use common::{CredentialId, Severity};

use crate::domain::LeaseKey;

use super::{
    credentials::Credentials,
    folding::Folding,
    held::Held,
    hosts::HostId,
    pace::Bucket,
    parking::Parking,
    schedule::{Place, Rank},
    settings::EngineSettings,
};

/// A delivery that has waited too long takes at most every fourth turn of its
/// lane, so that a backlog of old ones does not bury a new urgent one.
const TURNS_BETWEEN_STARVED: u8 = 3;

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
    /// When the first of the failures was, in this process.
    since: Option<Duration>,
}

impl Trouble {
    /// Nothing goes before this.
    pub(super) fn until(&self) -> Duration {
        self.until
    }

    /// The service asked for this much of it.
    pub(super) fn asked_until(&self) -> Duration {
        self.asked_until
    }

    /// When the first of the failures was, in this process.
    pub(super) fn since(&self) -> Option<Duration> {
        self.since
    }
}

/// A lane. Exists only while something waits, is under way, is parked, or must be
/// remembered (pace, backoff).
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Known from the first delivery on, as is the pace.
    pub(super) host: Option<HostId>,
    /// Its place in [`EngineSettings::channels`].
    pub(super) channel: Option<usize>,
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
    /// When the service last took a message, in seconds of monotonic time.
    pub(super) last_success: u32,
    /// Stepped aside because of their own content, each until its own time.
    aside: Vec<(Duration, Held)>,
    pub(super) trouble: Option<Box<Trouble>>,
    pub(super) parking: Option<Box<Parking>>,
    /// It will be looked at when this credential is well again.
    pub(super) waits_for: Option<CredentialId>,
    pub(super) folding: Folding,
    pub(super) place: Place,
}

/// When a lane may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// From then on.
    At(Duration),
    /// Once that credential is well again.
    Blocked(CredentialId),
    /// Nothing waits in memory.
    Nothing,
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

    /// How many wait for their turn, those on disk included.
    pub(super) fn waiting(&self) -> u64 {
        let parked = self.parking.as_ref().map_or(0, |parking| parking.count());
        let queued: usize = self.queues.iter().map(VecDeque::len).sum();
        parked + queued as u64
    }

    /// Those of one severity that wait for their turn, in order.
    pub(super) fn queue(&self, severity: Severity) -> &VecDeque<Held> {
        &self.queues[index(severity)]
    }

    /// Whether that delivery is here.
    pub(super) fn holds(&self, key: LeaseKey) -> bool {
        let queue = &self.queues[index(key.severity)];
        let is_it = |held: &Held| held.position() == key.position;
        queue
            .binary_search_by_key(&key.position, Held::position)
            .is_ok()
            || self.current.as_ref().is_some_and(is_it)
            || self.aside.iter().any(|(_, held)| is_it(held))
    }

    /// A delivery has ended, or was folded.
    pub(super) fn let_go(&mut self, key: LeaseKey) {
        if let Some(parking) = &mut self.parking {
            parking.let_go(key.severity, key.position);
        }
    }

    /// Takes out those that stand there, each queue's in ascending order.
    pub(super) fn take_out(&mut self, places: &[(Severity, usize)]) -> Vec<Held> {
        let mut taken = Vec::with_capacity(places.len());
        for severity in Severity::BY_URGENCY {
            let mut places = places
                .iter()
                .filter(|(other, _)| *other == severity)
                .map(|(_, place)| *place)
                .peekable();
            if places.peek().is_none() {
                continue;
            }
            let queue = std::mem::take(&mut self.queues[index(severity)]);
            for (place, held) in queue.into_iter().enumerate() {
                if places.next_if_eq(&place).is_some() {
                    taken.push(held);
                } else {
                    self.queues[index(severity)].push_back(held);
                }
            }
        }
        taken
    }

    /// Takes in a delivery at its place in the order.
    pub(super) fn insert(&mut self, held: Held) {
        if held.parts_sent > 0 && self.current.is_none() {
            self.current = Some(held);
            return;
        }
        self.insert_in_order(held);
    }

    fn insert_in_order(&mut self, held: Held) {
        let queue = &mut self.queues[index(held.severity())];
        if queue.capacity() == 0 {
            // Of the lanes behind a dead host most hold one each; four places would be
            // the least otherwise.
            queue.reserve_exact(1);
        }
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

    /// Takes in a delivery whose credential was refused: it waits in the order, even
    /// if a part of it is sent, so that others can go on.
    pub(super) fn insert_blocked(&mut self, held: Held) {
        self.insert_in_order(held);
    }

    /// When the lane may send.
    pub(super) fn next(
        &self,
        now: Duration,
        settings: &EngineSettings,
        credentials: &Credentials,
    ) -> Next {
        let is_free = |held: &Held| !credentials.blocks(held.credential(), now);
        // With so many aside that memory must not take more, the lane waits for
        // them: seconds, since a delivery steps aside only a few times.
        let full = self.aside.len() >= settings.lane_leases;
        let mut queued = self.queues.iter().flatten();
        if self.current.as_ref().is_some_and(is_free) || (!full && queued.any(is_free)) {
            return Next::At(self.open_at());
        }
        let aside = self
            .aside
            .iter()
            .filter(|(until, held)| *until > now || is_free(held))
            .map(|(until, _)| *until)
            .min();
        if let Some(until) = aside {
            return Next::At(until.max(self.open_at()));
        }
        let blocked = self.blocked();
        blocked.map_or(Next::Nothing, |held| Next::Blocked(held.credential()))
    }

    /// The first that waits; asked where all are blocked.
    fn blocked(&self) -> Option<&Held> {
        let aside = self.aside.iter().map(|(_, held)| held);
        let queued = self.queues.iter().rev().filter_map(VecDeque::front);
        self.current.iter().chain(queued).chain(aside).next()
    }

    /// A credential for which something waits here, unless the lane says already
    /// that it waits for one.
    pub(super) fn blocked_by(
        &self,
        now: Duration,
        credentials: &Credentials,
    ) -> Option<CredentialId> {
        if self.waits_for.is_some() || credentials.all_well() {
            return None;
        }
        let aside = self.aside.iter().map(|(_, held)| held);
        let queued = self.queues.iter().flatten();
        self.current
            .iter()
            .chain(queued)
            .chain(aside)
            .map(Held::credential)
            .find(|credential| credentials.blocks(*credential, now))
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
        let ends = [queue.front(), queue.back()];
        let waiting = ends.into_iter().flatten().map(|held| held.lease.position);
        Rank::of(severity, waiting).hurried(self.hurries(severity))
    }

    /// Whether one of that severity on disk, behind a tail of the same lane, hurries it
    /// along, as one in memory does.
    pub(super) fn hurries(&self, severity: Severity) -> bool {
        let parking = self.parking.as_ref();
        parking.is_some_and(|parking| parking.hurries(severity))
    }

    /// Takes out the delivery that goes next: the rest of one sent in part, else
    /// the most urgent, the earliest accepted first; now and then one that has
    /// waited too long behind more urgent ones. Those whose credential must not be
    /// used now are passed over.
    pub(super) fn take_next(
        &mut self,
        now: Duration,
        settings: &EngineSettings,
        credentials: &Credentials,
    ) -> Option<Held> {
        self.recall(now);
        if let Some(begun) = self.current.take() {
            if !credentials.blocks(begun.credential(), now) {
                return Some(begun);
            }
            self.insert_in_order(begun);
        }
        let free = self.first_free(now, credentials);
        let urgent = free.into_iter().flatten().next()?;
        let is_free = |held: &Held| !credentials.blocks(held.credential(), now);
        let starved = self.starved(now, urgent.0, free, settings.starvation_limit, is_free);
        self.turns_since_starved = match starved {
            Some(_) => 0,
            None => self.turns_since_starved.saturating_add(1),
        };
        let (severity, at) = starved.unwrap_or(urgent);
        self.queues[index(severity)].remove(at)
    }

    /// Of each severity, the most urgent first, the first that may be sent.
    fn first_free(
        &self,
        now: Duration,
        credentials: &Credentials,
    ) -> [Option<(Severity, usize)>; 3] {
        Severity::BY_URGENCY.map(|severity| {
            self.queues[index(severity)]
                .iter()
                .position(|held| !credentials.blocks(held.credential(), now))
                .map(|at| (severity, at))
        })
    }

    /// The order in which a digest takes them in: what is high, then what has waited
    /// too long, then the rest.
    pub(super) fn order(
        &mut self,
        now: Duration,
        settings: &EngineSettings,
        credentials: &Credentials,
    ) -> Vec<Severity> {
        let free = self.first_free(now, credentials);
        let is_free = |held: &Held| !credentials.blocks(held.credential(), now);
        let limit = settings.starvation_limit;
        let starved = free
            .into_iter()
            .flatten()
            .next()
            .and_then(|urgent| self.starved(now, urgent.0, free, limit, is_free));
        self.turns_since_starved = match starved {
            Some(_) => 0,
            None => self.turns_since_starved.saturating_add(1),
        };
        let starved = starved.map(|(severity, _)| severity);
        let mut order = vec![Severity::High];
        order.extend(starved);
        order.extend(
            [Severity::Normal, Severity::Low]
                .into_iter()
                .filter(|severity| Some(*severity) != starved),
        );
        order
    }

    /// So many of each severity that it held are on disk alone again. Takes out, and
    /// counts there as well, what came after them: those of these severities that have
    /// not been tried.
    pub(super) fn park_again(&mut self, counts: [u32; 3]) -> Vec<Held> {
        let mut later = Vec::new();
        for severity in Severity::BY_URGENCY {
            let count = u64::from(counts[index(severity)]);
            if count == 0 {
                continue;
            }
            let queue = std::mem::take(&mut self.queues[index(severity)]);
            let (untried, tried): (VecDeque<_>, VecDeque<_>) =
                queue.into_iter().partition(Held::is_untried);
            self.queues[index(severity)] = tried;
            let parking = self.parking.get_or_insert_default();
            let shelf = parking.shelf_mut(severity);
            shelf.begin_anew(count + untried.len() as u64);
            later.extend(untried);
        }
        later
    }

    /// Takes out a delivery that was cancelled. One in flight is marked instead:
    /// its request's end tells. A digest stays: its lead was cancelled before the queue
    /// knew of the fold, which is not made, and that is told next.
    pub(super) fn withdraw(&mut self, key: LeaseKey) -> Option<Held> {
        if let Some(current) = self.current.as_mut()
            && current.position() == key.position
        {
            if current.lease.digest.is_some() {
                return None;
            }
            current.cancelled = true;
            return if self.in_flight {
                None
            } else {
                self.current.take()
            };
        }
        let queue = &mut self.queues[index(key.severity)];
        let place = queue.partition_point(|held| held.position() < key.position);
        if queue
            .get(place)
            .is_some_and(|held| held.position() == key.position)
        {
            return queue.remove(place);
        }
        let place = self
            .aside
            .iter()
            .position(|(_, held)| held.position() == key.position)?;
        Some(self.aside.swap_remove(place).1)
    }

    /// Puts those aside whose time has come back into the order.
    pub(super) fn recall(&mut self, now: Duration) {
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

    /// The one that has waited too long. None passes a digest of an earlier run, which
    /// may carry some of its severity that were accepted before it.
    fn starved(
        &self,
        now: Duration,
        urgent: Severity,
        free: [Option<(Severity, usize)>; 3],
        limit: Duration,
        is_free: impl Fn(&Held) -> bool,
    ) -> Option<(Severity, usize)> {
        if self.turns_since_starved < TURNS_BETWEEN_STARVED {
            return None;
        }
        let passes_a_digest = |severity| {
            let more_urgent = self.queues[index(severity) + 1..].iter().flatten();
            more_urgent
                .filter(|held| held.lease.digest.is_some())
                .any(&is_free)
        };
        free.into_iter()
            .flatten()
            .filter(|(severity, _)| *severity < urgent && !passes_a_digest(*severity))
            .filter_map(|(severity, at)| {
                let first = self.queues[index(severity)].get(at)?;
                (first.since + limit <= now).then_some((first.since, severity, at))
            })
            .min()
            .map(|(_, severity, at)| (severity, at))
    }

    /// Counts a failure that was not a delivery's own; answers how many in a row.
    pub(super) fn count_failure(&mut self, error: &str, now: Duration) -> u32 {
        let trouble = self.trouble.get_or_insert_default();
        trouble.since.get_or_insert(now);
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
        self.last_success = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        self.trouble = self
            .trouble
            .take()
            .filter(|trouble| trouble.asked_until > now);
        if let Some(trouble) = &mut self.trouble {
            trouble.failures = 0;
            trouble.since = None;
            trouble.until = trouble.asked_until;
        }
    }

    /// Since when it has been failing, in this process.
    pub(super) fn failing_since(&self) -> Option<Duration> {
        self.trouble.as_ref()?.since
    }

    /// All that it holds.
    pub(super) fn all(&self) -> impl Iterator<Item = &Held> {
        let aside = self.aside.iter().map(|(_, held)| held);
        self.queues
            .iter()
            .flatten()
            .chain(aside)
            .chain(&self.current)
    }

    /// Takes out those that are too old to be tried again, but for one in flight.
    pub(super) fn take_expired(&mut self, is_old: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut expired = Vec::new();
        if !self.all().any(&is_old) {
            return expired;
        }
        for queue in &mut self.queues {
            let (old, young): (VecDeque<_>, VecDeque<_>) = queue.drain(..).partition(&is_old);
            expired.extend(old);
            *queue = young;
        }
        let aside = self.aside.extract_if(.., |(_, held)| is_old(held));
        expired.extend(aside.map(|(_, held)| held));
        if !self.in_flight {
            expired.extend(self.current.take_if(|held| is_old(held)));
        }
        expired
    }
}

fn index(severity: Severity) -> usize {
    usize::from(severity.code())
}
