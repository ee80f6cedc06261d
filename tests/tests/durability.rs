//! A 200 means that the disk has it: seen from outside, system call by system
//! call, and by cutting the power.

use std::{fs, process::Command};

use tests::{
    crash::{Rig, Tally},
    durability::{
        power::{Unsynced, cut, forgetful},
        trace::{Findings, STRACE, examine},
    },
    harness::{
        Alert, Directory, LONG, Load, Mockup, Outcome, Scratch, ServerOptions, shim, wait_for,
    },
};

const CONNECTIONS: usize = 16;
const ALERTS_EACH: usize = 70;
const ROUNDS: u32 = 5;
const NOT_SYNCED: &str = "--unsafe-synchronous-off";

/// Posts over a thousand alerts to a server under strace; what the record says.
fn trace(switch: Option<&str>) -> Findings {
    let has_strace = Command::new("strace").arg("--version").output().is_ok();
    assert!(
        has_strace,
        "strace is missing: `make test` installs it, or `apt-get install strace`"
    );

    let scratch = Scratch::new("trace");
    let mockup = Mockup::start(&scratch);
    let record = scratch.join("record");
    let directory = Directory::of_users(8);
    let mut options = ServerOptions::new(&scratch.join("data"), &mockup);
    if let Some(switch) = switch {
        options = options.switched(switch);
    }
    let strace = ["strace"].into_iter().chain(STRACE).map(Into::into);
    let strace = strace.chain(["-o".into(), record.clone().into_os_string()]);
    let mut server = options.run_by(strace).start();
    directory.import(&server);
    let load = Load::start(server.address(), CONNECTIONS, |connection, count| {
        (count < ALERTS_EACH).then(|| Alert {
            targets: vec![format!("@user{}", connection % 8 + 1)],
            severity: "normal",
            message: format!("{connection} {count}"),
        })
    });
    let posted = load.join();
    assert_eq!(posted.len(), CONNECTIONS * ALERTS_EACH);
    for posted in &posted {
        assert!(
            matches!(posted.outcome, Outcome::Accepted { .. }),
            "{posted:?}"
        );
    }

    let id = server.process.id().to_string();
    server.process.terminate();
    server.process.wait(LONG);
    let text = wait_for("the end of the record", LONG, || {
        let text = fs::read_to_string(&record).ok()?;
        text.lines()
            .rev()
            .take(50)
            .any(|line| line.starts_with(&id) && line.contains("+++"))
            .then_some(text)
    });
    examine(&text)
}

#[test]
fn each_of_a_thousand_answers_is_written_after_the_sync_that_covers_it() {
    let findings = trace(None);
    println!(
        "{} answers, {} syncs of the log",
        findings.answers, findings.syncs
    );
    assert_eq!(findings.answers, CONNECTIONS * ALERTS_EACH);
    assert_eq!(findings.too_early, [""; 0]);
}

#[test]
fn without_syncs_the_record_of_system_calls_shows_it() {
    let findings = trace(Some(NOT_SYNCED));
    assert_eq!(findings.answers, CONNECTIONS * ALERTS_EACH);
    assert_eq!(findings.too_early.len(), findings.answers);
}

/// Rounds of load on a disk that loses its power, and what must hold then.
fn power_cuts(unsynced: Unsynced, switch: Option<&'static str>, check: impl FnOnce(&Tally)) {
    let seed = rand::random();
    println!("seed {seed}");
    let scratch = Scratch::new("shim");
    let library = shim("unsynced", scratch.path());
    let mut rig = Rig::on_disk(seed, forgetful(library), cut(unsynced, seed));
    if let Some(switch) = switch {
        rig = rig.with_switch(switch);
    }
    // While the rig is there, so that it keeps its data where this fails.
    check(&rig.run(ROUNDS));
}

fn nothing_is_lost(total: &Tally) {
    assert!(total.accepted > 0, "there was no load: {total}");
    assert!(total.violations.is_empty(), "{:#?}", total.violations);
}

#[test]
fn nothing_accepted_is_lost_when_the_power_is_cut_and_all_that_was_not_synced_is_gone() {
    power_cuts(Unsynced::Forgotten, None, nothing_is_lost);
}

#[test]
fn nothing_accepted_is_lost_when_the_power_is_cut_and_what_was_not_synced_is_torn() {
    power_cuts(Unsynced::Torn, None, nothing_is_lost);
}

#[test]
fn without_syncs_the_power_cuts_lose_alerts_and_it_is_noticed() {
    power_cuts(Unsynced::Forgotten, Some(NOT_SYNCED), |total| {
        assert!(
            total.lost > 0,
            "nothing was lost without syncs, so nothing was tested: {total}"
        );
    });
}
