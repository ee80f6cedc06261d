//! Rounds of load, `kill -9` at a random moment, restart, drain; and what must
//! hold then.
//!
//! | what | must be |
//! |---|---|
//! | accepted (a 200 was read) and not delivered to everybody | 0 |
//! | without an answer and delivered to some alone | 0 |
//! | delivered, and nobody had posted it, or to somebody whom it does not concern | 0 |
//! | first attempts at a destination out of the order of acceptance, within a severity | 0 |
//! | delivered twice | at most the cap |
//! | what was to wait, or had been tried, and was not kept ([`waits`]) | 0 |
//!
//! The cap: the deliveries that the mockup had begun to take and that the data
//! folder does not have as delivered when the process is gone; and those whose
//! answer the mockup was told to lose.
//!
//! A rig with many faults has a mockup that refuses a tenth of the requests, with
//! `Retry-After` in part, and a clock that is moved while all that is left waits.

mod scene;
mod tally;
mod twins;
mod verdict;
pub mod waits;

use std::{
    collections::HashSet,
    fmt,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

pub use tally::Tally;
pub use twins::{Twins, twins};
pub use verdict::{Verdict, judge};

use scene::Names;
use verdict::out_of_order;
use waits::Stop;

use crate::harness::{
    Alert, Database, Directory, LONG, Load, Mockup, MovableClock, Outcome, Scratch, Server,
    ServerOptions, State, StoredAlert, wait_for,
};

/// Connections that post.
const CONNECTIONS: usize = 16;
/// Alerts that each of them posts at most in one round.
const ALERTS: usize = 60;
/// A process is killed that many milliseconds after the load began.
const KILLED_AFTER_MS: std::ops::Range<u64> = 10..350;
/// The share of restarts that are killed too, while they pick up what is left.
const KILLED_AGAIN: f64 = 0.25;
/// How long after its start, in milliseconds.
const KILLED_AGAIN_AFTER_MS: std::ops::Range<u64> = 0..60;
/// With many faults, how often the clock was moved before.
const MOVED_BEFORE: std::ops::Range<u32> = 0..40;
/// By how much at once, while nothing is under way.
const MOVE: Duration = Duration::from_millis(250);
/// Longer than a process takes to notice.
const NOTICED_AFTER: Duration = Duration::from_millis(7);
/// Rounds on one data folder, before it gets large for being copied.
const ROUNDS_A_FOLDER: u32 = 10;
/// For all of a round to be delivered: the largest take a minute on a busy machine,
/// since channels that are limited are sent to no faster than they allow.
const PATIENCE: Duration = Duration::from_secs(300);

/// Adapts how a server is started to the disk that it works on; called once for
/// each data folder.
pub type Prepare = Box<dyn Fn(ServerOptions) -> ServerOptions>;

/// What happens to the data folder when the process has been killed, before
/// anybody looks at it.
pub type AfterKill = Box<dyn FnMut(&Path)>;

/// A server that is killed and started again, and a mockup that outlives it.
pub struct Rig {
    rng: StdRng,
    scratch: Scratch,
    mockup: Mockup,
    directory: Directory,
    /// How a server is started on an ordinary disk.
    ordinary: ServerOptions,
    /// How it is started on the present folder.
    options: ServerOptions,
    prepare: Prepare,
    after_kill: AfterKill,
    /// With many faults alone.
    clock: Option<MovableClock>,
    /// What is added once the directory is in.
    switch: Option<&'static str>,
    server: Option<Server>,
    round: u32,
    /// The mockup's messages up to here are an earlier process's.
    seen: u64,
    /// Kills of this round.
    stops: Vec<Stop>,
    /// The alerts up to here are an earlier round's.
    sequence: i64,
}

impl Rig {
    /// A rig on an ordinary disk. The same seed makes the same choices; when the
    /// process is hit is up to the machine.
    pub fn new(seed: u64) -> Self {
        Self::on_disk(seed, Box::new(|options| options), Box::new(|_| ()))
    }

    /// A rig on another disk.
    pub fn on_disk(seed: u64, prepare: Prepare, after_kill: AfterKill) -> Self {
        let scratch = Scratch::new("crash");
        let mockup = Mockup::start(&scratch);
        Self::with(seed, scratch, mockup, None, prepare, after_kill)
    }

    /// A rig on an ordinary disk, with many faults.
    pub fn with_many_faults(seed: u64) -> Self {
        let scratch = Scratch::new("crash");
        let clock = MovableClock::new(&scratch);
        let mockup = Mockup::start_by(&clock, &scratch);
        let (prepare, after_kill) = (Box::new(|options| options), Box::new(|_: &Path| ()));
        Self::with(seed, scratch, mockup, Some(clock), prepare, after_kill)
    }

    fn with(
        seed: u64,
        scratch: Scratch,
        mockup: Mockup,
        clock: Option<MovableClock>,
        prepare: Prepare,
        after_kill: AfterKill,
    ) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut ordinary = ServerOptions::new(&scratch.join("data"), &mockup);
        if let Some(clock) = &clock {
            ordinary = ordinary.by(clock);
        }
        Self {
            directory: scene::directory(&mut rng),
            rng,
            scratch,
            mockup,
            options: ordinary.clone(),
            ordinary,
            prepare,
            after_kill,
            clock,
            switch: None,
            server: None,
            round: 0,
            seen: 0,
            stops: Vec::new(),
            sequence: 0,
        }
    }

    /// The same with a switch that the server gets once the directory is in.
    #[must_use]
    pub fn with_switch(mut self, switch: &'static str) -> Self {
        self.switch = Some(switch);
        self
    }

    /// One round.
    pub fn round(&mut self) -> Tally {
        if self.round.is_multiple_of(ROUNDS_A_FOLDER) {
            self.begin_folder();
        }
        self.round += 1;
        self.mockup.forget();
        self.stops.clear();
        self.mockup.set_faults(&match self.clock {
            Some(_) => scene::many_faults(self.round),
            None => scene::faults(self.round).clone(),
        });
        self.sequence = Database::live(self.options.data()).last_sequence();

        let load = self.load();
        let mut cap = self.kill_after(KILLED_AFTER_MS);
        let posted = load.join();
        self.start();
        if self.rng.random_bool(KILLED_AGAIN) {
            if self.clock.is_some() {
                let moves = self.rng.random_range(MOVED_BEFORE);
                self.move_on(Some(moves));
            }
            cap += self.kill_after(KILLED_AGAIN_AFTER_MS);
            self.start();
        }
        match self.clock {
            Some(_) => self.move_on(None),
            None => {
                self.mockup.set_faults(&json!({}));
                self.server().drain(LONG);
            }
        }

        let (messages, refusals) = (self.mockup.messages(), self.mockup.refusals());
        let stored = Database::live(self.options.data()).alerts_after(self.sequence);
        let mut verdict = judge(&self.directory, &posted, &stored, &messages);
        let seen = waits::seen(&messages, &refusals, &self.stops);
        let attempts = seen.iter().map(|one| (one.text(), one.channel()));
        verdict.violations.extend(out_of_order(&stored, attempts));
        let kept = waits::kept(&seen, &self.stops, &stored);
        verdict.violations.extend(kept.violations);
        let count =
            |is: fn(&Outcome) -> bool| posted.iter().filter(|posted| is(&posted.outcome)).count();
        cap += messages
            .iter()
            .filter(|message| message.answer == "lost")
            .count();
        let mut tally = Tally {
            kills: self.stops.len(),
            accepted: count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
            unanswered: count(|outcome| *outcome == Outcome::Unanswered),
            unanswered_stored: verdict.unanswered_stored,
            refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            delivered: verdict.delivered,
            twice: verdict.twice,
            cap,
            lost: verdict.lost,
            failed: refusals.len(),
            limited: refusals.iter().filter(|one| one.status == 429).count(),
            waits: kept.waits,
            asked: kept.asked,
            violations: verdict.violations,
        };
        if tally.twice > tally.cap {
            tally.violations.push(format!(
                "{} delivered twice, cap {}",
                tally.twice, tally.cap
            ));
        }
        tally
    }

    /// Runs `rounds`, each shown on standard output.
    pub fn run(&mut self, rounds: u32) -> Tally {
        let begun = Instant::now();
        let mut total = Tally::default();
        for number in 1..=rounds {
            let tally = self.round();
            println!(
                "round {number}, {:.1} s: {tally}",
                begun.elapsed().as_secs_f64()
            );
            for violation in tally.violations.iter().take(20) {
                println!("  {violation}");
            }
            total.add(tally);
        }
        println!("all {rounds} rounds: {total}");
        total
    }

    /// A new data folder with the directory in it.
    fn begin_folder(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let data = self.scratch.join(&format!("data-{}", self.round));
        self.options = (self.prepare)(self.ordinary.clone().on(&data));
        let server = self.options.start();
        self.directory.import(&server);
        server.stop();
        if let Some(switch) = self.switch {
            self.options = self.options.clone().switched(switch);
        }
        self.start();
    }

    fn start(&mut self) {
        let now = self.now();
        // Those that no process has followed so far.
        if let Some(stop) = self.stops.last_mut() {
            stop.next_began = now;
        }
        self.server = Some(self.options.start());
    }

    fn now(&self) -> Timestamp {
        self.clock
            .as_ref()
            .map_or_else(Timestamp::now, MovableClock::now)
    }

    /// Moves the clock on while nothing is under way, so often or until all has ended.
    fn move_on(&mut self, times: Option<u32>) {
        let (Some(server), Some(clock)) = (&self.server, &mut self.clock) else {
            return;
        };
        let mut moved = 0;
        wait_for("every delivery to end", PATIENCE, || {
            let [depth, in_flight] = ["queue_depth", "deliveries_in_flight"]
                .map(|name| server.metric(&format!("error_notifier_{name}")));
            if depth? == 0.0 || Some(moved) == times {
                return Some(());
            }
            // A request under way may take as long as it takes: none is to time out.
            if in_flight? == 0.0 {
                clock.advance(MOVE);
                moved += 1;
                sleep(NOTICED_AFTER);
            }
            None
        });
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("the server runs between kills")
    }

    fn load(&mut self) -> Load {
        let names = Names::of(&self.directory);
        let (round, seed) = (self.round, self.rng.next_u64());
        Load::start(
            self.options.address(),
            CONNECTIONS,
            move |connection, count| {
                let own = seed ^ ((connection as u64) << 32) ^ count as u64;
                let mut rng = StdRng::seed_from_u64(own);
                (count < ALERTS).then(|| Alert {
                    targets: names.some(&mut rng),
                    severity: ["high", "normal", "low"]
                        .choose(&mut rng)
                        .copied()
                        .expect("there are three"),
                    message: format!("round {round} connection {connection} alert {count}"),
                })
            },
        )
    }

    /// Kills the server at a random moment; answers how many deliveries may be
    /// sent again for it.
    fn kill_after(&mut self, range: std::ops::Range<u64>) -> usize {
        // The moment itself: nothing is waited for here.
        sleep(Duration::from_micros(
            self.rng.random_range(range.start * 1000..range.end * 1000),
        ));
        if let Some(mut server) = self.server.take() {
            server.process.kill();
        }
        self.mockup.settle();
        (self.after_kill)(self.options.data());
        self.begun_and_not_recorded()
    }

    fn begun_and_not_recorded(&mut self) -> usize {
        let at_kill = Database::copied(self.options.data(), &self.scratch.join("at-kill"));
        let stored = at_kill.alerts_after(self.sequence);
        let recorded = delivered(&stored);
        let seen = self.seen;
        let mut begun = HashSet::new();
        for message in self
            .mockup
            .messages()
            .into_iter()
            .filter(|message| message.seq > seen)
        {
            self.seen = message.seq;
            // A lost answer has a part of the cap of its own.
            if message.answer != "lost" {
                begun.insert((message.text, message.channel));
            }
        }
        let count = begun.difference(&recorded).count();
        let last_refusal = self.mockup.refusals().last().map_or(0, |one| one.seq);
        self.stops.push(Stop {
            last: (self.seen, last_refusal),
            next_began: self.now(),
            stored,
        });
        count
    }
}

/// What is recorded as delivered: texts and where they went.
fn delivered(stored: &[StoredAlert]) -> HashSet<(String, String)> {
    let deliveries = stored.iter().flat_map(|alert| {
        let delivered = alert
            .deliveries
            .iter()
            .filter(|it| it.state == State::Delivered);
        delivered.map(|one| (alert.text.clone(), one.channel.clone()))
    });
    deliveries.collect()
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig")
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}
