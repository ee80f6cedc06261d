//! The delivery engine on this queue's protocol: the world that the engine is proved in,
//! with its processes, faults and promises, and under it a model of the partition's
//! topics instead of a disk. A process dies between any two records; the topics are compacted,
//! old records deleted, deliveries published again.
//!
//! `SEED` replays a run, `DELIVERIES` sets its length.

// A broken assumption of the test itself may well panic.
#![allow(clippy::unwrap_used)]

#[path = "../../../../crates/consumer/tests/simulation/arrivals.rs"]
mod arrivals;
#[path = "../../../../crates/consumer/tests/simulation/ends.rs"]
mod ends;
#[path = "../ledger/log.rs"]
#[allow(dead_code, reason = "shared with the tests of the ledger")]
mod log;
#[path = "../../../../crates/consumer/tests/simulation/queue.rs"]
#[allow(dead_code, reason = "what is true, beside which the ledger is held")]
mod model;
#[path = "../../../../crates/consumer/tests/simulation/process.rs"]
mod process;
#[path = "../../../../crates/consumer/tests/simulation/promises.rs"]
mod promises;
mod queue;
#[path = "../../../../crates/consumer/tests/simulation/service.rs"]
mod service;
#[path = "../../../../crates/consumer/tests/simulation/sparse.rs"]
mod sparse;
#[path = "../../../../crates/consumer/tests/simulation/told.rs"]
mod told;
#[path = "../../../../crates/consumer/tests/simulation/world.rs"]
mod world;

use world::World;

/// Says how to play a failed run again.
struct Replay {
    seed: u64,
    deliveries: u64,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "replay with SEED={} DELIVERIES={}",
                self.seed, self.deliveries
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text}")),
    )
}

#[test]
fn every_promise_holds_on_the_topics_too() {
    let seed = number("SEED").unwrap_or_else(rand::random);
    let deliveries = number("DELIVERIES").unwrap_or(20_000);
    let _replay = Replay { seed, deliveries };
    println!("SEED={seed}");
    let mut world = World::new(seed, deliveries);
    world.run_to_the_end();
    println!("{}", world.queue.summary());
}
