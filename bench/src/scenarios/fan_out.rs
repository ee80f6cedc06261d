//! A directory of 100,000 users: what it takes, `@all` over everybody, and those who post
//! meanwhile.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tests::{
    figures::{
        Times,
        machine::{forget_peak, peak_mib, resident_mib},
        ms,
    },
    harness::{
        Alert, Connection, Directory, Message, Mockup, Outcome, Scratch, Server, post, wait_for,
    },
};

use crate::{
    report::Report,
    subject::{Programs, Run, options},
};

const USERS: usize = 100_000;
const GROUPS: usize = 10_000;
const MEMBERS: usize = 20;
/// How often somebody posts meanwhile.
const INTERVAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(300);
/// Waiting, the others are asked so seldom that it costs them nothing.
const GLANCE: Duration = Duration::from_millis(20);

/// What came of an alert to everybody.
struct Everybody {
    answered: Duration,
    /// From the request to the last message.
    told: Duration,
    peak_mib: f64,
    others_answered: Times,
    others_received: Times,
}

pub(crate) fn measure(run: &Run, report: &mut Report) {
    for (place, program) in run.programs.iter().enumerate() {
        let name = Programs::name(place);
        let scratch = Scratch::new("bench");
        let mockup = Mockup::start(&scratch);
        let server = directory(program, name, &scratch, &mockup, report);
        for severity in ["normal", "high"] {
            tell(
                report,
                name,
                severity,
                &everybody(&server, &mockup, severity),
            );
        }
        server.stop();
    }
}

/// Imports everybody and starts again.
fn directory(
    program: &Path,
    name: &str,
    scratch: &Scratch,
    mockup: &Mockup,
    report: &mut Report,
) -> Server {
    let options = options(program, scratch, mockup);
    let server = options.start();
    let begun = Instant::now();
    all_of_them().import(&server);
    let took = begun.elapsed().as_secs_f64();
    let imported = resident_mib(server.process.id());
    server.stop();
    let server = options.start();
    let started = resident_mib(server.process.id());
    report.row(
        &format!("importing {USERS} users and {GROUPS} groups of {MEMBERS}{name}; memory after that and after a restart; from start to ready with them"),
        &format!(
            "{took:.1} s; {imported:.0}, {started:.0} MiB; {}",
            ms(server.ready_after)
        ),
        "",
        started,
    );
    server
}

fn all_of_them() -> Directory {
    let mut directory = Directory::of_users(USERS);
    for group in 0..GROUPS {
        let members = (0..MEMBERS).map(|place| (group * 7919 + place * 104_729) % USERS);
        directory.add_group(members.collect());
    }
    directory
}

fn everybody(server: &Server, mockup: &Mockup, severity: &'static str) -> Everybody {
    mockup.forget();
    forget_peak(server.process.id());
    let others = Others::start(server.address(), severity);
    let everybody = Alert {
        targets: vec!["@all".into()],
        severity: "normal",
        message: "everybody".into(),
    };
    let mut connection = Connection::open(server.address()).expect("a server");
    let (begun, posted) = (Instant::now(), Timestamp::now());
    let outcome = post(&mut connection, &everybody);
    let answered = begun.elapsed();
    assert!(
        matches!(outcome, Outcome::Accepted { user_count, .. } if user_count == USERS as u64),
        "{outcome:?}"
    );
    wait_for("everybody to be told", PATIENCE, || {
        sleep(GLANCE);
        (mockup.stats().accepted >= USERS as u64).then_some(())
    });
    let others = others.stop();
    server.drain(PATIENCE);
    let messages = mockup.messages();
    Everybody {
        answered,
        told: last(&messages, &everybody.text())
            .duration_since(posted)
            .unsigned_abs(),
        peak_mib: peak_mib(server.process.id()),
        others_received: others.received(&messages),
        others_answered: others.answered.into_iter().collect(),
    }
}

/// When the last message of that text came, of as many as there are users.
fn last(messages: &[Message], text: &str) -> Timestamp {
    let told: Vec<Timestamp> = messages
        .iter()
        .filter(|message| message.text == text)
        .map(received_at)
        .collect();
    assert_eq!(told.len(), USERS, "everybody is told once");
    told.into_iter().max().expect("there are users")
}

fn received_at(message: &Message) -> Timestamp {
    message.received_at.parse().expect("a time")
}

/// Those who post meanwhile.
struct Others {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Done>,
}

/// What they posted.
#[derive(Default)]
struct Done {
    /// When each text should have been posted.
    due: HashMap<String, Timestamp>,
    answered: Vec<Duration>,
}

impl Others {
    fn start(address: SocketAddr, severity: &'static str) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let is_over = end.clone();
        let thread = thread::spawn(move || {
            let mut connection = Connection::open(address).expect("a server");
            let mut done = Done::default();
            let (begun, at) = (Instant::now(), Timestamp::now());
            for number in 1.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                // Each has its own time, however long those before it took.
                let due = begun + INTERVAL * number;
                sleep(due.saturating_duration_since(Instant::now()));
                let alert = Alert {
                    targets: vec![format!("@user{}", number as usize * 7919 % USERS + 1)],
                    severity,
                    message: format!("meanwhile {number}"),
                };
                done.due.insert(alert.text(), at + INTERVAL * number);
                let outcome = post(&mut connection, &alert);
                assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
                done.answered.push(due.elapsed());
            }
            done
        });
        Self { end, thread }
    }

    fn stop(self) -> Done {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("the others")
    }
}

impl Done {
    /// How long each took to its message.
    fn received(&self, messages: &[Message]) -> Times {
        let took = messages.iter().filter_map(|message| {
            let due = self.due.get(&message.text)?;
            Some(received_at(message).duration_since(*due).unsigned_abs())
        });
        took.collect()
    }
}

fn tell(report: &mut Report, name: &str, severity: &str, found: &Everybody) {
    report.row(
        &format!("`@all` over {USERS} users beside others of severity {severity}{name}: to the 200; to the last delivery; memory at its peak"),
        &format!(
            "{}; {:.1} s, {:.0} a second; {:.0} MiB",
            ms(found.answered),
            found.told.as_secs_f64(),
            USERS as f64 / found.told.as_secs_f64(),
            found.peak_mib
        ),
        "200 within 1.5 s",
        found.answered.as_secs_f64() * 1000.0,
    );
    let others =
        |times: &Times| format!("{}, {}, {}", times.median(), times.p99(), times.slowest());
    report.row(
        &format!(
            "the {} others{name}, posted → received, and → answered 200: median, p99, slowest",
            found.others_received.count()
        ),
        &format!(
            "{}; {}",
            others(&found.others_received),
            others(&found.others_answered)
        ),
        "≤ 100 ms",
        found.others_received.p99_ms(),
    );
}
