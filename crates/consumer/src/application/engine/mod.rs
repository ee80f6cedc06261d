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
mod event;
mod intake;
mod lane;
mod lanes;
mod outbox;
mod pace;
mod parking;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use common::{DestinationId, Now, UtcMillis};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};

pub use event::{Action, Answered, Counts, Event, SendOrder, Ticket};
pub use settings::EngineSettings;

use age::{Ages, ClockWatch};
use backoff::Backoff;
use lanes::Lanes;
use outbox::Outbox;
use parking::Fetches;
use schedule::Schedule;

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
    fetches: Fetches,
    outbox: Outbox,
    ages: Ages,
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
            schedule: Schedule::new(settings.max_in_flight),
            fetches: Fetches::default(),
            outbox: Outbox::default(),
            ages: Ages::default(),
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
        self.clock.look(now);
        match event {
            Event::ParkedLanes(lanes) => self.restore_parked(&lanes),
            Event::Received(leases) => {
                // Those that wait come before all others.
                self.restoring &= leases.iter().all(|lease| lease.progress.wait.is_some());
                for lease in leases {
                    self.receive(now, lease);
                }
            }
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
            }
            Event::Draining => self.draining = true,
        }
    }

    /// What to do next; `None` where nothing is to be done before the next event
    /// or [`next_wake`](Self::next_wake).
    pub fn next_action(&mut self, now: Now) -> Option<Action> {
        self.clock.look(now);
        if let Some(settle) = self.outbox.next() {
            return Some(settle);
        }
        if self.draining {
            return None;
        }
        if let Some(unpark) = self.next_fetch() {
            return Some(unpark);
        }
        while let Some(id) = self
            .schedule
            .pop_due(now.mono, |id| self.lanes.place_of(id))
        {
            self.place(id, now);
        }
        self.next_send(now)
    }

    /// The monotonic time at which to ask for actions again, whatever happens.
    pub fn next_wake(&mut self) -> Option<Duration> {
        if self.draining {
            return None;
        }
        self.schedule.next_due(|id| self.lanes.place_of(id))
    }

    /// How many more deliveries may be received now.
    ///
    /// With memory full it is still above zero, since what has no room is parked;
    /// except where enough lanes are in line that sending will soon make room, or
    /// where the disk is behind.
    pub fn room(&self) -> usize {
        if self.draining {
            return 0;
        }
        let memory = self
            .settings
            .memory_leases
            .saturating_sub(self.held + self.fetches.expected());
        let room = match memory {
            0 if !self.restoring && self.schedule.in_line() >= self.settings.max_in_flight => 0,
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
            lanes: self.lanes.len(),
        }
    }

    /// When the oldest delivery in memory was accepted, to the second.
    pub fn oldest(&self) -> Option<UtcMillis> {
        self.ages.oldest()
    }

    fn next_send(&mut self, now: Now) -> Option<Action> {
        loop {
            if self.restoring
                || self.in_flight >= self.settings.max_in_flight.max(1)
                || self.outbox.unrecorded_attempts() >= self.settings.max_unrecorded_attempts.max(1)
            {
                return None;
            }
            let (id, rank) = self.schedule.next_in_line(|id| self.lanes.place_of(id))?;
            let Some(lane) = self.lanes.get_mut(id) else {
                continue;
            };
            self.schedule.leave(&mut lane.place);
            let Some(held) = lane.take_next(now.mono, &self.settings) else {
                self.place(id, now);
                continue;
            };
            if let Some(bucket) = &mut lane.bucket {
                bucket.take(now.mono);
            }
            lane.serial = lane.serial.wrapping_add(1);
            lane.in_flight = true;
            lane.sends_tail = rank.is_tail;
            self.schedule.begin(rank);
            self.in_flight += 1;
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
        if lane.in_flight {
            return self.schedule.leave(&mut lane.place);
        }
        match lane.next_at(&self.settings) {
            Some(at) if at <= now.mono => {
                let rank = lane.rank();
                self.schedule.line_up(id, rank, &mut lane.place);
            }
            Some(at) => self.schedule.wait_until(id, at, &mut lane.place),
            None if lane
                .parking
                .as_ref()
                .is_some_and(|parking| parking.is_needed()) =>
            {
                self.schedule.leave(&mut lane.place);
            }
            None if lane.rested_at() <= now.mono => {
                self.schedule.leave(&mut lane.place);
                self.lanes.forget(id);
            }
            // Kept until then, so that it cannot begin anew with a full burst.
            None => {
                let rested_at = lane.rested_at();
                self.schedule.wait_until(id, rested_at, &mut lane.place);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.held + self.fetches.expected() >= self.settings.memory_leases
    }
}
