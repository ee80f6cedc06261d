//! Stores alerts and what became of them as one SQLite connection can: so many a commit,
//! in as few bytes and statements as would do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};

use super::{Done, process_cpu};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 1000;
    CREATE TABLE alert (
        sequence INTEGER PRIMARY KEY, id BLOB NOT NULL, accepted_at INTEGER NOT NULL,
        message TEXT NOT NULL, recipients BLOB NOT NULL
    ) STRICT;
    CREATE TABLE delivery (
        sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, state INTEGER NOT NULL,
        started_at INTEGER, took_us INTEGER, provider_id TEXT,
        PRIMARY KEY (sequence, ordinal)
    ) STRICT, WITHOUT ROWID;";

pub(super) fn write(folder: &Path, alerts: usize, span: Duration) -> Done {
    let mut connection = Connection::open(folder.join("ceiling.db")).expect("a database");
    connection.execute_batch(SCHEMA).expect("a schema");
    let begun = Instant::now();
    let mut sequence = 0_i64;
    while begun.elapsed() < span {
        let transaction = connection.transaction().expect("a transaction");
        for _ in 0..alerts {
            sequence += 1;
            transaction
                .prepare_cached("INSERT INTO alert VALUES (?1, ?2, ?3, ?4, ?5)")
                .and_then(|mut insert| {
                    insert.execute(params![
                        sequence,
                        [7_u8; 16],
                        1_700_000_000_000_i64,
                        "node1 down: the disk /dev/sda1 is full",
                        [7_u8; 24]
                    ])
                })
                .expect("an alert");
            transaction
                .prepare_cached("INSERT INTO delivery VALUES (?1, 0, 3, ?2, ?3, ?4)")
                .and_then(|mut insert| {
                    insert.execute(params![
                        sequence,
                        1_700_000_000_000_i64,
                        250,
                        "1700000000.000100"
                    ])
                })
                .expect("a delivery");
        }
        transaction.commit().expect("a commit");
    }
    Done {
        count: sequence.unsigned_abs(),
        took: begun.elapsed(),
        cpu: process_cpu(),
    }
}
