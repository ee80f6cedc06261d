//! The world: what happens when, who accepts what, and whether all ended well.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use common::{
    ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid, Now, Secret, Severity,
    UtcMillis,
};
use consumer::{
    application::engine::{Answered, Engine, Event},
    domain::{Answer, Lease, Position, Settlement},
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    promises::Promises,
    queue::Queue,
    service::{Character, House, Place},
    told::Told,
};

pub(crate) const LANES: usize = 400;
pub(crate) const HOUSED_LANES: usize = 70;
pub(crate) const TENANT_LANES: usize = 30;
pub(crate) const QUIET_LANES: usize = 20;
/// The credential that tenants share, which is revoked now and then.
pub(crate) const TENANTS: CredentialId = CredentialId(1);
const START_UTC: i64 = 1_800_000_000_000;
/// Something that is going to happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Accept,
    Cancel,
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
        run: u32,
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
    pub(crate) left_to_accept: u64,

    pub(crate) run: u32,
    pub(crate) began: Duration,
    pub(crate) engine: Option<Engine>,
    pub(crate) told: Told,
    pub(crate) stopping: bool,
    pub(crate) wake: Option<Duration>,
    /// Decided, not being written yet; and being written.
    pub(crate) decided: Vec<Settlement>,
    pub(crate) writing: Vec<Settlement>,
    /// Settlements decided and written so far, by this process.
    pub(crate) decisions: u64,
    pub(crate) writes: u64,
    /// Cancelled, and this process knows; what it decided before is on its way.
    pub(crate) fading: VecDeque<(u64, u64)>,
    /// After so many more actions the process dies.
    pub(crate) actions_left: Option<u32>,
    pub(crate) most_held: usize,
    pub(crate) most_unfinished: usize,
    pub(crate) dead: u64,
    pub(crate) dead_of_age: u64,
    pub(crate) cancelled: u64,
    /// By how much the wall clock was set, all told.
    pub(crate) set_by: Duration,
    /// Two runs of one seed end with the same.
    pub(crate) fingerprint: u64,
    pub(crate) crashes: u32,
    pub(crate) clocks_to_set: u32,
    pub(crate) next_quiet: usize,
    pub(crate) gtid: Gtid,
    pub(crate) houses: HashMap<Character, House>,
    /// One a destination, and the one that tenants share.
    pub(crate) credentials: Vec<Arc<Credential>>,
    pub(crate) tenants: Arc<Credential>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "after {} deliveries in {:.1} s",
                self.queue.next_sequence(),
                self.now.as_secs_f64()
            );
        }
    }
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
            left_to_accept: deliveries,
            run: 0,
            began: Duration::ZERO,
            engine: None,
            told: Told::default(),
            stopping: false,
            wake: None,
            decided: Vec::new(),
            writing: Vec::new(),
            decisions: 0,
            writes: 0,
            fading: VecDeque::new(),
            actions_left: None,
            most_held: 0,
            most_unfinished: 0,
            dead: 0,
            dead_of_age: 0,
            cancelled: 0,
            set_by: Duration::ZERO,
            fingerprint: 0,
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
        world.after(Duration::from_secs(1), Happening::Cancel);
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
            self.look_at_the_oldest();
        }
        println!("{}", self.summary());
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Accept => self.accept(),
            Happening::Start => self.start(),
            Happening::End { run, gently } if run == self.run => self.end(gently),
            // One that is set while no process runs is as good as time that passed.
            Happening::SetClock if self.engine.is_some() => {
                let by: i64 = self.rng.random_range(-3_600_000..3_600_000);
                self.utc_offset += by;
                self.set_by += Duration::from_millis(by.unsigned_abs());
                self.clock_was_set = true;
            }
            Happening::Cancel => self.cancel(),
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
                let (settlements, attempts) = self.write(false);
                self.let_fade();
                let unfolded = self.queue.take_unfolded();
                if !unfolded.is_empty() {
                    self.tell(Event::Unfolded(unfolded));
                }
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
            | Happening::End { .. }
            | Happening::SetClock => {}
        }
    }
}
