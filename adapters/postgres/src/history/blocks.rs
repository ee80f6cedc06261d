//! Passing over alerts by the summaries of their blocks.

use common::{Severity, UtcMillis};
use deadpool_postgres::Transaction;

use super::record::BLOCK_BITS;
use crate::error::Failure;

/// Blocks looked up at once.
const AT_ONCE: i64 = 64;

/// The blocks that may hold what matches, the last first. The parameters for what is not
/// asked for are null.
const MATCHING: &str = "SELECT block FROM alert_block
     WHERE block <= $1
       AND ($2::bigint IS NULL OR last_at >= $2) AND ($3::bigint IS NULL OR first_at <= $3)
       AND CASE $4::smallint WHEN 0 THEN low WHEN 1 THEN normal WHEN 2 THEN high
                             ELSE low + normal + high END > 0
       AND (NOT $5::boolean OR open > 0)
     ORDER BY block DESC LIMIT $6";

/// Of which alerts a block may hold some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Accepted at this time or later.
    pub(super) since: Option<UtcMillis>,
    /// Accepted at this time or earlier.
    pub(super) until: Option<UtcMillis>,
    /// Of this severity.
    pub(super) severity: Option<Severity>,
    /// With deliveries that have not ended.
    pub(super) is_open: bool,
}

/// Goes through the blocks that may hold what is wanted, the last first.
pub(super) struct Walk {
    wanted: Wanted,
    /// Sequence numbers at and above this are not looked at.
    before: i64,
    found: std::vec::IntoIter<i64>,
    is_over: bool,
}

impl Walk {
    /// Over sequence numbers below `before`.
    pub(super) fn new(wanted: Wanted, before: Option<u64>) -> Self {
        Self {
            wanted,
            before: before.map_or(i64::MAX, |before| before as i64),
            found: Vec::new().into_iter(),
            is_over: false,
        }
    }

    /// The first sequence number of the next block, and the end of those to be looked at.
    pub(super) async fn next(
        &mut self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<(i64, i64)>, Failure> {
        if self.found.as_slice().is_empty() && !self.is_over {
            self.look_up(transaction).await?;
        }
        let Some(block) = self.found.next() else {
            return Ok(None);
        };
        let first = block << BLOCK_BITS;
        let end = self.before.min(first + (1 << BLOCK_BITS));
        self.before = first;
        Ok(Some((first, end)))
    }

    async fn look_up(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let statement = transaction.prepare_cached(MATCHING).await?;
        let last = self.before.saturating_sub(1) >> BLOCK_BITS;
        let rows = transaction
            .query(
                &statement,
                &[
                    &last,
                    &self.wanted.since.map(|since| since.0),
                    &self.wanted.until.map(|until| until.0),
                    &self
                        .wanted
                        .severity
                        .map(|severity| i16::from(severity.code())),
                    &self.wanted.is_open,
                    &AT_ONCE,
                ],
            )
            .await?;
        let found: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        let found = found?;
        self.is_over = (found.len() as i64) < AT_ONCE;
        self.found = found.into_iter();
        Ok(())
    }
}

/// Where the first block begins that may hold alerts accepted since then; `None` where
/// there is none.
pub(super) async fn first_since(
    transaction: &Transaction<'_>,
    since: UtcMillis,
) -> Result<Option<i64>, Failure> {
    let statement = transaction
        .prepare_cached("SELECT min(block) FROM alert_block WHERE last_at >= $1")
        .await?;
    let row = transaction.query_one(&statement, &[&since.0]).await?;
    let block: Option<i64> = row.try_get(0)?;
    Ok(block.map(|block| block << BLOCK_BITS))
}
