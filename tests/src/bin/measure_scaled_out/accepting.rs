//! Accepting, against a bare producer that awaits the same records.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tests::{
    figures::{Times, median, row},
    harness::{Alert, Directory, Outcome},
    scaled_out::{Clients, Sent, Site},
};

use super::Servers;

const USERS: usize = 200;
const LASTS: Duration = Duration::from_secs(6);
const PAIRS: usize = 3;
/// As long as the record of an alert with one delivery.
const RECORD: usize = 700;

pub(crate) fn measure(servers: &mut Servers) {
    for connections in [64, 512] {
        let mut site = Site::start(servers.options(), Directory::of_users(USERS), 0, 0);
        let producer = site.producer().with("--log-http", "off");
        site.producers.push(producer);
        site.producers[0].start();
        site.directory.import_at(site.producers[0].address());
        let topic = format!("bare-{connections}");
        servers.kafka.create_topic(&topic, 1);
        let mut ratios = Vec::new();
        let mut rates = (Vec::new(), Vec::new());
        let mut times = Vec::new();
        for _ in 0..PAIRS {
            let bare = bare(&servers.kafka.bootstrap(), &topic, connections);
            let (ours, took) = ours(&site, connections);
            ratios.push(ours / bare);
            rates.0.push(ours);
            rates.1.push(bare);
            times.extend(took);
        }
        let times: Times = times.into_iter().collect();
        row(
            &format!(
                "accepting at {connections} connections against a bare producer, medians of {PAIRS}"
            ),
            &format!(
                "{:.0}/s against {:.0}/s: ratio {:.2}; answered in {}, p99 {}",
                median(rates.0),
                median(rates.1),
                median(ratios),
                times.median(),
                times.p99()
            ),
            "ratio ≥ 0.7",
        );
    }
}

fn ours(site: &Site, connections: usize) -> (f64, Vec<Duration>) {
    let address = [site.producers[0].address()];
    let begun = Instant::now();
    let clients = Clients::start(
        &address,
        connections,
        Duration::ZERO,
        false,
        |client, count| {
            Some(Alert {
                targets: vec![format!("@user{}", (client + count) % USERS + 1)],
                severity: "normal",
                message: format!("client {client} alert {count}"),
            })
        },
    );
    std::thread::sleep(LASTS);
    let sent = clients.stop();
    let took = begun.elapsed();
    let is_accepted = |one: &&Sent| matches!(one.posted.outcome, Outcome::Accepted { .. });
    let times: Vec<_> = sent
        .iter()
        .filter(is_accepted)
        .map(|one| one.took)
        .collect();
    (times.len() as f64 / took.as_secs_f64(), times)
}

fn bare(brokers: &str, topic: &str, tasks: usize) -> f64 {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .create()
        .expect("a producer");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    for _ in 0..tasks {
        let (producer, stop, count) = (producer.clone(), stop.clone(), count.clone());
        let topic = topic.to_owned();
        runtime.spawn(async move {
            let payload = vec![b'x'; RECORD];
            while !stop.load(Ordering::Relaxed) {
                let record = FutureRecord::<(), _>::to(&topic).payload(&payload);
                let sent = producer.send(record, Duration::from_secs(10)).await;
                sent.expect("an acknowledgement");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    std::thread::sleep(LASTS);
    let rate = count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    runtime.shutdown_timeout(Duration::from_secs(10));
    rate
}
