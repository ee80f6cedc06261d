//! What a server has on its disk, read as `adapters/sqlite/migrations` and
//! `adapters/sqlite/src/packed.rs` describe it, by code of its own.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row};
use uuid::Uuid;

const FILE: &str = "error-notifier.db";

/// An alert with its deliveries.
#[derive(Clone, Debug)]
pub struct StoredAlert {
    /// Its place in the order of acceptance.
    pub sequence: i64,
    /// Its id.
    pub id: Uuid,
    /// What its reader sees: `[high] node1 down`.
    pub text: String,
    /// Its deliveries.
    pub deliveries: Vec<StoredDelivery>,
}

/// A delivery.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// Where to.
    pub channel: String,
    /// How far it is.
    pub state: State,
    /// Attempts on record.
    pub attempts: u32,
    /// What it waits for.
    pub wait: Option<StoredWait>,
}

/// A delivery's wait for its next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredWait {
    /// Not before this time.
    pub until: Timestamp,
    /// Whether the service asked for it, by `Retry-After`.
    pub asked: bool,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ended.
    Open,
    /// Delivered, and recorded so.
    Delivered,
    /// A dead letter.
    Dead,
}

/// How many deliveries have ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Delivered, by a message of their own.
    pub alone: usize,
    /// Delivered, by a digest.
    pub in_digests: usize,
    /// Not delivered: dead, cancelled, or not ended.
    pub otherwise: usize,
}

/// A database, open for reading.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    /// Opens that of a data folder whose server runs.
    pub fn live(data: &Path) -> Self {
        Self::open(&data.join(FILE))
    }

    /// Opens a copy, made in `folder`, of that of a data folder whose server is
    /// gone, which is left as it is: merely opening it would change it.
    pub fn copied(data: &Path, folder: &Path) -> Self {
        let name = |suffix: &str| format!("{FILE}{suffix}");
        fs::create_dir_all(folder).expect("a folder");
        for suffix in ["", "-wal"] {
            let (from, to) = (data.join(name(suffix)), folder.join(name(suffix)));
            let _ = fs::remove_file(&to);
            if from.exists() {
                fs::copy(from, to).expect("a copy");
            }
        }
        let _ = fs::remove_file(folder.join(name("-shm")));
        Self::open(&folder.join(FILE))
    }

    /// Where the database of a data folder is.
    pub fn path(data: &Path) -> PathBuf {
        data.join(FILE)
    }

    fn open(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).expect("a database");
        connection
            .execute_batch("PRAGMA query_only = on")
            .expect("a database");
        Self(connection)
    }

    /// What SQLite says of the file as a whole: `ok`.
    pub fn integrity(&self) -> String {
        let check = self
            .0
            .query_row("PRAGMA integrity_check", [], |row| row.get(0));
        check.expect("a check")
    }

    /// How deliveries have ended, those counted that have a row.
    pub fn ends(&self) -> Ends {
        let sql = "SELECT state = 3, digest IS NOT NULL, count(*) FROM delivery GROUP BY 1, 2";
        let mut query = self.0.prepare(sql).expect("the schema is known");
        let mut ends = Ends::default();
        let mut rows = query.query([]).expect("the schema is known");
        while let Some(row) = rows.next().expect("the schema is known") {
            let (is_delivered, is_in_digest, count): (bool, bool, i64) =
                row.try_into().expect("three numbers");
            *match (is_delivered, is_in_digest) {
                (true, false) => &mut ends.alone,
                (true, true) => &mut ends.in_digests,
                (false, _) => &mut ends.otherwise,
            } += usize::try_from(count).expect("a count");
        }
        ends
    }

    /// Deliveries that wait in a digest, but for its lead.
    pub fn digested(&self) -> usize {
        let sql = "SELECT count(*) FROM delivery WHERE state = 6";
        let count = self.0.query_row(sql, [], |row| row.get::<_, i64>(0));
        usize::try_from(count.expect("the schema is known")).expect("a count")
    }

    /// The dead letters: where to and why.
    pub fn dead_letters(&self) -> Vec<(String, String)> {
        let sql = "SELECT address, reason FROM delivery
                   JOIN destination ON destination.id = destination_id
                   WHERE state = 4 ORDER BY sequence, ordinal";
        let mut query = self.0.prepare(sql).expect("the schema is known");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.and_then(Iterator::collect)
            .expect("the schema is known")
    }

    /// The last place in the order of acceptance that was given out.
    pub fn last_sequence(&self) -> i64 {
        let query = "SELECT coalesce(max(sequence), 0) FROM alert";
        self.0
            .query_row(query, [], |row| row.get(0))
            .expect("the schema is known")
    }

    /// The alerts that were accepted after `sequence`, in order.
    pub fn alerts_after(&self, sequence: i64) -> Vec<StoredAlert> {
        // One snapshot of all of it: the server may be writing.
        self.0.execute_batch("BEGIN").expect("a transaction");
        let alerts = self.read(sequence).expect("the schema is known");
        self.0.execute_batch("COMMIT").expect("a transaction");
        alerts
    }

    fn read(&self, after: i64) -> rusqlite::Result<Vec<StoredAlert>> {
        let pairs = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let mut query = self.0.prepare("SELECT id, address FROM destination")?;
        let channels: HashMap<i64, String> =
            query.query_map([], pairs)?.collect::<Result<_, _>>()?;

        let sql = "SELECT state, attempts, iif(state = 1, wait_until, NULL), wait_asked, sequence, ordinal FROM delivery WHERE sequence > ?1";
        let mut query = self.0.prepare(sql)?;
        let progress = query.query_map([after], |row| {
            Ok((
                (row.get::<_, i64>(4)?, row.get::<_, i64>(5)?),
                progress(row)?,
            ))
        })?;
        let known: HashMap<(i64, i64), _> = progress.collect::<Result<_, _>>()?;

        let sql = "SELECT sequence, id, message, recipients, severity FROM alert WHERE sequence > ?1 ORDER BY sequence";
        let mut query = self.0.prepare(sql)?;
        let alerts = query.query_map([after], |row| {
            let sequence = row.get(0)?;
            let packed: Vec<u8> = row.get(3)?;
            let deliveries = (0..)
                .zip(destinations(&packed))
                .map(|(ordinal, destination)| {
                    let known = known.get(&(sequence, ordinal)).copied();
                    let (state, attempts, wait) = known.unwrap_or((State::Open, 0, None));
                    StoredDelivery {
                        channel: channels[&destination].clone(),
                        state,
                        attempts,
                        wait,
                    }
                });
            Ok(StoredAlert {
                sequence,
                id: Uuid::from_slice(&row.get::<_, Vec<u8>>(1)?).expect("16 bytes"),
                text: format!("[{}] {}", severity(row.get(4)?), row.get::<_, String>(2)?),
                deliveries: deliveries.collect(),
            })
        })?;
        alerts.collect()
    }
}

/// State, attempts, and until when it waits and whether that was asked for.
fn progress(row: &Row<'_>) -> rusqlite::Result<(State, u32, Option<StoredWait>)> {
    let state = match row.get(0)? {
        3 => State::Delivered,
        4 => State::Dead,
        _ => State::Open,
    };
    let until: Option<i64> = row.get(2)?;
    let asked: Option<bool> = row.get(3)?;
    let wait = until.map(|until| StoredWait {
        until: Timestamp::from_millisecond(until).expect("a time"),
        asked: asked.unwrap_or_default(),
    });
    Ok((state, row.get(1)?, wait))
}

fn severity(code: u8) -> &'static str {
    ["low", "normal", "high"][usize::from(code)]
}

/// The destinations of an alert's packed deliveries, by ordinal.
fn destinations(packed: &[u8]) -> Vec<i64> {
    assert_eq!(packed[0], 1, "the packed form's version");
    let mut rest = &packed[1..];
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (destination, after) = rest.split_at(8);
        all.push(i64::from_le_bytes(destination.try_into().expect("8 bytes")));
        rest = after;
        varint(&mut rest);
        for _ in 0..varint(&mut rest) {
            rest = &rest[16..];
            varint(&mut rest);
        }
    }
    all
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    number
}
