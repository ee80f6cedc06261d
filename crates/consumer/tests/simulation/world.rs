//! The world: what happens when, who accepts what, and whether all ended well.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid, Now,
    Recipients, Secret, Severity, UtcMillis,
};
use consumer::{
    application::engine::{Answered, Engine, Event},
    domain::{Answer, Lease, Position, Progress, Settlement},
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    process::{MAX_IN_FLIGHT, MEMORY},
    promises::Promises,
    queue::{Queue, State},
    service::{Character, Content, House, Place},
};

const LANES: usize = 400;
const HOUSED_LANES: usize = 70;
const TENANT_LANES: usize = 30;
const QUIET_LANES: usize = 20;
/// The credential that tenants share, which is revoked now and then.
pub(crate) const TENANTS: CredentialId = CredentialId(1);
const START_UTC: i64 = 1_800_000_000_000;

/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Accept,
    Answer {
        run: u32,
        lease: Arc<Lease>,
        answered: Box<Answered>,
    },
    Written {
        run: u32,
    },
    Fetched {
        run: u32,
        destination: DestinationId,
        severity: Severity,
        leases: Vec<Lease>,
    },
    Fetch {
        run: u32,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    },
    Wake {
        run: u32,
    },
    End {
        gently: bool,
    },
    Start,
    SetClock,
}

struct Scheduled {
    at: Duration,
    number: u64,
    happening: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Everything: the service, the queue, and the process that delivers.
pub(crate) struct World {
    pub(crate) rng: Xoshiro256PlusPlus,
    pub(crate) now: Duration,
    /// What the wall clock shows beyond the simulated time, in milliseconds.
    pub(crate) utc_offset: i64,
    pub(crate) clock_was_set: bool,
    agenda: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,

    pub(crate) queue: Queue,
    pub(crate) promises: Promises,
    pub(crate) places: HashMap<DestinationId, Place>,
    pub(crate) destinations: Vec<Arc<Destination>>,
    pub(crate) contents: Vec<Content>,
    pub(crate) accepted_at: Vec<Duration>,
    pub(crate) left_to_accept: u64,

    pub(crate) run: u32,
    pub(crate) began: Duration,
    pub(crate) engine: Option<Engine>,
    pub(crate) stopping: bool,
    pub(crate) wake: Option<Duration>,
    /// Decided, not being written yet; and being written.
    pub(crate) decided: Vec<Settlement>,
    pub(crate) writing: Vec<Settlement>,
    pub(crate) most_held: usize,
    pub(crate) crashes: u32,
    pub(crate) clocks_to_set: u32,
    pub(crate) next_quiet: usize,
    pub(crate) gtid: Gtid,
    pub(crate) houses: HashMap<Character, House>,
    /// One a destination, and the one that tenants share.
    pub(crate) credentials: Vec<Arc<Credential>>,
    tenants: Arc<Credential>,
}

/// A kind of channel that is never sent digests.
pub(crate) fn plain() -> ChannelKind {
    ChannelKind::new("plain")
}

fn credential(id: CredentialId) -> Arc<Credential> {
    Arc::new(Credential {
        id,
        secret: Secret::new("token"),
    })
}

impl World {
    pub(crate) fn new(seed: u64, deliveries: u64) -> Self {
        let mut world = Self {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            now: Duration::ZERO,
            utc_offset: START_UTC,
            clock_was_set: false,
            agenda: BinaryHeap::new(),
            scheduled: 0,
            queue: Queue::default(),
            promises: Promises::default(),
            places: HashMap::new(),
            destinations: Vec::new(),
            contents: Vec::new(),
            accepted_at: Vec::new(),
            left_to_accept: deliveries,
            run: 0,
            began: Duration::ZERO,
            engine: None,
            stopping: false,
            wake: None,
            decided: Vec::new(),
            writing: Vec::new(),
            most_held: 0,
            crashes: 0,
            clocks_to_set: 10,
            next_quiet: 0,
            gtid: Gtid::random(),
            houses: HashMap::new(),
            credentials: (0..LANES as i64)
                .map(|index| credential(CredentialId(1000 + index)))
                .collect(),
            tenants: credential(TENANTS),
        };
        for index in 0..LANES {
            let character = match index {
                _ if index < QUIET_LANES => Character::Quiet,
                _ if index < QUIET_LANES + HOUSED_LANES => Character::Housed,
                _ if index < QUIET_LANES + HOUSED_LANES + TENANT_LANES => Character::Tenant,
                _ if index % 100 == 99 => Character::Gone,
                _ => [
                    Character::Healthy,
                    Character::Healthy,
                    Character::Slow,
                    Character::Limited,
                    Character::Flaky,
                    Character::Forgetful,
                ][index % 6],
            };
            let kind = if index % 2 == 0 {
                ChannelKind::SLACK
            } else {
                plain()
            };
            let host = match character {
                Character::Housed => "https://house",
                _ => "",
            };
            let destination = Destination::new(kind, host, &index.to_string());
            world.places.insert(destination.id, Place::new(character));
            world.destinations.push(Arc::new(destination));
        }
        world.after(Duration::ZERO, Happening::Start);
        world.after(Duration::ZERO, Happening::Accept);
        world
    }

    pub(crate) fn clocks(&self) -> Now {
        let millis = i64::try_from(self.now.as_millis()).unwrap();
        Now {
            mono: self.now - self.began,
            utc: UtcMillis(self.utc_offset + millis),
        }
    }

    pub(crate) fn after(&mut self, span: Duration, happening: Happening) {
        self.scheduled += 1;
        let scheduled = Scheduled {
            at: self.now + span,
            number: self.scheduled,
            happening,
        };
        self.agenda.push(Reverse(scheduled));
    }

    pub(crate) fn micros(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.rng.random_range(from..to))
    }

    pub(crate) fn run_to_the_end(&mut self) {
        while self.left_to_accept > 0 || self.queue.unfinished() > 0 {
            let Some(Reverse(next)) = self.agenda.pop() else {
                panic!("{} deliveries never end", self.queue.unfinished());
            };
            self.now = next.at;
            self.happen(next.happening);
            self.drive();
        }
        self.look_at_every_end();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Accept => self.accept(),
            Happening::Start => self.start(),
            Happening::End { gently } => self.end(gently),
            // One that is set while no process runs is as good as time that passed.
            Happening::SetClock if self.engine.is_some() => {
                self.utc_offset += self.rng.random_range(-3_600_000..3_600_000);
                self.clock_was_set = true;
            }
            Happening::Answer {
                run,
                lease,
                answered,
            } if run == self.run => {
                let own = [lease.key()];
                let carried = match self.queue.digest(lease.position.sequence) {
                    Some((_, members)) if lease.digest.is_some() => members,
                    _ => &own,
                };
                self.promises
                    .answered(self.now, &lease, carried, &answered.answer);
                if let Answer::Refused(refusal) = &answered.answer
                    && let Some(span) = refusal.retry_after
                {
                    self.promises.asked(lease.destination.id, self.now + span);
                }
                self.tell(Event::Answered(*answered));
            }
            Happening::Written { run } if run == self.run => {
                let (settlements, attempts) = self.write();
                self.tell(Event::Recorded {
                    settlements,
                    attempts,
                });
            }
            Happening::Fetch {
                run,
                destination,
                severity,
                after,
                room,
            } if run == self.run => {
                let leases = self.queue.unpark(destination, severity, after, room);
                let span = self.micros(0, 5_000);
                self.after(
                    span,
                    Happening::Fetched {
                        run,
                        destination,
                        severity,
                        leases,
                    },
                );
            }
            Happening::Fetched {
                run,
                destination,
                severity,
                leases,
            } if run == self.run => {
                self.tell(Event::Unparked {
                    destination,
                    severity,
                    leases,
                });
            }
            Happening::Wake { run } if run == self.run => self.wake = None,
            // Of a process that is no more.
            Happening::Answer { .. }
            | Happening::Written { .. }
            | Happening::Fetch { .. }
            | Happening::Fetched { .. }
            | Happening::Wake { .. }
            | Happening::SetClock => {}
        }
    }

    /// An alert, or a storm of them to one destination.
    pub(crate) fn accept(&mut self) {
        let severity = match self.rng.random_range(0..10) {
            0 => Severity::High,
            1..=6 => Severity::Normal,
            _ => Severity::Low,
        };
        if self.rng.random_bool(0.005) {
            let lane = self.rng.random_range(QUIET_LANES..LANES);
            for _ in 0..self.rng.random_range(10..300) {
                self.accept_one(lane, severity);
            }
        } else {
            for _ in 0..self.rng.random_range(1..=5) {
                let lane = self.rng.random_range(QUIET_LANES..LANES);
                self.accept_one(lane, severity);
            }
        }
        // One quiet destination after the other, so each gets one in seconds.
        if self.rng.random_bool(0.05) {
            self.next_quiet = (self.next_quiet + 1) % QUIET_LANES;
            self.accept_one(self.next_quiet, severity);
        }
        if self.left_to_accept > 0 {
            let pause = self.micros(0, 50_000);
            self.after(pause, Happening::Accept);
        }
    }

    pub(crate) fn accept_one(&mut self, lane: usize, severity: Severity) {
        if self.left_to_accept == 0 {
            return;
        }
        self.left_to_accept -= 1;
        let content = match self.rng.random_range(0..1000) {
            _ if lane < QUIET_LANES => Content::Good(1),
            0..10 => Content::Bad,
            10..15 => Content::Impossible,
            15..65 => Content::Good(self.rng.random_range(2..5)),
            _ => Content::Good(1),
        };
        // A tenant's channel is used with another token now and then.
        let is_tenant =
            (QUIET_LANES + HOUSED_LANES..QUIET_LANES + HOUSED_LANES + TENANT_LANES).contains(&lane);
        let credential = if is_tenant && self.rng.random_bool(0.8) {
            &self.tenants
        } else {
            &self.credentials[lane]
        };
        self.contents.push(content);
        self.accepted_at.push(self.now);
        let alert = Alert {
            id: AlertId(Default::default()),
            gtid: self.gtid.clone(),
            severity,
            message: match self.rng.random_range(0..4) {
                0 => "node1 down".into(),
                _ => format!("m{}.", self.queue.next_sequence()).into(),
            },
            targets: Box::default(),
            accepted_at: self.clocks().utc,
        };
        self.queue.accept(Lease {
            position: Position {
                sequence: self.queue.next_sequence(),
                ordinal: 0,
            },
            alert: Arc::new(alert),
            destination: Arc::clone(&self.destinations[lane]),
            credential: Arc::clone(credential),
            recipients: Recipients::new(),
            progress: Progress::default(),
            digest: None,
        });
    }

    fn look_at_every_end(&self) {
        let mut dead = 0;
        for sequence in 0..self.queue.next_sequence() {
            let content = self.contents[usize::try_from(sequence).unwrap()];
            let place = &self.places[&self.queue.lease(sequence).destination.id];
            match (self.queue.state(sequence), content) {
                (State::Delivered, Content::Good(parts)) => {
                    assert!((0..parts).all(|part| self.promises.has(sequence, part)));
                }
                (State::Dead, Content::Bad | Content::Impossible) => dead += 1,
                (State::Dead, Content::Good(_)) if place.is_hopeless() => dead += 1,
                (State::Dead, Content::Good(_)) if self.promises.condemned.contains(&sequence) => {
                    dead += 1;
                }
                (state, content) => {
                    panic!(
                        "{sequence} ({content:?}, {:?}) ended {state:?}",
                        place.character
                    );
                }
            }
        }
        assert!(
            self.most_held <= MEMORY + 4 * LANES + 32 * MAX_IN_FLIGHT,
            "{} deliveries were in memory at once",
            self.most_held
        );
        println!(
            "{} deliveries in {} h: {dead} dead, {} folded, {} digests taken apart, {} sent twice, {} crashes with at most {} requests \
             unrecorded, at most {} in memory",
            self.queue.next_sequence(),
            self.now.as_secs() / 3600,
            self.queue.folded,
            self.queue.taken_apart,
            self.promises.repeated,
            self.crashes,
            self.promises.worst_crash,
            self.most_held,
        );
    }
}
