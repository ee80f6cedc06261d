//! Summaries of each 1,024 alerts, by which the history finds its way.

use std::collections::BTreeMap;

use common::{Severity, UtcMillis};
use rusqlite::{Transaction, params};

/// A block is a sequence number without its last bits.
pub(crate) const BLOCK_BITS: u32 = 10;

/// What the transaction under way adds to the summaries.
#[derive(Default)]
pub(super) struct Blocks(BTreeMap<u64, Addition>);

struct Addition {
    first: UtcMillis,
    last: UtcMillis,
    /// By [`Severity::code`].
    counts: [i64; 3],
}

impl Blocks {
    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.0.clear();
    }

    pub(super) fn add(&mut self, sequence: u64, severity: Severity, accepted_at: UtcMillis) {
        let addition = self.0.entry(sequence >> BLOCK_BITS).or_insert(Addition {
            first: accepted_at,
            last: accepted_at,
            counts: [0; 3],
        });
        addition.first = addition.first.min(accepted_at);
        addition.last = addition.last.max(accepted_at);
        addition.counts[usize::from(severity.code())] += 1;
    }

    /// Writes what was added, at the end of the transaction.
    pub(super) fn write(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        for (block, addition) in &self.0 {
            let [low, normal, high] = addition.counts;
            transaction
                .prepare_cached(
                    "INSERT INTO alert_block (block, first_at, last_at, low, normal, high)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET
                       first_at = min(first_at, excluded.first_at),
                       last_at = max(last_at, excluded.last_at),
                       low = low + excluded.low, normal = normal + excluded.normal,
                       high = high + excluded.high",
                )?
                .execute(params![
                    *block as i64,
                    addition.first.0,
                    addition.last.0,
                    low,
                    normal,
                    high
                ])?;
        }
        Ok(())
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
