//! The delivery engine: decides without doing.
//!
//! A state machine that is told the time and what happened ([`Engine::handle`])
//! and answers what to do next ([`Engine::next_action`]). It has no clock, no
//! randomness but a seeded generator, no I/O. Whoever drives it
//!
//! - asks for actions until there are none, after each event and at
//!   [`Engine::next_wake`];
//! - answers each [`Action::Send`] with one [`Event::Answered`], and each
//!   [`Action::Unpark`] with one [`Event::Unparked`];
//! - records settlements in the order in which they were given, and says so with
//!   [`Event::Recorded`]. The engine holds back a fetch of parked deliveries until
//!   the settlements before it are recorded, and new requests while too many are
//!   not.
//!
//! Memory is bounded: what a lane or the whole engine has no room for is parked,
//! that is, stays on disk alone, and is fetched when there is room.

mod age;
mod answers;
mod backoff;
mod breaker;
mod cancel;
mod changes;
mod credentials;
mod digest;
mod dormant;
mod event;
mod expiry;
mod folding;
mod held;
mod hosts;
mod intake;
mod lane;
mod lanes;
mod outages;
mod outbox;
mod pace;
mod parking;
mod schedule;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod turnover;
mod verdict;

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    time::Duration,
};

use common::{DestinationId, Now, UtcMillis};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

pub use event::{Action, Answered, BreakerChange, Counts, Event, SendOrder, Ticket};
pub use settings::{ChannelTraits, EngineSettings};

use crate::domain::Position;
use age::{Ages, ClockWatch};
use backoff::Backoff;
use credentials::Credentials;
use dormant::Dormant;
use folding::Preparing;
use hosts::HostId;
use lane::Next;
use lanes::Lanes;
use outbox::Outbox;
use parking::Fetches;
use schedule::Schedule;
use turnover::Turnover;

/// Deliveries received at once while memory is full: nearly all get parked.
const ROOM_WHEN_FULL: usize = 512;

/// The delivery engine.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    backoff: Backoff,
    rng: Xoshiro256PlusPlus,
    clock: ClockWatch,
    lanes: Lanes,
    schedule: Schedule,
    credentials: Credentials,
    dormant: Dormant,
    /// Breakers of hosts that are open, by when they let a probe through.
    breakers: BTreeSet<(Duration, HostId)>,
    /// Hosts whose breaker is not closed.
    troubled: BTreeSet<HostId>,
    /// Breakers that changed, to be told of.
    changes: VecDeque<BreakerChange>,
    fetches: Fetches,
    /// Cancelled while deliveries were being fetched, which may bring them.
    cancelled: HashSet<Position>,
    outbox: Outbox,
    /// Lanes with a digest that is being recorded, and those whose digest may go.
    recording: VecDeque<(u64, DestinationId)>,
    ready: VecDeque<DestinationId>,
    /// Lanes that prepare a digest, or have one that may go.
    preparing: usize,
    ages: Ages,
    turnover: Turnover,
    /// When some may be too old that nothing happens to.
    look_at: Option<Duration>,
    held: usize,
    in_flight: usize,
    parked: u64,
    /// Deliveries that wait since an earlier run are still coming in. Until all
    /// are known nothing is sent, since one may bring a `Retry-After`.
    restoring: bool,
    caught_up: bool,
    draining: bool,
}

impl Engine {
    /// An engine that holds nothing. The same seed, told the same, answers the same.
    pub fn new(settings: EngineSettings, seed: u64) -> Self {
        Self {
            backoff: Backoff::new(settings.backoff_base, settings.backoff_cap),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            clock: ClockWatch::default(),
            lanes: Lanes::default(),
            schedule: Schedule::new(settings.max_in_flight_per_host),
            credentials: Credentials::default(),
            dormant: Dormant::default(),
            breakers: BTreeSet::new(),
            troubled: BTreeSet::new(),
            changes: VecDeque::new(),
            fetches: Fetches::default(),
            cancelled: HashSet::new(),
            outbox: Outbox::default(),
            recording: VecDeque::new(),
            ready: VecDeque::new(),
            preparing: 0,
            ages: Ages::default(),
            turnover: Turnover::new(settings.memory_leases),
            look_at: None,
            held: 0,
            in_flight: 0,
            parked: 0,
            restoring: true,
            caught_up: false,
            draining: false,
            settings,
        }
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, now: Now, event: Event) {
        self.look(now);
        match event {
            Event::ParkedLanes(lanes) => self.restore_parked(&lanes),
            Event::Received(leases) => {
                // Those that wait come before all others.
                self.restoring &= leases
                    .iter()
                    .all(|lease| lease.progress.attempts > 0 || lease.digest.is_some());
                for lease in leases {
                    self.receive(now, lease);
                }
            }
            Event::Cancelled(deliveries) => self.cancel(now, deliveries),
            Event::CaughtUp => self.catch_up(),
            Event::Unparked {
                destination,
                severity,
                leases,
            } => {
                self.unparked(now, destination, severity, leases);
            }
            Event::Answered(answered) => self.answered(now, answered),
            Event::Recorded {
                settlements,
                attempts,
            } => {
                self.outbox.recorded(settlements, attempts);
                self.folds_recorded();
            }
            Event::Unfolded(folds) => self.unfolded(&folds),
            Event::Draining => self.draining = true,
        }
    }

    /// What to do next; `None` where nothing is to be done before the next event
    /// or [`next_wake`](Self::next_wake).
    pub fn next_action(&mut self, now: Now) -> Option<Action> {
        self.look(now);
        if let Some(settle) = self.outbox.next() {
            return Some(settle);
        }
        if let Some(report) = self.next_report() {
            return Some(report);
        }
        if self.draining {
            return None;
        }
        self.look_at_the_old(now);
        self.let_probes_through(now);
        while let Some(credential) = self.credentials.due(now.mono) {
            let before = self.credentials.state(credential);
            let lanes = self.credentials.pop_due(now.mono).unwrap_or_default();
            self.note_credential(credential, before, None);
            for id in lanes {
                self.unblock(id, now);
            }
        }
        self.wake_sleepers();
        if let Some(unpark) = self.next_fetch() {
            return Some(unpark);
        }
        while let Some(id) = self
            .schedule
            .pop_due(now.mono, |id| self.lanes.place_of(id))
        {
            self.place(id, now);
        }
        // A lane whose turn it was may have begun a digest instead.
        self.next_send(now)
            .or_else(|| self.outbox.next())
            .or_else(|| self.next_fetch())
            .or_else(|| self.next_report())
    }

    /// The monotonic time at which to ask for actions again, whatever happens.
    pub fn next_wake(&mut self) -> Option<Duration> {
        if self.draining {
            return None;
        }
        let lanes = self.schedule.next_due(|id| self.lanes.place_of(id));
        let hosts = self.breakers.first().map(|(at, _)| *at);
        let credentials = self.credentials.next_due();
        let old = self.look_at.filter(|_| self.held > 0);
        let room = self.turnover.is_brisk().then(|| self.turnover.ends_at());
        [lanes, hosts, credentials, old, room]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many more deliveries may be received now.
    ///
    /// With memory full it is still above zero, since what has no room is parked;
    /// except where enough lanes are in line that sending will soon make room, where
    /// tails of alerts to very many make some as fast as they are sent, or where the
    /// disk is behind.
    pub fn room(&self) -> usize {
        if self.draining {
            return 0;
        }
        let memory = self.settings.memory_leases.saturating_sub(self.taken());
        let room = match memory {
            0 if !self.restoring && self.makes_room() => 0,
            0 => ROOM_WHEN_FULL,
            room => room,
        };
        room.min(
            self.settings
                .max_unrecorded_parks
                .saturating_sub(self.outbox.unrecorded_parks()),
        )
    }

    /// Whether no request is under way.
    pub fn idle(&self) -> bool {
        self.in_flight == 0
    }

    /// How many of what it holds.
    pub fn counts(&self) -> Counts {
        Counts {
            held: self.held,
            in_flight: self.in_flight,
            parked: self.parked,
            lanes: self.lanes.len() + self.dormant.len(),
        }
    }

    /// When the oldest delivery in memory was accepted, to the second.
    pub fn oldest(&self) -> Option<UtcMillis> {
        self.ages.oldest()
    }

    fn next_send(&mut self, now: Now) -> Option<Action> {
        loop {
            let under_way = self.in_flight + self.preparing - self.ready.len();
            if self.restoring
                || under_way >= self.settings.max_in_flight.max(1)
                || self.records_too_slowly()
            {
                return None;
            }
            let (id, rank) = match self.next_ready(now) {
                Some(id) => (id, None),
                None => {
                    let (id, rank) = self.schedule.next_in_line(|id| self.lanes.place_of(id))?;
                    if self.prepares_digest(id, now) {
                        self.place(id, now);
                        continue;
                    }
                    (id, Some(rank))
                }
            };
            let Some(lane) = self.lanes.get_mut(id) else {
                continue;
            };
            self.schedule.leave(&mut lane.place);
            let Some(held) = lane.take_next(now.mono, &self.settings, &self.credentials) else {
                self.place(id, now);
                continue;
            };
            if held.lease.digest.is_none() {
                lane.folding.count_single();
            }
            if let Some(bucket) = &mut lane.bucket {
                bucket.take(now.mono);
            }
            lane.serial = lane.serial.wrapping_add(1);
            lane.in_flight = true;
            let is_tail = rank.is_some_and(|rank| rank.is_tail);
            lane.sends_tail = is_tail;
            if is_tail {
                self.turnover.begin(now.mono);
            }
            self.in_flight += 1;
            self.credentials.begin(held.credential(), now.mono);
            if let Some(host) = lane.host {
                self.schedule.change(host, |host| {
                    host.begin(is_tail);
                    if let Some(breaker) = host.breaker_mut() {
                        breaker.begin();
                    }
                });
            }
            let order = SendOrder {
                ticket: Ticket {
                    destination: id,
                    serial: lane.serial,
                },
                lease: held.lease.clone(),
                part: held.parts_sent,
                attempt: held.attempts.saturating_add(1),
            };
            lane.current = Some(held);
            self.consider_fetching(id);
            return Some(Action::Send(order));
        }
    }

    /// Puts a lane where it belongs now: in line, at a timer, or away.
    fn place(&mut self, id: DestinationId, now: Now) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        if let Some(credential) = lane.blocked_by(now.mono, &self.credentials) {
            lane.waits_for = Some(credential);
            self.credentials.wait(credential, id);
        }
        if lane.in_flight || lane.folding.preparing != Preparing::Nothing {
            return self.schedule.leave(&mut lane.place);
        }
        let is_fetching = lane
            .parking
            .as_ref()
            .is_some_and(|parking| parking.is_needed());
        match lane.next(now.mono, &self.settings, &self.credentials) {
            Next::At(at) if at <= now.mono => {
                let (rank, host) = (lane.rank(), lane.host);
                if let Some(host) = host {
                    self.schedule.line_up(id, host, rank, &mut lane.place);
                }
            }
            Next::At(at) => self.schedule.wait_until(id, at, &mut lane.place),
            Next::Blocked(_) => self.schedule.leave(&mut lane.place),
            Next::Nothing if is_fetching => self.schedule.leave(&mut lane.place),
            Next::Nothing if lane.rested_at() <= now.mono => {
                self.schedule.leave(&mut lane.place);
                self.forget(id);
            }
            // Kept until then, so that it cannot begin anew with a full burst.
            Next::Nothing => {
                let rested_at = lane.rested_at();
                self.schedule.wait_until(id, rested_at, &mut lane.place);
            }
        }
    }

    /// Forgets a lane that has nothing to remember.
    fn forget(&mut self, id: DestinationId) {
        if let Some(host) = self.lanes.forget(id).and_then(|lane| lane.host) {
            self.schedule.hosts.leave(host);
        }
    }

    /// A credential that the lane waited for may be used again.
    fn unblock(&mut self, id: DestinationId, now: Now) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.waits_for = None;
            self.place(id, now);
        }
    }

    /// Lets a probe through to each host whose breaker has been open long enough.
    fn let_probes_through(&mut self, now: Now) {
        while let Some((at, id)) = self.breakers.first().copied()
            && at <= now.mono
        {
            self.breakers.pop_first();
            let before = self.host_state(id);
            self.schedule.change(id, |host| {
                host.breaker_mut()
                    .is_some_and(|breaker| breaker.ripen(now.mono))
            });
            self.note_host(id, before, None);
        }
    }

    /// Whether a further request would be one too many to be sent twice, should this
    /// process not be the one that records it.
    fn records_too_slowly(&self) -> bool {
        let settings = &self.settings;
        self.outbox.unrecorded_attempts() >= settings.max_unrecorded_attempts.max(1)
            || self.outbox.stands_still_for() >= settings.max_unrecorded_for
    }

    fn look(&mut self, now: Now) {
        self.clock.look(now);
        self.turnover.look(now.mono);
        self.outbox.look(now.mono);
    }

    /// Whether what is in memory will soon be sent.
    fn makes_room(&self) -> bool {
        self.turnover.is_brisk() || self.schedule.moving() >= self.settings.max_in_flight
    }

    fn is_full(&self) -> bool {
        self.taken() >= self.settings.memory_leases
    }

    /// Deliveries that are in memory, or are on their way there from the disk.
    fn taken(&self) -> usize {
        self.held + self.fetches.expected()
    }
}
