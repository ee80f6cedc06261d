//! The fan-out of one process, for tests that kill it: `fan_out BROKERS TOPIC GROUP
//! PARTITIONS KEYS`. Ends when its standard input does.

use std::{io::Read, process::ExitCode, sync::Arc};

use common::SystemClock;
use kafka::{FanOut, Format, Keyring, Sealer, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let [brokers, topic, group, partitions, keys] = <[String; 5]>::try_from(arguments)
        .map_err(|_| "five arguments are needed: BROKERS TOPIC GROUP PARTITIONS KEYS")?;
    let settings = Settings {
        brokers,
        topic,
        group,
        partitions: partitions.parse()?,
        ..Settings::default()
    };
    let sealer = Sealer::new(Format::Sealed, Keyring::from_environment(&keys)?)?;
    let clock = Arc::new(SystemClock::start());
    // Whoever started this process holds the other end.
    let stop = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let stopped = async {
        let _ = stop.await;
    };
    FanOut::new(&settings, Arc::new(sealer), clock)
        .run(stopped)
        .await?;
    Ok(())
}
