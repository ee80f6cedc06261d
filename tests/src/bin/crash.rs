//! `make crash ROUNDS=200`: load, `kill -9` at a random moment, restart, drain.
//!
//! | option | what it is |
//! |---|---|
//! | `--rounds N` | how many rounds; 200 |
//! | `--seed N` | repeats the choices of an earlier run; else at random |
//! | `--disk ordinary` | the process dies, the machine does not; the default |
//! | `--disk forgetful` | the machine dies too: what was not synced is gone |
//! | `--disk torn` | the same, and any part of it may be there |
//! | `--faults few` | hardly a request fails; the default |
//! | `--faults many` | a tenth of them do, `Retry-After` is to be obeyed, and time passes |
//! | `--twins N` | instead: N requests sent twice each at once, one kill in 200 of them |

use std::process::exit;

use tests::{
    crash::{Rig, twins},
    durability::power::{Unsynced, cut, forgetful},
    harness::{Scratch, shim},
};

/// With `--twins`.
const REQUESTS_A_KILL: usize = 200;

/// What is asked for.
struct Wanted {
    rounds: u32,
    seed: u64,
    disk: Option<Unsynced>,
    has_many_faults: bool,
    twins: Option<usize>,
}

fn main() {
    let Some(Wanted {
        rounds,
        seed,
        disk,
        has_many_faults,
        twins: requests,
    }) = wanted()
    else {
        eprintln!(
            "usage: crash [--rounds N] [--seed N] [--faults few|many | --disk ordinary|forgetful|torn] [--twins N]"
        );
        exit(2);
    };
    println!("seed {seed}");
    if let Some(requests) = requests {
        let twins = twins(seed, requests, requests / REQUESTS_A_KILL);
        println!("{twins}");
        assert!(twins.violations.is_empty(), "{:#?}", twins.violations);
        return;
    }
    let scratch = Scratch::new("shim");
    let mut rig = match disk {
        None if has_many_faults => Rig::with_many_faults(seed),
        None => Rig::new(seed),
        Some(unsynced) => {
            let library = shim("unsynced", scratch.path());
            Rig::on_disk(seed, forgetful(library), cut(unsynced, seed))
        }
    };
    let total = rig.run(rounds);
    // Where it is not so, logs and data are kept.
    assert!(
        total.violations.is_empty(),
        "{} violations, seed {seed}",
        total.violations.len()
    );
}

fn wanted() -> Option<Wanted> {
    let mut wanted = Wanted {
        rounds: 200,
        seed: rand::random(),
        disk: None,
        has_many_faults: false,
        twins: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match (option.as_str(), value.as_str()) {
            ("--rounds", value) => wanted.rounds = value.parse().ok()?,
            ("--seed", value) => wanted.seed = value.parse().ok()?,
            ("--twins", value) => wanted.twins = Some(value.parse().ok()?),
            ("--faults", "few") => wanted.has_many_faults = false,
            ("--faults", "many") => wanted.has_many_faults = true,
            ("--disk", "ordinary") => wanted.disk = None,
            ("--disk", "forgetful") => wanted.disk = Some(Unsynced::Forgotten),
            ("--disk", "torn") => wanted.disk = Some(Unsynced::Torn),
            _ => return None,
        }
    }
    // Both would stand between the program and the system.
    let is_possible = !(wanted.has_many_faults && wanted.disk.is_some());
    is_possible.then_some(wanted)
}
