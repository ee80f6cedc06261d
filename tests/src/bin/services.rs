//! `make services`: one Kafka and one PostgreSQL for trying the scaled-out form by
//! hand, on free ports of loopback, with their data in `target/services`.
//!
//! | argument | what it does |
//! |---|---|
//! | none | starts them, unless they run; prints the environment that names them |
//! | `stop` | ends them; the data stays |
//!
//! Standard output has lines of `NAME=value` alone, and `target/services/environment`
//! the same, for a shell to read.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::exit,
    thread,
};

use serde::{Deserialize, Serialize};
use tests::services::{Kafka, Left, Postgres, folder};

/// What was started.
#[derive(Serialize, Deserialize)]
struct Running {
    postgres: Left,
    kafka: Vec<Left>,
    /// With a password in it.
    environment: String,
}

impl Running {
    /// What an earlier run has left, running or not.
    fn load() -> Option<Self> {
        let file = fs::read(file("running.json")).ok()?;
        serde_json::from_slice(&file).ok()
    }

    fn save(&self) -> io::Result<()> {
        write_private("environment", self.environment.as_bytes())?;
        write_private("running.json", &serde_json::to_vec_pretty(self)?)
    }

    fn is_whole(&self) -> bool {
        self.postgres.is_running() && self.kafka.iter().all(|broker| broker.is_running())
    }

    fn start() -> Self {
        let (postgres, kafka) = thread::scope(|scope| {
            let kafka = scope.spawn(|| Kafka::start_lasting(&file("kafka")));
            let postgres = Postgres::start_lasting(&file("postgres"));
            (postgres, kafka.join().expect("Kafka starts"))
        });
        let environment = format!(
            "ERROR_NOTIFIER_DATABASE_URL={}\nERROR_NOTIFIER_KAFKA_BROKERS={}\n",
            postgres.url(),
            kafka.bootstrap()
        );
        Self {
            postgres: postgres.leave(),
            kafka: kafka.leave(),
            environment,
        }
    }

    fn end(self) {
        self.kafka.into_iter().for_each(Kafka::end);
        Postgres::end(self.postgres);
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_stop = match arguments.as_slice() {
        [] => false,
        [argument] if argument == "stop" => true,
        _ => {
            eprintln!("usage: services [stop]");
            exit(2);
        }
    };
    fs::create_dir_all(folder())?;
    // Two that are started at once are one after the other.
    let lock = File::create(file("lock"))?;
    lock.lock()?;

    let running = Running::load();
    if is_stop {
        running.into_iter().for_each(Running::end);
        let _ = fs::remove_file(file("environment"));
        return match fs::remove_file(file("running.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    let running = match running {
        Some(running) if running.is_whole() => running,
        half => {
            half.into_iter().for_each(Running::end);
            let running = Running::start();
            running.save()?;
            running
        }
    };
    print!("{}", running.environment);
    Ok(())
}

fn file(name: &str) -> PathBuf {
    folder().join(name)
}

/// Writes a file that its owner alone may read.
fn write_private(name: &str, content: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(file(name))?.write_all(content)
}
