//! Filling a data folder whose server is stopped, with copies of its own rows.

use std::path::Path;

use common::{AlertId, UtcMillis};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::{Connection, Transaction, params};
use tests::harness::Database;

/// Rows a transaction.
const CHUNK: usize = 200_000;
/// The alerts are spread over so long before now.
const SPAN_MS: i64 = 30 * 24 * 60 * 60 * 1000;
/// One alert in so many is high, and one in so many low.
const HIGH_IN: i64 = 100;
const LOW_IN: i64 = 10;
/// One delivery in so many is dead, and one in so many cancelled.
const DEAD_IN: i64 = 1_000;
const CANCELLED_IN: i64 = 5_000;

/// The times between which alerts were accepted, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// Adds `count` alerts of one delivery each, evenly over the time before the ones
/// that are there.
pub(crate) fn fill(data: &Path, count: usize) -> Span {
    let mut connection = Connection::open(Database::path(data)).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000",
        )
        .expect("a database");
    let number = |query| -> i64 {
        connection
            .query_row(query, [], |row| row.get(0))
            .expect("the schema is known")
    };
    let templates = number("SELECT count(*) FROM alert");
    let last = number("SELECT min(accepted_at) FROM alert");
    let span = Span {
        first: last - SPAN_MS,
        last,
    };
    let mut rng = StdRng::seed_from_u64(7);
    let mut done = 0;
    while done < count {
        let chunk = CHUNK.min(count - done);
        let transaction = connection.transaction().expect("a database");
        for number in done..done + chunk {
            // After all that are there, in time before them: the order is another.
            let at = span.first + SPAN_MS * number as i64 / count as i64;
            let sequence = templates + 1 + number as i64;
            add(&transaction, sequence, rng.random_range(1..=templates), at);
        }
        transaction.commit().expect("room on the disk");
        done += chunk;
    }
    // What was copied is younger than all that follows it.
    connection
        .execute_batch(&format!(
            "DELETE FROM alert WHERE sequence <= {templates};
             DELETE FROM delivery WHERE sequence <= {templates};
             DELETE FROM alert_block;
             INSERT INTO alert_block (block, first_at, last_at, low, normal, high)
             SELECT sequence >> 10, min(accepted_at), max(accepted_at),
                    sum(severity = 0), sum(severity = 1), sum(severity = 2)
             FROM alert WHERE sequence < (SELECT max(sequence) >> 10 << 10 FROM alert)
             GROUP BY sequence >> 10;
             PRAGMA journal_mode = WAL"
        ))
        .expect("the schema is known");
    span
}

/// Adds the alert of that sequence number: a copy of `template` and its delivery.
fn add(transaction: &Transaction<'_>, sequence: i64, template: i64, at: i64) {
    let severity = match sequence {
        one if one % HIGH_IN == 0 => 2,
        one if one % LOW_IN == 3 => 0,
        _ => 1,
    };
    let message = format!(
        "node{} down, disk {} at {sequence} of its limit",
        sequence % 977,
        sequence % 31
    );
    let state = match sequence {
        one if one % DEAD_IN == 1 => 4,
        one if one % CANCELLED_IN == 2 => 5,
        _ => 3,
    };
    let run = |query, values: &[&dyn rusqlite::ToSql]| {
        let mut statement = transaction
            .prepare_cached(query)
            .expect("the schema is known");
        assert_eq!(statement.execute(values).expect("the schema is known"), 1);
    };
    run(
        "INSERT INTO alert (sequence, id, gtid, severity, accepted_at, message, targets, recipients)
         SELECT ?1, ?2, gtid, ?3, ?4, ?5, targets, recipients FROM alert WHERE sequence = ?6",
        params![
            sequence,
            AlertId::at(UtcMillis(at)).0.into_bytes(),
            severity,
            at,
            message,
            template
        ],
    );
    run(
        "INSERT INTO delivery (sequence, ordinal, destination_id, severity, state, attempts,
           parts_sent, reason, started_at, took_us, result, status, error, provider_id, withdrawn_at)
         SELECT ?1, ordinal, destination_id, ?2, ?3, attempts, parts_sent,
           iif(?3 = 4, 'refused for good: channel_not_found', NULL), ?4, took_us, result, status,
           iif(?3 = 4, 'channel_not_found', NULL), provider_id, iif(?3 = 5, ?4, NULL)
         FROM delivery WHERE sequence = ?5",
        params![sequence, severity, state, at, template],
    );
}
