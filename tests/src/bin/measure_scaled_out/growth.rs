//! How deliveries a second grow with consumers, and how many requests one keeps in flight.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    figures::row,
    harness::{Directory, wait_for},
    scaled_out::Site,
};

use super::Servers;

const DESTINATIONS: usize = 2_000;
const ROUNDS: usize = 12;
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn measure(servers: &mut Servers) {
    for (partitions, consumers) in [(1, 1), (12, 1), (12, 2), (12, 3), (12, 4)] {
        let options = servers.options().partitions(partitions);
        let mut site = Site::start(options, Directory::of_users(DESTINATIONS), 1, 0);
        site.mockup.set_faults(&json!({ "latencyMs": 100 }));
        for _ in 0..consumers {
            // Three quarters of them for one host, and half of those for an alert to many.
            let mut consumer = site.consumer().with("--max-in-flight", "4000");
            consumer.start();
            site.consumers.push(consumer);
        }
        // The group comes to rest first.
        sleep(Duration::from_secs(5));
        let before = site.mockup.stats().accepted;
        let begun = Instant::now();
        for number in 0..ROUNDS {
            let answer = site.producers[0].alert(&["@all"], "normal", &format!("round {number}"));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let all = (DESTINATIONS * ROUNDS) as u64;
        let mut most = 0;
        wait_for("every delivery", LIMIT, || {
            let stats = site.mockup.stats();
            most = most.max(stats.in_progress);
            (stats.accepted - before >= all).then_some(())
        });
        let rate = all as f64 / begun.elapsed().as_secs_f64();
        row(
            &format!(
                "deliveries a second at 100 ms latency, {DESTINATIONS} destinations: \
                 {consumers} consumers, {partitions} partitions"
            ),
            &format!("{rate:.0}/s, at most {most} in flight at once"),
            match partitions {
                1 => "≥ 1,000 in flight",
                _ => "",
            },
        );
    }
}
