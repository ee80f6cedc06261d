//! The servers that the scaled-out form stands on, real ones, without containers:
//! start them, stop them, kill them, suspend them.
//!
//! Each is private: a free port on loopback, data in a scratch folder, gone with
//! its handle. One that several tests share ends with the test program, however
//! that ends. Every wait is bounded; what goes wrong panics with the end of the
//! server's log.

mod account;
mod kafka;
mod left;
mod postgres;

pub use kafka::{Kafka, KafkaOptions};
pub use left::Left;
pub use postgres::Postgres;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sealing::{Keyring, Vault};

use crate::harness::{Process, build_folder};

/// Longer than a server takes to start, to stop or to recover on a very busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Where what outlives a program is: jars, and the servers of `make services`.
pub fn folder() -> PathBuf {
    let parent = build_folder().unwrap_or_else(|| env::temp_dir().join("error-notifier"));
    parent.join("services")
}

/// Waits until a server that starts does what `is_ready` asks of it.
fn until_ready(name: &str, process: &mut Process, mut is_ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_ready() {
        assert!(
            process.is_running(),
            "{name} has ended:\n{}",
            process.tail()
        );
        assert!(
            begun.elapsed() < PATIENCE,
            "{name} is not ready after {PATIENCE:?}:\n{}",
            process.tail()
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs a command that prepares something to its end, its output in `log`.
fn run(mut command: Command, log: &Path) {
    let mut process = Process::start(&mut command, log);
    assert!(
        process.ends_within(PATIENCE),
        "{command:?} has not ended after {PATIENCE:?}:\n{}",
        process.tail()
    );
    let status = process.wait(PATIENCE);
    assert!(
        status.success(),
        "{command:?}: {status}\n{}",
        process.tail()
    );
}

/// The key that tests seal stored secrets with.
pub fn secret_key() -> Arc<Vault> {
    let ring = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let ring = Keyring::from_environment(ring).expect("a key");
    Arc::new(Vault::of_ring(ring).expect("a vault"))
}
