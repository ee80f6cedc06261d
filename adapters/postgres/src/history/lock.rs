//! Who writes here, one at a time.

use deadpool_postgres::Transaction;

use crate::error::Failure;

/// The row of `history_state`, locked until the transaction ends.
pub(super) struct Lock {
    /// The last row of the feed.
    pub(super) feed: i64,
    /// How many events were told up to there.
    pub(super) told: i64,
    /// When somebody last trimmed.
    pub(super) trimmed_at: i64,
}

impl Lock {
    /// Waits for its turn. What the transaction reads after it is what the one before
    /// left.
    pub(super) async fn take(transaction: &Transaction<'_>) -> Result<Self, Failure> {
        let statement = transaction
            .prepare_cached("SELECT feed, told, trimmed_at FROM history_state FOR UPDATE")
            .await?;
        let row = transaction.query_one(&statement, &[]).await?;
        Ok(Self {
            feed: row.try_get(0)?,
            told: row.try_get(1)?,
            trimmed_at: row.try_get(2)?,
        })
    }
}
