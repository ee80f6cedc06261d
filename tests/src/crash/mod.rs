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
//!
//! The cap: the deliveries that the mockup had begun to take and that the data
//! folder does not have as delivered when the process is gone; and those whose
//! answer the mockup was told to lose.

mod scene;
mod tally;
mod twins;
mod verdict;

use std::{
    collections::HashSet,
    fmt,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

pub use tally::Tally;
pub use twins::{Twins, twins};
pub use verdict::{Verdict, judge};

use scene::Names;

use crate::harness::{
    Alert, Database, Directory, LONG, Load, Mockup, Outcome, Scratch, Server, ServerOptions, State,
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
/// Rounds on one data folder, before it gets large for being copied.
const ROUNDS_A_FOLDER: u32 = 10;

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
    /// What is added once the directory is in.
    switch: Option<&'static str>,
    server: Option<Server>,
    round: u32,
    /// The mockup's messages up to here are an earlier process's.
    seen: u64,
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
        let mut rng = StdRng::seed_from_u64(seed);
        let scratch = Scratch::new("crash");
        let mockup = Mockup::start(&scratch);
        let ordinary = ServerOptions::new(&scratch.join("data"), &mockup);
        Self {
            directory: scene::directory(&mut rng),
            rng,
            scratch,
            mockup,
            options: ordinary.clone(),
            ordinary,
            prepare,
            after_kill,
            switch: None,
            server: None,
            round: 0,
            seen: 0,
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
        self.mockup.set_faults(scene::faults(self.round));
        self.sequence = Database::live(self.options.data()).last_sequence();

        let load = self.load();
        let mut cap = self.kill_after(KILLED_AFTER_MS);
        let mut kills = 1;
        let posted = load.join();
        self.start();
        if self.rng.random_bool(KILLED_AGAIN) {
            cap += self.kill_after(KILLED_AGAIN_AFTER_MS);
            kills += 1;
            self.start();
        }
        self.mockup.set_faults(&json!({}));
        self.server().drain(LONG);

        let messages = self.mockup.messages();
        let stored = Database::live(self.options.data()).alerts_after(self.sequence);
        let verdict = judge(&self.directory, &posted, &stored, &messages);
        let count =
            |is: fn(&Outcome) -> bool| posted.iter().filter(|posted| is(&posted.outcome)).count();
        cap += messages
            .iter()
            .filter(|message| message.answer == "lost")
            .count();
        let mut tally = Tally {
            kills,
            accepted: count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
            unanswered: count(|outcome| *outcome == Outcome::Unanswered),
            unanswered_stored: verdict.unanswered_stored,
            refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            delivered: verdict.delivered,
            twice: verdict.twice,
            cap,
            lost: verdict.lost,
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
        self.server = Some(self.options.start());
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
        let mut recorded = HashSet::new();
        for alert in at_kill.alerts_after(self.sequence) {
            let delivered = alert
                .deliveries
                .into_iter()
                .filter(|it| it.state == State::Delivered);
            recorded.extend(delivered.map(|delivery| (alert.text.clone(), delivery.channel)));
        }
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
        begun.difference(&recorded).count()
    }
}

impl fmt::Debug for Rig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig")
            .field("round", &self.round)
            .finish_non_exhaustive()
    }
}
