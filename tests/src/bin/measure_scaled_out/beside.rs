//! A producer and a consumer beside each other, under as much load as they take.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    figures::{Times, row},
    harness::{Alert, Directory, Outcome},
    scaled_out::{Clients, Site},
};

use super::Servers;

const DESTINATIONS: usize = 2_000;
const CONNECTIONS: usize = 64;
const LASTS: Duration = Duration::from_secs(12);

pub(crate) fn measure(servers: &mut Servers) {
    for latency in [0, 100] {
        let mut site = Site::start(servers.options(), Directory::of_users(DESTINATIONS), 0, 0);
        let producer = site.producer().with("--log-http", "off");
        site.producers.push(producer);
        site.producers[0].start();
        site.directory.import_at(site.producers[0].address());
        let consumer = site
            .consumer()
            .with("--max-in-flight", "2000")
            .with("--log-level", "warn");
        site.consumers.push(consumer);
        site.consumers[0].start();
        site.mockup.set_faults(&json!({ "latencyMs": latency }));
        let address = [site.producers[0].address()];
        let begun = Instant::now();
        let clients = Clients::start(
            &address,
            CONNECTIONS,
            Duration::ZERO,
            false,
            |client, count| {
                Some(Alert {
                    targets: vec![format!("@user{}", (client * 31 + count) % DESTINATIONS + 1)],
                    severity: "normal",
                    message: format!("client {client} alert {count}"),
                })
            },
        );
        std::thread::sleep(LASTS);
        let delivered = site.mockup.stats().accepted as f64 / begun.elapsed().as_secs_f64();
        let sent = clients.stop();
        let took = begun.elapsed();
        let accepted = sent
            .iter()
            .filter(|one| matches!(one.posted.outcome, Outcome::Accepted { .. }));
        let times: Times = accepted.map(|one| one.took).collect();
        let rate = times.count() as f64 / took.as_secs_f64();
        row(
            &format!(
                "producer and consumer beside each other, {CONNECTIONS} connections, mockup at {latency} ms"
            ),
            &format!(
                "{rate:.0} accepted/s, {delivered:.0} delivered/s; answered in {}, p99 {}",
                times.median(),
                times.p99()
            ),
            "",
        );
    }
}
