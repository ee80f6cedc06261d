//! The write-ahead log.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use common::{AcceptedAlert, Alert, Severity, UtcMillis};
use producer::ports::{Acceptance, AlertQueue};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{
    Store,
    fixtures::{FakeClock, alert, delivery, settings},
    folder::database,
    writer::log::LIMIT,
};

/// An alert whose text takes 100 KB.
fn long() -> AcceptedAlert {
    let accepted = alert(Severity::Normal, UtcMillis(0), vec![delivery(1, 1)]);
    let alert = Alert {
        message: "x".repeat(100_000).into(),
        ..Alert::clone(&accepted.alert)
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        ..accepted
    }
}

#[tokio::test]
async fn the_log_stays_short_though_one_reading_follows_the_other_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), Arc::new(FakeClock::default())).unwrap();
    let file = database(folder.path());
    let log = file.with_extension("db-wal");
    let is_over = Arc::new(AtomicBool::new(false));
    let reading = thread::spawn({
        let (is_over, file) = (is_over.clone(), file.clone());
        move || {
            let connections = [(); 2].map(|()| Connection::open(&file).unwrap());
            let begin = "BEGIN; SELECT max(sequence) FROM alert";
            connections[1].execute_batch(begin).unwrap();
            for turn in (0..2).cycle() {
                connections[turn].execute_batch(begin).unwrap();
                connections[1 - turn].execute_batch("COMMIT").unwrap();
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    });
    // Four times what it may have, a part at a time.
    let mut longest = 0;
    for _ in 0..4 * LIMIT / 2_000_000 {
        let mut calls = JoinSet::new();
        for _ in 0..20 {
            let queue = store.queue.clone();
            calls.spawn(async move { queue.accept(long(), None).await });
        }
        for answer in calls.join_all().await {
            assert_eq!(answer, Ok(Acceptance::Accepted));
        }
        longest = longest.max(fs::metadata(&log).unwrap().len());
    }
    is_over.store(true, Ordering::Relaxed);
    reading.join().unwrap();
    assert!(longest < 2 * LIMIT, "{longest} bytes");
    store.close();
}
