//! Stores alerts, takes them off the queue and stores what became of them, as one SQLite
//! connection can: so many a commit, in as few bytes and statements as would do. A line
//! of a log for each, as the program writes it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, Params, Transaction, params};
use rustix::time::ClockId;

use super::Done;
use crate::clock::cpu;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 1000;
    CREATE TABLE alert (
        sequence INTEGER PRIMARY KEY, id BLOB NOT NULL, accepted_at INTEGER NOT NULL,
        message TEXT NOT NULL, recipients BLOB NOT NULL
    ) STRICT;
    CREATE TABLE open_alert (sequence INTEGER PRIMARY KEY, open INTEGER NOT NULL) STRICT;
    CREATE TABLE delivery (
        sequence INTEGER NOT NULL, ordinal INTEGER NOT NULL, state INTEGER NOT NULL,
        started_at INTEGER, took_us INTEGER, provider_id TEXT,
        PRIMARY KEY (sequence, ordinal)
    ) STRICT, WITHOUT ROWID;";
const AT: i64 = 1_700_000_000_000;
/// Packed, a recipient takes about so many bytes.
const RECIPIENT: usize = 24;

pub(super) fn write(folder: &Path, alerts: usize, recipients: usize, span: Duration) -> Done {
    let mut connection = Connection::open(folder.join("ceiling.db")).expect("a database");
    connection.execute_batch(SCHEMA).expect("a schema");
    let mut log = BufWriter::new(File::create(folder.join("log")).expect("a file"));
    let packed = vec![7_u8; RECIPIENT * recipients];
    let begun = Instant::now();
    let mut sequence = 0_i64;
    while begun.elapsed() < span {
        let transaction = connection.transaction().expect("a transaction");
        for _ in 0..alerts {
            sequence += 1;
            store(&transaction, sequence, recipients, &packed);
            settle(&transaction, sequence, recipients, &mut log);
        }
        transaction.commit().expect("a commit");
        log.flush().expect("a log");
    }
    Done {
        count: sequence.unsigned_abs(),
        took: begun.elapsed(),
        cpu: cpu(ClockId::ProcessCPUTime),
    }
}

fn store(transaction: &Transaction<'_>, sequence: i64, recipients: usize, packed: &[u8]) {
    let message = "node1 down: the disk /dev/sda1 is full";
    execute(
        transaction,
        "INSERT INTO alert VALUES (?1, ?2, ?3, ?4, ?5)",
        params![sequence, [7_u8; 16], AT, message, packed],
    );
    execute(
        transaction,
        "INSERT INTO open_alert VALUES (?1, ?2)",
        params![sequence, recipients as i64],
    );
}

fn settle(
    transaction: &Transaction<'_>,
    sequence: i64,
    recipients: usize,
    log: &mut BufWriter<File>,
) {
    for ordinal in 0..recipients as i64 {
        execute(
            transaction,
            "INSERT INTO delivery VALUES (?1, ?2, 3, ?3, ?4, ?5)",
            params![sequence, ordinal, AT, 250, "1700000000.000100"],
        );
        writeln!(
            log,
            "{AT} delivery {sequence}-{ordinal} accepted after 250 us"
        )
        .expect("a log");
    }
    execute(
        transaction,
        "DELETE FROM open_alert WHERE sequence = ?1",
        [sequence],
    );
}

fn execute(transaction: &Transaction<'_>, sql: &str, values: impl Params) {
    transaction
        .prepare_cached(sql)
        .and_then(|mut statement| statement.execute(values))
        .expect("a row");
}
