//! `make chaos MINUTES=10`: load on the scaled-out form while its processes and servers die.
//!
//! | option | what it is |
//! |---|---|
//! | `--minutes N` | how long; 10 |
//! | `--seed N` | repeats the choices of an earlier run; else at random |

use std::{process::exit, time::Duration};

use tests::scaled_out::{Chaos, Plan};

fn main() {
    let Some(plan) = plan() else {
        eprintln!("usage: chaos [--minutes N] [--seed N]");
        exit(2);
    };
    println!("seed {}", plan.seed);
    let report = Chaos::start(plan).run();
    for violation in report.violations.iter().take(40) {
        println!("  {violation}");
    }
    println!("{report}");
    assert!(report.violations.is_empty(), "seed {}", plan.seed);
}

fn plan() -> Option<Plan> {
    let mut plan = Plan {
        seed: rand::random(),
        lasts: Duration::from_secs(600),
        pause: Duration::from_secs(8),
        client_pause: Duration::from_millis(80),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match option.as_str() {
            "--minutes" => plan.lasts = Duration::from_secs(60 * value.parse::<u64>().ok()?),
            "--seed" => plan.seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(plan)
}
