//! The world: what happens when, who accepts what, and whether all ended well.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid, Now,
    Recipients, Secret, Severity, UtcMillis,
};
use consumer::{
    application::engine::{Answered, Engine, Event},
    domain::{Answer, Lease, LeaseKey, Position, Progress, Settlement},
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use crate::{
    promises::Promises,
    queue::{Queue, State},
    service::{Character, Content, House, Place},
};

pub(crate) const LANES: usize = 400;
const HOUSED_LANES: usize = 70;
const TENANT_LANES: usize = 30;
const QUIET_LANES: usize = 20;
/// The credential that tenants share, which is revoked now and then.
pub(crate) const TENANTS: CredentialId = CredentialId(1);
const START_UTC: i64 = 1_800_000_000_000;
/// With so many that have not ended the store is full, and nothing is accepted.
const STORE: usize = 200_000;
/// Nothing is on its way for longer: 72 hours, a last chance, and what restarts and
/// clocks that are set add to it.
const LONGEST_WAY: Duration = Duration::from_secs(84 * 3600);
/// A delivery is dead for its age after so long at the earliest: in one process, and
/// in all.
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);
const MAX_AGE_IN_ALL: Duration = Duration::from_secs(72 * 3600);

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
    pub(crate) stopping: bool,
    pub(crate) wake: Option<Duration>,
    /// Decided, not being written yet; and being written.
    pub(crate) decided: Vec<Settlement>,
    pub(crate) writing: Vec<Settlement>,
    /// Settlements decided and written so far, by this process.
    pub(crate) decisions: u64,
    pub(crate) writes: u64,
    /// Cancelled, and this process knows; what it decided before is on its way.
    fading: VecDeque<(u64, u64)>,
    /// After so many more actions the process dies.
    pub(crate) actions_left: Option<u32>,
    pub(crate) most_held: usize,
    most_unfinished: usize,
    dead: u64,
    dead_of_age: u64,
    cancelled: u64,
    /// By how much the wall clock was set, all told.
    set_by: Duration,
    /// Two runs of one seed end with the same.
    pub(crate) fingerprint: u64,
    pub(crate) crashes: u32,
    pub(crate) clocks_to_set: u32,
    pub(crate) next_quiet: usize,
    pub(crate) gtid: Gtid,
    pub(crate) houses: HashMap<Character, House>,
    /// One a destination, and the one that tenants share.
    pub(crate) credentials: Vec<Arc<Credential>>,
    tenants: Arc<Credential>,
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

    /// Nothing is on its way for ever.
    fn look_at_the_oldest(&mut self) {
        self.most_unfinished = self.most_unfinished.max(self.queue.unfinished());
        if let Some(sequence) = self.queue.unfinished_from(0) {
            let age = self.now - self.queue.row(sequence).accepted_at;
            assert!(
                age <= LONGEST_WAY + self.set_by,
                "{sequence} has not ended after {age:?}"
            );
        }
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
                let (settlements, attempts) = self.write();
                self.let_fade();
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

    /// Somebody cancels something that is on its way, or a few of them.
    fn cancel(&mut self) {
        if self.queue.unfinished() == 0 && self.left_to_accept == 0 {
            return;
        }
        let next = self.queue.next_sequence();
        let from = match self.rng.random_bool(0.5) {
            // Just accepted; or anything that is left.
            true => next.saturating_sub(self.rng.random_range(1..500)),
            false => self.rng.random_range(0..next.max(1)),
        };
        let (most, longest) = match self.left_to_accept {
            0 => (2, 10_000_000_000),
            _ => (20, 10_000_000),
        };
        for sequence in from..from + self.rng.random_range(1..most) {
            if let Some(sequence) = self.queue.unfinished_from(sequence) {
                let forgets = self.queue.cancel(sequence);
                if let Some((lane, is_known)) = forgets {
                    let is_known = is_known && self.engine.is_some();
                    self.promises.forgets_what_was_asked(lane, is_known);
                }
            }
        }
        let pause = self.micros(0, longest);
        self.after(pause, Happening::Cancel);
    }

    /// An alert, or a storm of them to one destination.
    pub(crate) fn accept(&mut self) {
        let severity = match self.rng.random_range(0..10) {
            0 => Severity::High,
            1..=6 => Severity::Normal,
            _ => Severity::Low,
        };
        if self.rng.random_bool(0.005) {
            let lane = self.loud_lane();
            for _ in 0..self.rng.random_range(10..300) {
                self.accept_one(lane, severity);
            }
        } else {
            for _ in 0..self.rng.random_range(1..=5) {
                let lane = self.loud_lane();
                self.accept_one(lane, severity);
            }
        }
        // One quiet destination after the other, so each gets one in seconds.
        if self.rng.random_bool(0.05) {
            self.next_quiet = (self.next_quiet + 1) % QUIET_LANES;
            self.accept_one(self.next_quiet, severity);
        }
        if self.left_to_accept == 0 {
            return;
        }
        if self.queue.unfinished() > STORE {
            let pause = self.micros(0, 10_000_000);
            self.after(pause, Happening::Accept);
        } else {
            let pause = self.micros(0, 50_000);
            self.after(pause, Happening::Accept);
        }
    }

    /// A destination that is not quiet; less often one that is seldom or never well,
    /// or all that is left would be its backlog.
    fn loud_lane(&mut self) -> usize {
        loop {
            let lane = self.rng.random_range(QUIET_LANES..LANES);
            let place = &self.places[&self.destinations[lane].id];
            let share = match place.character {
                Character::Gone => 0.1,
                Character::Housed | Character::Tenant => 0.4,
                _ => 1.0,
            };
            if self.rng.random_bool(share) {
                return lane;
            }
        }
    }

    pub(crate) fn accept_one(&mut self, lane: usize, severity: Severity) {
        if self.left_to_accept == 0 {
            return;
        }
        self.left_to_accept -= 1;
        let content = match self.rng.random_range(0..1000) {
            _ if lane < QUIET_LANES => Content::Good(1),
            0..3 => Content::Bad,
            3..5 => Content::Impossible,
            5..55 => Content::Good(self.rng.random_range(2..5)),
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
        let lease = Lease {
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
        };
        self.queue.accept(lease, content, self.now);
    }

    /// These were cancelled, and the process is told.
    pub(crate) fn tell_cancelled(&mut self, keys: Vec<LeaseKey>) {
        for key in &keys {
            self.fading
                .push_back((key.position.sequence, self.decisions));
        }
        self.tell(Event::Cancelled(keys));
    }

    /// Forgets what is cancelled once all that was decided before is written.
    fn let_fade(&mut self) {
        for _ in 0..self.fading.len() {
            let Some((sequence, _)) = self.fading.pop_front_if(|(_, at)| *at <= self.writes) else {
                return;
            };
            if self.promises.is_open(sequence) {
                self.fading.push_back((sequence, self.decisions));
            } else {
                self.conclude(sequence);
            }
        }
    }

    /// The process is no more, and with it what it had begun.
    pub(crate) fn conclude_all(&mut self, open: Vec<u64>) {
        let fading = std::mem::take(&mut self.fading);
        let fading = fading.into_iter().map(|(sequence, _)| sequence);
        for sequence in fading.chain(self.queue.untold()).chain(open) {
            self.conclude(sequence);
        }
    }

    /// Looks at the end of a delivery, if it is one, and forgets it.
    pub(crate) fn conclude(&mut self, sequence: u64) {
        if self.promises.is_open(sequence) {
            return;
        }
        let Some(row) = self.queue.forget(sequence) else {
            return;
        };
        let story = self.promises.end(sequence);
        let place = &self.places[&row.lease.destination.id];
        let is_well = match (row.state, row.content) {
            (State::Delivered, Content::Good(parts)) => story.has_all(parts),
            (State::Dead, _) if row.reason.starts_with("given up after") => {
                self.dead_of_age += 1;
                let age = self.now - row.accepted_at;
                let is_old = age + self.set_by >= MAX_AGE_IN_ALL
                    || age.min(self.now - self.began) >= MAX_AGE;
                is_old && (place.is_hopeless() || story.condemned)
            }
            (State::Dead, Content::Good(_)) => story.condemned,
            (State::Dead, Content::Bad | Content::Impossible) => true,
            (State::Cancelled, _) => true,
            _ => false,
        };
        assert!(
            is_well,
            "{sequence} ({:?}, {:?}) ended {:?}: {}",
            row.content, place.character, row.state, row.reason
        );
        self.dead += u64::from(row.state == State::Dead);
        self.cancelled += u64::from(row.state == State::Cancelled);
        self.mark(sequence);
    }

    /// Makes the run's fingerprint depend on this.
    pub(crate) fn mark(&mut self, number: u64) {
        let mixed = self.fingerprint ^ number ^ (self.now.as_nanos() as u64).rotate_left(32);
        self.fingerprint = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }

    fn summary(&self) -> String {
        format!(
            "{} deliveries in {} h: {} dead, {} of them of age, {} cancelled, {} folded, \
             {} digests taken apart, {} sent twice, {} crashes with at most {} requests \
             unrecorded, at most {} in memory and {} on their way",
            self.queue.next_sequence(),
            self.now.as_secs() / 3600,
            self.dead,
            self.dead_of_age,
            self.cancelled,
            self.queue.folded,
            self.queue.taken_apart,
            self.promises.repeated,
            self.crashes,
            self.promises.worst_crash,
            self.most_held,
            self.most_unfinished,
        )
    }
}
