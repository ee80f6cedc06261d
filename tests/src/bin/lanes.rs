//! The consumer of one process, for tests that kill it: `lanes BROKERS TOPIC GROUP
//! PARTITIONS KEYS LATENCY_MS FILE`. Ends in order when its standard input does.
//!
//! Its channel tells the file of each request when it begins and when it ends:
//! `begin|end MICROSECONDS DELIVERY ADDRESS TEXT`. A request takes as long as told; one to an
//! address that begins with `slow` takes a minute.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use common::{ChannelKind, SystemClock};
use consumer::{
    application::EngineSettings,
    domain::Answer,
    metrics::DeliveryMetrics,
    ports::{Channel, Message, Pace, Text, TextLimit},
};
use kafka::{Cluster, Delivering, Format, Keyring, Lanes, Sealer, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let [brokers, topic, group, partitions, keys, latency, file] =
        <[String; 7]>::try_from(arguments).map_err(
            |_| "seven arguments are needed: BROKERS TOPIC GROUP PARTITIONS KEYS LATENCY_MS FILE",
        )?;
    let settings = Settings {
        brokers,
        topic,
        group,
        partitions: partitions.parse()?,
        replication: 1,
        accept_weak_topics: true,
        ..Settings::default()
    };
    let cluster = Cluster::find(&settings, Duration::from_secs(60)).await?;
    let limits = kafka::prepare(&settings, &cluster).await?;
    let sealer = Sealer::new(Format::Sealed, Keyring::from_environment(&keys)?)?;
    let clock = Arc::new(SystemClock::start());
    let channel = Telling {
        file: OpenOptions::new().create(true).append(true).open(file)?,
        latency: Duration::from_millis(latency.parse()?),
    };
    let delivering = Delivering {
        channels: vec![Arc::new(channel)],
        metrics: Arc::new(DeliveryMetrics::new(clock.clone())),
        clock,
        engine: EngineSettings {
            max_in_flight: 1_536,
            max_in_flight_per_host: 1_152,
            ..EngineSettings::default()
        },
        drain: Duration::from_secs(10),
    };
    // Whoever started this process holds the other end.
    let stop = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let stopped = async {
        let _ = stop.await;
    };
    Lanes::new(&settings, Arc::new(sealer), limits, delivering)
        .run(stopped)
        .await?;
    Ok(())
}

/// A channel that tells a file.
struct Telling {
    file: File,
    latency: Duration,
}

impl Telling {
    fn tell(&self, what: &str, message: &Message<'_>) {
        let at = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let line = format!(
            "{what} {} {} {} {}\n",
            at.as_micros(),
            message.delivery,
            message.destination.address,
            message.text
        );
        // In one write, so that lines stay whole; a test that misses one fails.
        let _ = (&self.file).write_all(line.as_bytes());
    }
}

#[async_trait]
impl Channel for Telling {
    fn kind(&self) -> ChannelKind {
        ChannelKind::SLACK
    }

    fn pace(&self) -> Pace {
        Pace {
            per_second: None,
            burst: 1,
        }
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit {
            most: 4_000,
            width: str::len,
        }
    }

    fn parts(&self, text: Text<'_>) -> Vec<String> {
        vec![text.text.to_owned()]
    }

    async fn send(&self, message: Message<'_>) -> Answer {
        self.tell("begin", &message);
        let is_slow = message.destination.address.starts_with("slow");
        let takes = match is_slow {
            true => Duration::from_secs(60),
            false => self.latency,
        };
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.tell("end", &message);
        Answer::Accepted {
            status: 200,
            provider_id: None,
        }
    }
}
