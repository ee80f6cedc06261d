//! Summaries of each 1,024 alerts, by which the history finds its way.
//!
//! A block's summary is gathered in memory and written once, in the transaction that
//! accepts the first alert after it. Of the last block, the open one, there is none
//! on disk: whoever looks for something looks through it, and a start gathers it anew.

use common::{Severity, UtcMillis};
use rusqlite::{Connection, Transaction, params};

use crate::reader::severity;

/// A block is a sequence number without its last bits.
pub(crate) const BLOCK_BITS: u32 = 10;

/// The summaries as the transaction under way leaves them.
#[derive(Default)]
pub(super) struct Blocks {
    open: Option<Summary>,
    /// The open one as it was before the transaction.
    committed: Option<Summary>,
    /// Those that the transaction completes.
    complete: Vec<Summary>,
}

#[derive(Clone, Copy)]
struct Summary {
    block: u64,
    first: UtcMillis,
    last: UtcMillis,
    /// By [`Severity::code`].
    counts: [i64; 3],
}

impl Blocks {
    /// Gathers the open block's, which holds the sequence number `last`.
    pub(super) fn read(connection: &Connection, last: u64) -> Result<Self, rusqlite::Error> {
        let mut blocks = Self::default();
        let first = last >> BLOCK_BITS << BLOCK_BITS;
        let mut alerts = connection
            .prepare("SELECT sequence, severity, accepted_at FROM alert WHERE sequence >= ?1")?;
        let mut alerts = alerts.query([first as i64])?;
        while let Some(row) = alerts.next()? {
            let sequence = row.get::<_, i64>(0)? as u64;
            blocks.add(sequence, severity(row, 1)?, UtcMillis(row.get(2)?));
        }
        blocks.committed();
        Ok(blocks)
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.open = self.committed;
        self.complete.clear();
    }

    pub(super) fn add(&mut self, sequence: u64, severity: Severity, accepted_at: UtcMillis) {
        let block = sequence >> BLOCK_BITS;
        let new = Summary {
            block,
            first: accepted_at,
            last: accepted_at,
            counts: [0; 3],
        };
        let complete = self.open.take_if(|open| open.block != block);
        self.complete.extend(complete);
        let open = self.open.get_or_insert(new);
        open.first = open.first.min(accepted_at);
        open.last = open.last.max(accepted_at);
        open.counts[usize::from(severity.code())] += 1;
    }

    /// Writes what is complete, at the end of the transaction.
    pub(super) fn write(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        for summary in &self.complete {
            let [low, normal, high] = summary.counts;
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO alert_block (block, first_at, last_at, low, normal, high)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    summary.block as i64,
                    summary.first.0,
                    summary.last.0,
                    low,
                    normal,
                    high
                ])?;
        }
        Ok(())
    }

    /// The transaction was committed.
    pub(super) fn committed(&mut self) {
        self.committed = self.open;
        self.complete.clear();
    }
}

/// Removes the summaries of what has been trimmed from the beginning.
pub(super) fn trim(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "DELETE FROM alert_block WHERE block < (SELECT min(sequence) FROM alert) >> ?1",
        )?
        .execute([BLOCK_BITS])
        .map(drop)
}
