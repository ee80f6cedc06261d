//! Load on the scaled-out form while its processes and servers die at random, and what must
//! hold then.
//!
//! | what | must be |
//! |---|---|
//! | accepted (a 200 was read) and not delivered to everybody | 0 |
//! | without an answer and delivered to some alone | 0 |
//! | refused for certain, and delivered | 0 |
//! | first arrivals at a destination out of the order of acceptance, within a severity | 0 |
//! | delivered twice | at most the cap |
//! | in the history otherwise than delivered | 0 |
//!
//! The cap: the requests that the mockup had read and that no topic had on record when a
//! consumer or a broker was killed, or a consumer suspended; and those whose answer the
//! mockup was told to lose.

mod events;
mod verdict;

use std::{
    collections::BTreeMap,
    fmt,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

pub use events::Kind;
pub use verdict::Report;

use super::{Clients, Sent, Site, SiteOptions, TopicReader};
use crate::{
    harness::{Alert, Directory, wait_for},
    services::{Kafka, KafkaOptions, Postgres},
};
use verdict::Stop;

/// Longer than everything takes to be delivered once nothing fails any more.
const DRAIN: Duration = Duration::from_secs(240);
const USERS: usize = 60;
const CLIENTS: usize = 12;

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What is chosen at random is chosen by this.
    pub seed: u64,
    /// How long load and faults last; each kind of fault comes once at least.
    pub lasts: Duration,
    /// Between two faults, at most.
    pub pause: Duration,
    /// Between two alerts of one of the clients.
    pub client_pause: Duration,
}

/// Three brokers, a database, two producers, three consumers, and a mockup that is slow
/// and fails.
pub struct Chaos {
    plan: Plan,
    rng: StdRng,
    kafka: Kafka,
    postgres: Postgres,
    database: String,
    site: Site,
    topics: TopicReader,
    stops: Vec<Stop>,
    counts: BTreeMap<Kind, usize>,
}

impl Chaos {
    /// All started, and all ready.
    pub fn start(plan: Plan) -> Self {
        let kafka = KafkaOptions::new(3).for_load().start();
        let postgres = Postgres::start();
        let options = SiteOptions::on(&kafka, &postgres);
        let database = options.database_name().to_owned();
        let mut directory = Directory::of_users(USERS);
        let mut rng = StdRng::seed_from_u64(plan.seed);
        for _ in 0..12 {
            let members = (0..8).map(|_| rng.random_range(0..USERS));
            let members: std::collections::BTreeSet<usize> = members.collect();
            directory.add_group(members.into_iter().collect());
        }
        let site = Site::start(options, directory, 2, 3);
        site.mockup.set_faults(&json!({
            "latencyMs": 50, "jitterMs": 20, "errorRate": 0.02, "loseAnswerRate": 0.002,
        }));
        Self {
            topics: site.topics(),
            plan,
            rng,
            kafka,
            postgres,
            database,
            site,
            stops: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Load and faults, then peace until all has ended; and what is to be said of it.
    pub fn run(&mut self) -> Report {
        let begun = Instant::now();
        let clients = self.load();
        let mut first: Vec<Kind> = Kind::ALL.into();
        while begun.elapsed() < self.plan.lasts || !first.is_empty() {
            let most = self.plan.pause.as_millis() as u64;
            sleep(Duration::from_millis(
                self.rng.random_range(most / 4..=most),
            ));
            let kind = match first.is_empty() {
                false => first.remove(self.rng.random_range(0..first.len())),
                true => *Kind::ALL.choose(&mut self.rng).expect("there are kinds"),
            };
            println!("{:>6.1} s: {kind:?}", begun.elapsed().as_secs_f64());
            self.happen(kind);
            *self.counts.entry(kind).or_default() += 1;
        }
        let sent = clients.stop();
        println!(
            "{:>6.1} s: the load has ended, {} alerts",
            begun.elapsed().as_secs_f64(),
            sent.len()
        );
        self.site.mockup.set_faults(&json!({}));
        self.drain();
        println!("{:>6.1} s: all has ended", begun.elapsed().as_secs_f64());
        self.report(&sent)
    }

    fn load(&mut self) -> Clients {
        let producers: Vec<_> = self
            .site
            .producers
            .iter()
            .map(super::Member::address)
            .collect();
        let users = self.site.directory.users.len();
        let groups = self.site.directory.groups.len();
        let seed = self.plan.seed;
        let next = move |client: usize, count: usize| {
            let own = seed ^ ((client as u64) << 32) ^ count as u64;
            let mut rng = StdRng::seed_from_u64(own);
            let target = match rng.random_range(0..100) {
                0 => "@all".to_owned(),
                1..30 => format!("@@group{}", rng.random_range(1..=groups)),
                _ => format!("@user{}", rng.random_range(1..=users)),
            };
            Some(Alert {
                targets: vec![target],
                severity: ["high", "normal", "low"]
                    .choose(&mut rng)
                    .copied()
                    .expect("there are three"),
                message: format!("client {client} alert {count}"),
            })
        };
        Clients::start(&producers, CLIENTS, self.plan.client_pause, false, next)
    }

    /// Waits until everything that was accepted has ended and the history knows it.
    fn drain(&mut self) {
        let mut left = (0, 0);
        let begun = Instant::now();
        loop {
            self.topics.read();
            let now = (self.topics.accepted(), self.topics.ended());
            if now.0 == now.1 {
                break;
            }
            if now != left {
                left = now;
            }
            assert!(
                begun.elapsed() < DRAIN,
                "{} of {} have not ended\n{}",
                now.0 - now.1,
                now.0,
                self.site
                    .consumers
                    .iter()
                    .map(super::Member::log)
                    .collect::<Vec<_>>()
                    .join("\n\n")
            );
            sleep(Duration::from_millis(200));
        }
        let accepted = self.topics.accepted();
        wait_for("a history that has caught up", DRAIN, || {
            let sql = "SELECT count(*) FROM delivery WHERE state = 3";
            let known = self.postgres.sql(&self.database, sql);
            if known.trim() == accepted.to_string() {
                return Some(());
            }
            sleep(Duration::from_millis(200));
            None
        });
    }

    fn report(&mut self, sent: &[Sent]) -> Report {
        let messages = self.site.mockup.messages();
        let losses = self.site.losses().into_iter().map(|at| Stop { at });
        let mut stops: Vec<Stop> = self.stops.iter().copied().chain(losses).collect();
        stops.sort_by_key(|stop| stop.at);
        let mut report =
            verdict::judge_all(&self.site.directory, sent, &self.topics, &messages, &stops);
        report.counts = self.counts.clone();
        report.outlasted = sent.iter().map(|one| one.took).max().unwrap_or_default();
        report
    }

    /// A consumer or a broker stands still from now on.
    fn note_stop(&mut self) {
        self.stops.push(Stop {
            at: Timestamp::now().as_millisecond(),
        });
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
