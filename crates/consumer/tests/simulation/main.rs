//! The delivery engine against a world that fails, with a simulated clock: slow,
//! limited, flaky and dead destinations, lost answers, refused texts, storms,
//! wall-clock jumps, cancellations, and processes that die or are stopped at any moment, with
//! only what was on disk surviving. The promises are checked all along.
//!
//! `SEED` replays a run, `DELIVERIES` sets its length.

// A broken assumption of the test itself may well panic.
#![allow(clippy::unwrap_used)]

mod arrivals;
mod ends;
mod process;
mod promises;
mod queue;
mod service;
mod sparse;
mod told;
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
fn every_promise_holds_in_a_world_that_fails() {
    let seed = number("SEED").unwrap_or_else(rand::random);
    let deliveries = number("DELIVERIES").unwrap_or(100_000);
    let _replay = Replay { seed, deliveries };
    println!("SEED={seed}");
    World::new(seed, deliveries).run_to_the_end();
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let run = || {
        let mut world = World::new(42, 5_000);
        world.run_to_the_end();
        world.fingerprint
    };
    assert_eq!(run(), run());
}
