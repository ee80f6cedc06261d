//! The broker away for minutes while alerts keep coming.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use tests::{
    crash::judge,
    figures::{machine, ms, row},
    harness::{Alert, Directory, LONG, Outcome, Posted, wait_for},
    scaled_out::{Clients, Sent, Site},
};

use super::Servers;

const AWAY: Duration = Duration::from_secs(180);
const DRAIN: Duration = Duration::from_secs(180);

pub(crate) fn measure(servers: &mut Servers) {
    let mut site = Site::start(servers.options(), Directory::of_users(50), 1, 1);
    let address = [site.producers[0].address()];
    let pause = Duration::from_millis(10);
    let clients = Clients::start(&address, 32, pause, false, |client, count| {
        Some(Alert {
            targets: vec![format!("@user{}", (client + count) % 50 + 1)],
            severity: ["high", "normal", "low"][count % 3],
            message: format!("client {client} alert {count}"),
        })
    });
    sleep(Duration::from_secs(5));
    let id = site.producers[0].process().id();
    let before = machine::resident_mib(id);
    machine::forget_peak(id);
    servers.kafka.kill(1);
    sleep(AWAY);
    let peak = machine::peak_mib(id);
    servers.kafka.start_again(1);
    let back = Instant::now();
    wait_for("alerts that are accepted", LONG, || {
        (site.producers[0].alert(&[], "low", "x").status != 503
            && site.producers[0].request("GET", "/health/ready", "").status == 200)
            .then_some(())
    });
    let resumed = back.elapsed();
    sleep(Duration::from_secs(5));
    let sent = clients.stop();
    let mut topics = site.topics();
    wait_for("every delivery to end", DRAIN, || {
        topics.read();
        (topics.ended() == topics.accepted()).then_some(())
    });
    let count =
        |is: fn(&Outcome) -> bool| sent.iter().filter(|one| is(&one.posted.outcome)).count();
    let accepted = count(|outcome| matches!(outcome, Outcome::Accepted { .. }));
    let maybe = count(
        |outcome| matches!(outcome, Outcome::Refused { code, .. } if code == "MAYBE_ACCEPTED"),
    );
    let refused = count(|outcome| matches!(outcome, Outcome::Refused { .. })) - maybe;
    let posted: Vec<Posted> = sent.iter().map(Sent::as_certain).collect();
    let verdict = judge(
        &site.directory,
        &posted,
        &topics.stored(),
        &site.mockup.messages(),
    );
    row(
        "broker away for 3 minutes: accepted, refused, uncertain; accepted and not delivered; violations",
        &format!(
            "{accepted}, {refused}, {maybe}; {}; {}",
            verdict.lost,
            verdict.violations.len()
        ),
        "0 lost",
    );
    for violation in verdict.violations.iter().take(10) {
        eprintln!("{violation}");
    }
    row(
        "memory of the producer before, at most meanwhile; accepting again after the broker is back",
        &format!("{before:.0}, {peak:.0} MiB; {}", ms(resumed)),
        "flat",
    );
}
