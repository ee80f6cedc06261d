//! `@all` over everybody, and those who post meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tests::{
    figures::{Times, ms, row},
    harness::{Alert, Connection, Mockup, Outcome, ServerOptions, post, wait_for},
};

use crate::USERS;

/// How often somebody posts meanwhile.
const INTERVAL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn measure(options: &ServerOptions, mockup: &Mockup) {
    for severity in ["normal", "high"] {
        with_others(options, mockup, severity);
    }
}

fn with_others(options: &ServerOptions, mockup: &Mockup, severity: &'static str) {
    let server = options.start();
    server.drain(PATIENCE);
    mockup.forget();
    let address = server.address();
    let end = Arc::new(AtomicBool::new(false));
    let others = {
        let end = end.clone();
        thread::spawn(move || {
            let mut connection = Connection::open(address).expect("a server");
            let (mut posted, mut answered) = (HashMap::new(), Vec::new());
            let begun = Instant::now();
            let mut number = 0;
            while !end.load(Ordering::Relaxed) {
                sleep((begun + INTERVAL * number).saturating_duration_since(Instant::now()));
                number += 1;
                let user = number as usize * 7919 % USERS + 1;
                let message = format!("meanwhile {number}");
                let alert = Alert {
                    targets: vec![format!("@user{user}")],
                    severity,
                    message,
                };
                posted.insert(alert.text(), Timestamp::now());
                let sent = Instant::now();
                assert!(matches!(
                    post(&mut connection, &alert),
                    Outcome::Accepted { .. }
                ));
                answered.push(sent.elapsed());
            }
            (posted, answered)
        })
    };
    let everybody = Alert {
        targets: vec!["@all".into()],
        severity: "normal",
        message: "everybody".into(),
    };
    let mut connection = Connection::open(address).expect("a server");
    let begun = Instant::now();
    let outcome = post(&mut connection, &everybody);
    let answered = begun.elapsed();
    assert!(
        matches!(outcome, Outcome::Accepted { user_count, .. } if user_count == USERS as u64),
        "{outcome:?}"
    );
    wait_for("everybody to be told", PATIENCE, || {
        (mockup.stats().accepted >= USERS as u64).then_some(())
    });
    server.drain(PATIENCE);
    end.store(true, Ordering::Relaxed);
    let (posted, others_answered) = others.join().expect("the others");
    server.drain(PATIENCE);

    let messages = mockup.messages();
    let told: Vec<Timestamp> = messages
        .iter()
        .filter(|message| message.text.ends_with("] everybody"))
        .map(|message| message.received_at.parse().expect("a time"))
        .collect();
    let (first, last) = (told.iter().min(), told.iter().max());
    let span = first
        .zip(last)
        .map(|(first, last)| last.duration_since(*first).unsigned_abs());
    let meanwhile: Times = messages
        .iter()
        .filter_map(|message| {
            let received: Timestamp = message.received_at.parse().ok()?;
            Some(
                received
                    .duration_since(*posted.get(&message.text)?)
                    .unsigned_abs(),
            )
        })
        .collect();
    let others_answered: Times = others_answered.into_iter().collect();
    if severity == "normal" {
        row(
            &format!("`@all` over {USERS} users: time to 200"),
            &ms(answered),
            "≤ 1.5 s",
        );
        row(
            &format!("from its first to its last delivery, {} in all", told.len()),
            &ms(span.unwrap_or_default()),
            "",
        );
    }
    row(
        &format!(
            "alerts of severity {severity} posted meanwhile, {}: posted → received, median, p99, slowest",
            meanwhile.count()
        ),
        &format!(
            "{}, {}, {}",
            meanwhile.median(),
            meanwhile.p99(),
            meanwhile.slowest()
        ),
        "≤ 100 ms",
    );
    row(
        "their posted → answered 200, median, p99, slowest",
        &format!(
            "{}, {}, {}",
            others_answered.median(),
            others_answered.p99(),
            others_answered.slowest()
        ),
        "",
    );
    server.stop();
}
