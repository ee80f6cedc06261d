//! Passing over alerts by the summaries of their blocks. The last block, the open one,
//! has no summary and is never passed over.

use common::{Severity, UtcMillis};
use rusqlite::{Connection, OptionalExtension, params};

use crate::writer::blocks::BLOCK_BITS;

/// The blocks that may hold what matches, the last first. The parameters for what
/// is not asked for are null.
const MATCHING: &str = "SELECT block FROM alert_block
     WHERE block <= ?1 AND (?2 IS NULL OR last_at >= ?2) AND (?3 IS NULL OR first_at <= ?3)
       AND CASE ?4 WHEN 0 THEN low WHEN 1 THEN normal WHEN 2 THEN high ELSE 1 END > 0
     ORDER BY block DESC";

/// Of which alerts a block may hold some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Accepted at this time or later.
    pub(super) since: Option<UtcMillis>,
    /// Accepted at this time or earlier.
    pub(super) until: Option<UtcMillis>,
    /// Of this severity.
    pub(super) severity: Option<Severity>,
}

/// Walks the blocks that may hold what is wanted, with sequence numbers below
/// `before`, the last first: `walk` gets the first and the end of a block's, and says
/// whether to go on.
pub(super) fn walk(
    connection: &Connection,
    wanted: Wanted,
    before: i64,
    mut walk: impl FnMut(i64, i64) -> Result<bool, rusqlite::Error>,
) -> Result<(), rusqlite::Error> {
    let Some(open) = open(connection)? else {
        return Ok(());
    };
    if before > open && !walk(open, before)? {
        return Ok(());
    }
    let mut blocks = connection.prepare_cached(MATCHING)?;
    let mut blocks = blocks.query(params![
        before.min(open).saturating_sub(1) >> BLOCK_BITS,
        wanted.since.map(|since| since.0),
        wanted.until.map(|until| until.0),
        wanted.severity.map(Severity::code)
    ])?;
    while let Some(row) = blocks.next()? {
        let block: i64 = row.get(0)?;
        let end = before.min((block + 1) << BLOCK_BITS);
        if !walk(block << BLOCK_BITS, end)? {
            break;
        }
    }
    Ok(())
}

/// Where the first block begins that may hold alerts accepted since then; `None`
/// where there are no alerts.
pub(super) fn first_since(
    connection: &Connection,
    since: UtcMillis,
) -> Result<Option<i64>, rusqlite::Error> {
    let block: Option<i64> = connection
        .prepare_cached("SELECT min(block) FROM alert_block WHERE last_at >= ?1")?
        .query_row([since.0], |row| row.get(0))?;
    match block {
        Some(block) => Ok(Some(block << BLOCK_BITS)),
        None => open(connection),
    }
}

/// Where the last block ends that may hold alerts accepted until then; `None` where
/// there are none.
pub(super) fn end_until(
    connection: &Connection,
    until: UtcMillis,
) -> Result<Option<i64>, rusqlite::Error> {
    let Some(open) = open(connection)? else {
        return Ok(None);
    };
    let is_in_open = connection
        .prepare_cached("SELECT 1 FROM alert WHERE sequence >= ?1 AND accepted_at <= ?2")?
        .exists(params![open, until.0])?;
    if is_in_open {
        return Ok(Some(i64::MAX));
    }
    let block: Option<i64> = connection
        .prepare_cached("SELECT max(block) FROM alert_block WHERE first_at <= ?1")?
        .query_row([until.0], |row| row.get(0))?;
    Ok(block.map(|block| (block + 1) << BLOCK_BITS))
}

/// The first sequence number of the open block.
fn open(connection: &Connection) -> Result<Option<i64>, rusqlite::Error> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT sequence FROM alert ORDER BY sequence DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.map(|last| last >> BLOCK_BITS << BLOCK_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{self, plan};

    #[test]
    fn blocks_come_in_their_order_without_being_sorted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut connection = schema::open(&path, crate::Synchronous::Off).unwrap();
        schema::migrate(&mut connection).unwrap();
        let plan = plan(&connection, MATCHING);
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
