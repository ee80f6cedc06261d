//! Accepting, against a bare producer that awaits the same records.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Json, Router, routing::post};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use tests::{
    figures::{Times, median, row},
    harness::{Alert, Directory, Outcome},
    scaled_out::{Clients, Sent, Site},
};
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

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
        let brokers = servers.kafka.bootstrap();
        let mut rates: [Vec<f64>; 3] = Default::default();
        let mut ratios: [Vec<f64>; 2] = Default::default();
        let mut times = Vec::new();
        for _ in 0..PAIRS {
            let bare = bare(&brokers, &topic, connections);
            let handler = Handler::start(&brokers, &topic);
            let (behind_http, _) = accepted(handler.address, connections);
            handler.stop();
            let (ours, took) = accepted(site.producers[0].address(), connections);
            ratios[0].push(ours / bare);
            ratios[1].push(ours / behind_http);
            for (rates, rate) in rates.iter_mut().zip([ours, bare, behind_http]) {
                rates.push(rate);
            }
            times.extend(took);
        }
        let [ours, bare, behind_http] = rates.map(median);
        let [to_bare, to_behind_http] = ratios.map(median);
        let times: Times = times.into_iter().collect();
        row(
            &format!(
                "accepting at {connections} connections against a bare producer, medians of {PAIRS}"
            ),
            &format!(
                "{ours:.0}/s against {bare:.0}/s: ratio {to_bare:.2}; answered in {}, p99 {}",
                times.median(),
                times.p99()
            ),
            "ratio ≥ 0.7",
        );
        row(
            "the same against a bare HTTP handler that awaits such a record, by the same clients",
            &format!("{ours:.0}/s against {behind_http:.0}/s: ratio {to_behind_http:.2}"),
            "",
        );
    }
}

/// Alerts accepted in a second there, and how long each took.
fn accepted(address: SocketAddr, connections: usize) -> (f64, Vec<Duration>) {
    let address = [address];
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

/// A handler that does nothing with an alert but to await a record.
struct Handler {
    address: SocketAddr,
    runtime: Runtime,
}

impl Handler {
    fn start(brokers: &str, topic: &str) -> Self {
        let (producer, topic) = (producer(brokers), topic.to_owned());
        let handle = move |Json(alert): Json<Value>| {
            let (producer, topic) = (producer.clone(), topic.clone());
            async move {
                assert!(alert["message"].is_string());
                await_record(&producer, &topic).await;
                Json(json!({ "data": { "alertId": Uuid::new_v4(), "userCount": 1 } }))
            }
        };
        let runtime = runtime();
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/v1/alerts", post(handle));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, runtime }
    }

    fn stop(self) {
        self.runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

fn bare(brokers: &str, topic: &str, tasks: usize) -> f64 {
    let (producer, runtime) = (producer(brokers), runtime());
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    for _ in 0..tasks {
        let (producer, stop, count) = (producer.clone(), stop.clone(), count.clone());
        let topic = topic.to_owned();
        runtime.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                await_record(&producer, &topic).await;
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

async fn await_record(producer: &FutureProducer, topic: &str) {
    let record = FutureRecord::<(), _>::to(topic).payload(&[b'x'; RECORD]);
    let sent = producer.send(record, Duration::from_secs(10)).await;
    sent.expect("an acknowledgement");
}

fn producer(brokers: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .create()
        .expect("a producer")
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}
