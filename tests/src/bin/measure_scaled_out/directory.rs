//! From a change of the directory at one producer until the other one uses it.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{
    figures::{Times, machine, row},
    harness::{Alert, Connection, Directory, LONG, wait_for},
    scaled_out::{Clients, Site},
};

use super::Servers;

const CHANGES: usize = 200;
const USERS: usize = 100_000;

pub(crate) fn measure(servers: &mut Servers) {
    let site = Site::start(servers.options(), Directory::of_users(100), 2, 1);
    changes(&site, "idle");
    let addresses: Vec<_> = site.producers.iter().map(|one| one.address()).collect();
    let pause = Duration::from_millis(10);
    let clients = Clients::start(&addresses, 8, pause, false, |client, count| {
        Some(Alert {
            targets: vec![format!("@user{}", count % 100 + 1)],
            severity: "normal",
            message: format!("client {client} alert {count}"),
        })
    });
    changes(&site, "under load");
    clients.stop();
    drop(site);

    let mut site = Site::start(servers.options(), Directory::of_users(USERS), 2, 0);
    let memory = |number: usize, site: &mut Site| {
        machine::resident_mib(site.producers[number].process().id())
    };
    let imported = memory(0, &mut site);
    let followed = memory(1, &mut site);
    site.producers[1].stop();
    let ready = site.producers[1].start();
    let started = memory(1, &mut site);
    let figure = format!("{imported:.0}, {followed:.0}, {started:.0} MiB");
    row(
        &format!(
            "{USERS} users: memory of the producer that imported, that followed, that began with them"
        ),
        &figure,
        "",
    );
    row(
        "from start to ready with them",
        &format!("{:.1} s", ready.as_secs_f64()),
        "",
    );
}

fn changes(site: &Site, when: &str) {
    let mut there = Connection::open(site.producers[0].address()).expect("a producer");
    let mut here = Connection::open(site.producers[1].address()).expect("a producer");
    let prefix = when.replace(' ', "-");
    let times = (0..CHANGES).map(|number| {
        let name = format!("{prefix}-{number}");
        let user =
            json!({ "name": name, "token": "token", "channelId": format!("{prefix}{number}") });
        let answer = there.request("POST", "/v1/users", &[], user.to_string().as_bytes());
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
        let begun = Instant::now();
        let asked = json!({ "target": [format!("@{name}")], "severity": "low", "message": "x" });
        wait_for("the other producer to know", LONG, || {
            let path = "/v1/alerts?dryRun=true";
            let answer = here.request("POST", path, &[], asked.to_string().as_bytes());
            let known = answer.expect("an answer").json()["data"]["userCount"] == 1;
            known.then_some(())
        });
        begun.elapsed()
    });
    let times: Times = times.collect();
    row(
        &format!("a change at one producer is used by the other, {when}: median of {CHANGES}, p99"),
        &format!("{}, {}", times.median(), times.p99()),
        "p99 ≤ 100 ms",
    );
}
