//! A disk that fills up and is freed again: refused and said so, never lost.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tests::{
    crash::judge,
    harness::{
        Alert, Answer, Connection, Database, Directory, LONG, Mockup, Outcome, Posted, Scratch,
        Server, ServerOptions, post, until, wait_for,
    },
};

const MIB: usize = 1 << 20;
/// The store keeps 16 MiB of it in reserve.
const DISK: usize = 64 * MIB;
/// Larger than what a full disk has left in half-empty blocks, and one message.
const TEXT: usize = 3_000;
/// Alerts after which a full disk must have been noticed.
const ENOUGH: usize = 20_000;

/// A file system of its own in a file, gone with its handle.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(scratch: &Scratch) -> Self {
        let image = scratch.join("image");
        File::create(&image).unwrap().set_len(DISK as u64).unwrap();
        run(Command::new("mkfs.ext4")
            .env("PATH", path())
            .args(["-q", "-F", "-m", "0"])
            .arg(&image));
        let folder = scratch.join("disk");
        fs::create_dir(&folder).unwrap();
        run(Command::new("mount")
            .env("PATH", path())
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&folder));
        Self { folder }
    }

    /// Fills it to the last block, as another program would.
    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        for size in [MIB, 4096] {
            while file.write_all(&vec![7; size]).is_ok() {}
            // Once for all of them: on a busy disk each sync takes a tenth of a second.
            // It fails where the last of them have no room after all.
            let _ = file.sync_data();
        }
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since a test that failed may have a server on it yet.
        let _ = Command::new("umount")
            .env("PATH", path())
            .arg("-l")
            .arg(&self.folder)
            .status();
    }
}

/// Root's programs are not on everybody's path.
fn path() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

fn run(command: &mut Command) {
    let output = command.output();
    let why = match &output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "this test needs a small file system of its own: to be root, mkfs.ext4, and a kernel that mounts files; \
         {command:?}: {why}"
    );
}

/// A server on the disk, and what was posted to it.
struct Situation {
    directory: Directory,
    mockup: Mockup,
    server: Server,
    connection: Connection,
    posted: Vec<Posted>,
}

impl Situation {
    fn new(scratch: &Scratch, disk: &Path) -> Self {
        Self::with(scratch, disk, |options| options)
    }

    /// Its server is started as `adapt` says.
    fn with(
        scratch: &Scratch,
        disk: &Path,
        adapt: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        let mockup = Mockup::start(scratch);
        // The last is posted nothing to.
        let directory = Directory::of_users(9);
        let options = ServerOptions::new(&scratch.join("data"), &mockup);
        let server = adapt(options.on(&disk.join("data"))).start();
        directory.import(&server);
        let connection = Connection::open(server.address()).unwrap();
        Self {
            directory,
            mockup,
            server,
            connection,
            posted: Vec::new(),
        }
    }

    fn post(&mut self) -> Outcome {
        let number = self.posted.len();
        let alert = Alert {
            targets: vec![format!("@user{}", number % 8 + 1)],
            severity: ["high", "normal", "low"][number % 3],
            message: format!("{number} {}", "x".repeat(TEXT)),
        };
        let outcome = post(&mut self.connection, &alert);
        self.posted.push(Posted {
            alert,
            outcome: outcome.clone(),
        });
        outcome
    }

    /// Posts an alert to all nine users; its id.
    fn post_to_all(&self) -> String {
        let body = r#"{"target":["@all"],"severity":"normal","message":"to all"}"#;
        let answer = self.server.request("POST", "/v1/alerts", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer: Value = answer.json();
        answer["data"]["alertId"].as_str().unwrap().to_owned()
    }

    fn cancel(&self, alert: &str) -> Answer {
        let path = format!("/v1/alerts/{alert}/cancel");
        self.server.request("POST", &path, "")
    }

    /// How many of the alert's deliveries are on record as cancelled.
    fn cancelled(&self, alert: &str) -> u64 {
        let answer = self
            .server
            .request("GET", &format!("/v1/alerts/{alert}"), "");
        let answer: Value = answer.json();
        answer["data"]["states"]["cancelled"].as_u64().unwrap_or(0)
    }

    fn accepted(&self) -> usize {
        let accepted = |posted: &&Posted| matches!(posted.outcome, Outcome::Accepted { .. });
        self.posted.iter().filter(accepted).count()
    }

    fn is_ready(&self) -> bool {
        self.server.request("GET", "/health/ready", "").status == 200
    }
}

#[test]
fn a_full_disk_refuses_with_503_goes_on_delivering_and_serves_again_when_there_is_room() {
    let scratch = Scratch::new("full");
    let disk = Disk::mount(&scratch);
    let mut at = Situation::new(&scratch, &disk.folder);

    // Deliveries that wait when the disk fills up.
    at.mockup.set_faults(&json!({ "latencyMs": 50 }));
    for _ in 0..200 {
        assert!(matches!(at.post(), Outcome::Accepted { .. }));
    }
    disk.fill();

    let refusal = (0..ENOUGH)
        .map(|_| at.post())
        .find(|outcome| !matches!(outcome, Outcome::Accepted { .. }));
    let refusal = refusal.expect("a full disk refuses at some time");
    let Outcome::Refused {
        status,
        code,
        retry_after,
    } = refusal
    else {
        panic!("{refusal:?}");
    };
    assert_eq!((status, code.as_str()), (503, "QUEUE_FULL"));
    assert!(
        retry_after.is_some_and(|seconds| seconds > 0),
        "{retry_after:?}"
    );
    until("the server to say that it is not ready", || !at.is_ready());
    let import = at.server.request(
        "PUT",
        "/v1/users/00000000-0000-0000-0000-000000000001",
        r#"{"name":"ann","channelId":"C1"}"#,
    );
    assert_eq!(import.status, 503, "{}", import.text());

    // What was accepted is delivered and recorded while it is full.
    at.mockup.set_faults(&json!({}));
    at.server.drain(LONG);
    assert!(at.mockup.stats().accepted >= at.accepted() as u64);
    assert!(!at.is_ready());
    assert!(matches!(at.post(), Outcome::Refused { status: 503, .. }));

    disk.free();
    until("the server to say that it is ready again", || at.is_ready());
    let accepted = wait_for("an alert to be accepted again", LONG, || {
        matches!(at.post(), Outcome::Accepted { .. }).then(|| at.accepted())
    });
    for _ in 0..100 {
        assert!(matches!(at.post(), Outcome::Accepted { .. }));
    }
    assert_eq!(at.accepted(), accepted + 100);
    at.server.drain(LONG);

    let database = Database::live(at.server.options.data());
    assert_eq!(database.integrity(), "ok");
    let (stored, messages) = (database.alerts_after(0), at.mockup.messages());
    let verdict = judge(&at.directory, &at.posted, &stored, &messages);
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    assert_eq!((verdict.lost, verdict.twice), (0, 0));
    drop(database);
    at.server.stop();
}

#[test]
fn a_server_killed_on_a_full_disk_starts_again_on_it_and_has_lost_nothing() {
    let scratch = Scratch::new("full");
    let disk = Disk::mount(&scratch);
    let mut at = Situation::new(&scratch, &disk.folder);
    at.mockup.set_faults(&json!({ "latencyMs": 200 }));
    for _ in 0..100 {
        assert!(matches!(at.post(), Outcome::Accepted { .. }));
    }
    disk.fill();
    (0..ENOUGH)
        .map(|_| at.post())
        .find(|outcome| !matches!(outcome, Outcome::Accepted { .. }))
        .unwrap();
    at.server.process.kill();
    at.mockup.set_faults(&json!({}));

    // It is not ready while the disk is full, and delivers nevertheless.
    let options = at.server.options.clone();
    let process = options.spawn();
    let expected = at.accepted();
    wait_for("the rest to be delivered", LONG, || {
        let messages = at.mockup.messages();
        let texts: std::collections::BTreeSet<_> =
            messages.iter().map(|message| &message.text).collect();
        (texts.len() >= expected).then_some(())
    });
    disk.free();
    drop(process);
    let server = options.start();
    server.drain(LONG);
    let database = Database::live(options.data());
    let verdict = judge(
        &at.directory,
        &at.posted,
        &database.alerts_after(0),
        &at.mockup.messages(),
    );
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
}

#[test]
fn the_operators_are_told_of_a_full_disk_while_it_is_full() {
    let scratch = Scratch::new("full");
    let disk = Disk::mount(&scratch);
    let mut at = Situation::with(&scratch, &disk.folder, |options| {
        options.with("--ops-target", "@user9")
    });
    disk.fill();
    (0..ENOUGH)
        .map(|_| at.post())
        .find(|outcome| !matches!(outcome, Outcome::Accepted { .. }))
        .expect("a full disk refuses at some time");
    let warnings = wait_for("the warning", LONG, || {
        let texts = at.mockup.texts("C9");
        (!texts.is_empty()).then_some(texts)
    });
    assert!(warnings[0].contains("the disk ran full"), "{warnings:?}");
    assert!(matches!(at.post(), Outcome::Refused { status: 503, .. }));
    let in_use = "error_notifier_store_reserve_in_use";
    assert_eq!(at.server.metric(in_use), Some(1.0));
}

#[test]
fn cancelling_on_a_full_disk_is_done_whole_or_refused_and_not_done_at_all() {
    let scratch = Scratch::new("full");
    let disk = Disk::mount(&scratch);
    let mut at = Situation::new(&scratch, &disk.folder);
    // Nobody is reached, so that there is something to cancel.
    at.mockup.set_faults(&json!({ "down": true }));
    let alerts: Vec<_> = (0..2).map(|_| at.post_to_all()).collect();
    disk.fill();
    (0..ENOUGH)
        .map(|_| at.post())
        .find(|outcome| !matches!(outcome, Outcome::Accepted { .. }))
        .expect("a full disk refuses at some time");

    // The reserve is there for this too.
    assert_eq!(at.cancel(&alerts[0]).status, 200);
    assert_eq!(at.cancelled(&alerts[0]), 9);
    // Until orders have had their part of it: these find nothing to do, and are on record.
    let refusal = (0..ENOUGH)
        .map(|_| at.server.request("POST", "/v1/dead-letters/replay", "{}"))
        .find(|answer| answer.status != 200);
    let refusal = refusal.expect("so many orders are refused at some time");
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert_eq!(refusal.json()["errorCode"], "STORE_UNWRITABLE");
    assert!(refusal.header("retry-after").is_some());
    let refusal = at.cancel(&alerts[1]);
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert_eq!(at.cancelled(&alerts[1]), 0);

    // What was done stays so, and what was not can be done, after a kill too.
    at.server.process.kill();
    disk.free();
    let options = at.server.options.clone();
    at.server = options.start();
    assert_eq!(at.cancelled(&alerts[1]), 0);
    assert_eq!(at.cancel(&alerts[1]).status, 200);
    assert_eq!(at.cancelled(&alerts[1]), 9);
    at.mockup.set_faults(&json!({}));
    at.server.drain(LONG);
    let messages = at.mockup.messages();
    assert!(
        messages
            .iter()
            .all(|message| !message.text.contains("to all"))
    );
}
