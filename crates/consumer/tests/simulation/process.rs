//! The process that delivers: the engine, and a dispatcher that dies now and then.

use std::time::Duration;

use common::ChannelKind;
use consumer::{
    application::engine::{
        Action, Answered, ChannelTraits, Engine, EngineSettings, Event, SendOrder,
    },
    domain::{Answer, LeaseKey},
    ports::{Pace, Received, TextLimit},
};
use rand::RngExt;

use crate::{
    promises::{BURST, MAX_PER_HOST, RATE},
    service::{Character, Content, Place},
    told::Told,
    world::{Happening, LANES, TENANTS, World, plain},
};

pub(crate) const MAX_IN_FLIGHT: usize = 96;
const MAX_UNRECORDED: usize = 64;
/// The longest message, in characters.
const LONGEST: usize = 300;
/// Deliveries that fit in memory.
pub(crate) const MEMORY: usize = 600;
/// A delivery to a quiet destination begins at most that long after its
/// acceptance, or after the start of the process that finds it. Slow writes, which
/// hold up everybody, and the backlog that a start finds are included.
const QUIET_LIMIT: Duration = Duration::from_secs(3);

impl World {
    pub(crate) fn start(&mut self) {
        let settings = EngineSettings {
            max_in_flight: MAX_IN_FLIGHT,
            max_in_flight_per_host: MAX_PER_HOST,
            memory_leases: MEMORY,
            lane_leases: 16,
            max_unrecorded_attempts: MAX_UNRECORDED,
            max_unrecorded_parks: 200,
            channels: [(ChannelKind::SLACK, true), (plain(), false)]
                .map(|(kind, digests)| ChannelTraits {
                    kind,
                    pace: Pace {
                        per_second: Some(RATE),
                        burst: BURST,
                    },
                    limit: TextLimit {
                        most: LONGEST,
                        width: |text| text.chars().count(),
                    },
                    digest_after: digests.then_some(Duration::from_secs(10)),
                })
                .to_vec(),
            ..EngineSettings::default()
        };
        self.run += 1;
        self.began = self.now;
        self.stopping = false;
        self.wake = None;
        self.engine = Some(Engine::new(settings, self.rng.random()));
        let parked = self.queue.restart();
        self.tell(Event::ParkedLanes(parked));

        let seconds = match self.left_to_accept {
            // Now and then one lives long enough for something to be given up.
            0 if self.rng.random_bool(0.1) => 60..40 * 3600,
            0 => 60..3000,
            _ => 1..40,
        };
        let life = Duration::from_secs(self.rng.random_range(seconds));
        let gently = self.rng.random_bool(0.2);
        self.after(
            life,
            Happening::End {
                run: self.run,
                gently,
            },
        );
        self.actions_left = self
            .rng
            .random_bool(0.3)
            .then(|| self.rng.random_range(1..5000));
        if self.clocks_to_set > 0 && self.rng.random_bool(0.3) {
            self.clocks_to_set -= 1;
            let moment = self.micros(0, 20_000_000);
            self.after(moment, Happening::SetClock);
        }
    }

    pub(crate) fn end(&mut self, gently: bool) {
        if gently {
            self.stopping = true;
            return self.tell(Event::Draining);
        }
        self.crash();
    }

    fn crash(&mut self) {
        // The last write may have reached the disk, though nobody heard of it.
        if self.rng.random_bool(0.5) {
            self.write(true);
        }
        let open = self.gone();
        self.crashes += 1;
        assert!(
            open as usize <= MAX_IN_FLIGHT + MAX_UNRECORDED,
            "{open} requests at a crash"
        );
    }

    /// The process is no more; answers how many requests had begun and were not
    /// recorded.
    fn gone(&mut self) -> u32 {
        self.engine = None;
        self.told = Told::default();
        self.queue.gone();
        self.run += 1;
        self.decided.clear();
        self.writing.clear();
        self.decisions = 0;
        self.writes = 0;
        let pause = self.micros(10_000, 3_000_000);
        self.after(pause, Happening::Start);
        let begun = self.promises.all_open();
        let open = self
            .promises
            .crashed(std::mem::take(&mut self.clock_was_set));
        self.conclude_all(begun);
        open
    }

    pub(crate) fn tell(&mut self, event: Event) {
        let now = self.clocks();
        if let Some(engine) = &mut self.engine {
            engine.handle(now, event);
        }
    }

    /// What the dispatcher does between two events.
    pub(crate) fn drive(&mut self) {
        let now = self.clocks();
        self.queue.tick(self.now);
        while let Some(mut engine) = self.engine.take() {
            while let Some(action) = engine.next_action(now) {
                self.perform(action);
                if let Some(left) = &mut self.actions_left {
                    *left -= 1;
                    if *left == 0 {
                        self.actions_left = None;
                        return self.crash();
                    }
                }
            }
            self.told.look(&engine, now);
            if self.writing.is_empty() && !self.decided.is_empty() {
                self.writing = std::mem::take(&mut self.decided);
                // Now and then the disk is slow.
                let longest = if self.rng.random_bool(0.02) {
                    500_000
                } else {
                    8_000
                };
                let span = self.micros(300, longest);
                self.after(span, Happening::Written { run: self.run });
            }
            self.most_held = self.most_held.max(engine.counts().held);
            assert!(
                self.most_held <= MEMORY + 4 * LANES + 32 * MAX_IN_FLIGHT,
                "{} deliveries are in memory at once",
                self.most_held
            );
            assert!(
                engine.counts().in_flight <= MAX_IN_FLIGHT,
                "too many requests under way"
            );
            let room = engine.room().min(self.rng.random_range(1..300));
            let received = if room > 0 {
                self.queue.receive(room)
            } else {
                None
            };
            let over = self.stopping && engine.idle() && self.writing.is_empty();
            let wake = engine.next_wake();
            self.engine = Some(engine);
            match received {
                Some(Received::Leases(leases)) => self.tell(Event::Received(leases)),
                Some(Received::Cancelled(keys)) => self.tell_cancelled(keys),
                Some(Received::CaughtUp) => self.tell(Event::CaughtUp),
                None if over => {
                    let open = self.gone();
                    assert_eq!(open, 0, "a gentle end leaves nothing unrecorded");
                }
                None => return self.wake_at(wake),
            }
        }
    }

    fn wake_at(&mut self, wake: Option<Duration>) {
        let Some(at) = wake.map(|mono| self.began + mono) else {
            return;
        };
        assert!(at > self.now, "the engine asks to be woken in the past");
        if self.wake.is_none_or(|planned| at < planned) {
            self.wake = Some(at);
            self.after(at - self.now, Happening::Wake { run: self.run });
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Send(order) => self.send(order),
            Action::Settle { settlement, .. } => {
                self.decisions += 1;
                self.decided.push(settlement);
            }
            Action::Unpark {
                destination,
                severity,
                after,
                room,
            } => {
                let span = self.micros(0, 5_000);
                let run = self.run;
                self.after(
                    span,
                    Happening::Fetch {
                        run,
                        destination,
                        severity,
                        after,
                        room,
                    },
                );
            }
            Action::Report(change) => self.told.hear(change),
        }
    }

    fn send(&mut self, order: SendOrder) {
        let lease = &order.lease;
        let sequence = lease.position.sequence;
        self.queue.begins(lease.key());
        self.mark(sequence);
        let place = &self.places[&lease.destination.id];
        if place.character == Character::Quiet && !self.promises.was_tried(sequence) {
            let waited = self.now - self.queue.row(sequence).accepted_at.max(self.began);
            assert!(
                waited <= QUIET_LIMIT,
                "{sequence} was held up for {waited:?}"
            );
        }
        let carried: Box<[LeaseKey]> = match &lease.digest {
            None => {
                assert!(
                    self.queue.digest(sequence).is_none(),
                    "{sequence} is folded"
                );
                [lease.key()].into()
            }
            Some(digest) => {
                let on_record = self.queue.digest(sequence);
                let (recorded, members) = on_record.expect("a digest is durable before it goes");
                assert_eq!(digest, recorded, "a digest never changes");
                assert!(digest.text.chars().count() <= LONGEST);
                for member in members {
                    let lease = &self.queue.row(member.position.sequence).lease;
                    let message = &lease.alert.message;
                    assert!(digest.text.contains(&**message), "{message} is not named");
                }
                members.into()
            }
        };
        let queue = &self.queue;
        let takes = carried.iter().flat_map(|key| {
            let sequence = key.position.sequence;
            let parts = match queue.row(sequence).content {
                Content::Good(parts) if lease.digest.is_some() => 0..parts,
                _ => order.part..order.part + 1,
            };
            parts.map(move |part| (sequence, part))
        });
        let takes: Box<[(u64, u16)]> = takes.collect();
        self.promises
            .begun(self.now, lease, &carried, takes.clone());
        let unrecorded = self.promises.unrecorded();
        assert!(
            unrecorded <= MAX_IN_FLIGHT + MAX_UNRECORDED,
            "{unrecorded} requests could be repeated"
        );

        let contents = carried
            .iter()
            .map(|key| self.queue.row(key.position.sequence).content);
        // One that cannot be taken spoils the whole digest.
        let content = contents
            .max_by_key(Content::badness)
            .unwrap_or(Content::Good(1));
        let parts = match content {
            Content::Good(parts) if lease.digest.is_none() => parts,
            Content::Good(_) | Content::Bad | Content::Impossible => 1,
        };
        assert!(order.part < parts);
        assert!((0..order.part).all(|part| self.promises.has(sequence, part)));
        let place = self.places.get_mut(&lease.destination.id).unwrap();
        let house = self.houses.entry(place.character).or_default();
        let response = if place.character == Character::Tenant && lease.credential.id != TENANTS {
            Place::new(Character::Healthy).request(self.now, content, house, &mut self.rng)
        } else {
            place.request(self.now, content, house, &mut self.rng)
        };
        if response.taken {
            let lost = matches!(response.answer, Answer::MaybeAccepted { .. });
            for (sequence, part) in takes {
                self.promises.taken(sequence, part);
                if lost {
                    self.promises.lost(sequence, part);
                }
            }
        }
        let answered = Box::new(Answered {
            ticket: order.ticket,
            answer: response.answer,
            parts,
            started_at: self.clocks().utc,
            took: response.took,
        });
        let run = self.run;
        self.after(
            response.took,
            Happening::Answer {
                run,
                lease: order.lease,
                answered,
            },
        );
    }

    /// What is being written is on disk now: how many, how many with an attempt. Where
    /// the process dies of it, some of it may not be.
    pub(crate) fn write(&mut self, dies: bool) -> (usize, usize) {
        let written = std::mem::take(&mut self.writing);
        self.writes += written.len() as u64;
        for (index, ended) in self.queue.write(&written, dies) {
            let settlement = &written[index];
            let waits = self.queue.waits(settlement.lease.position.sequence);
            self.promises.recorded(settlement, waits);
            for sequence in ended {
                self.conclude(sequence);
            }
        }
        let attempts = written
            .iter()
            .filter(|settlement| settlement.attempt.is_some())
            .count();
        (written.len(), attempts)
    }
}
