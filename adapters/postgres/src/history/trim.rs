//! Removing what is no longer needed, a little in each of many transactions, by one
//! process at a time.

use std::{sync::Arc, time::Duration};

use common::{Clock, UtcMillis};
use deadpool_postgres::{Pool, Transaction};

use super::{feed, lock::Lock, metrics::HistoryMetrics, record::BLOCK_BITS};
use crate::error::Failure;

/// How often somebody goes through what is old.
const ROUND: Duration = Duration::from_secs(60);
/// The pause between steps, so that they take a small part of the writers' time.
const PAUSE: Duration = Duration::from_millis(20);
/// Rows removed in one step.
const STEP: i64 = 2_000;
/// How long a dead letter can be replayed, whatever the retention. Nothing is kept longer,
/// not what has never ended as far as the queue told: it gives up far sooner.
const DEAD_LETTERS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Repetitions of ids are of no interest that many sequence numbers later.
const REPETITIONS: u64 = 2 * producer::ports::SAME_ALERT_WITHIN;

/// Goes through the blocks of alerts, oldest first, and removes those alerts that are older
/// than the retention and have ended, and whatever has no alert any longer.
pub(crate) struct Trimmer {
    pub(crate) pool: Pool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retention: Duration,
    pub(crate) metrics: HistoryMetrics,
}

/// What a step came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    /// The block to go on with; `None` at the end of the round.
    next: Option<i64>,
    alerts: u64,
    dead_letters: u64,
}

impl Trimmer {
    /// Trims for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            if let Err(failure) = self.round().await {
                tracing::warn!(reason = %failure, "the history cannot be trimmed now");
            }
            tokio::time::sleep(ROUND).await;
        }
    }

    /// Goes through once, unless another process has just done so or is about it.
    pub(crate) async fn round(&self) -> Result<(), Failure> {
        let mut cursor = Some(0);
        let mut is_first = true;
        while let Some(from) = cursor {
            let mut client = self.pool.get().await?;
            let transaction = client.transaction().await?;
            let now = self.clock.now().utc;
            let lock = Lock::take(&transaction).await?;
            // A clock that was set back is not to keep everybody from trimming.
            let since_last = lock.trimmed_at.abs_diff(now.0);
            if is_first && u128::from(since_last) < ROUND.as_millis() {
                return Ok(());
            }
            let step = step(&transaction, from, now, self.retention).await?;
            let update = transaction
                .prepare_cached("UPDATE history_state SET trimmed_at = $1")
                .await?;
            transaction.execute(&update, &[&now.0]).await?;
            transaction.commit().await?;
            drop(client);
            self.count(&step);
            cursor = step.next;
            is_first = false;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    fn count(&self, step: &Step) {
        self.metrics.trimmed.inc_by(step.alerts);
        if step.dead_letters > 0 {
            self.metrics.dead_letters_trimmed.inc_by(step.dead_letters);
            tracing::warn!(
                count = step.dead_letters,
                "dead letters older than 30 days are removed"
            );
        }
    }
}

/// One step: something of the first block from `from` on that may have something to be
/// removed.
async fn step(
    transaction: &Transaction<'_>,
    from: i64,
    now: UtcMillis,
    retention: Duration,
) -> Result<Step, Failure> {
    let before = |span: Duration| now.0.saturating_sub(span.as_millis() as i64);
    // Where all that is left has dead letters that are kept, there is nothing to do. A
    // block that has no times has no alerts: what is there came late, or early.
    let statement = transaction
        .prepare_cached(
            "SELECT block FROM alert_block
             WHERE block >= $1 AND (last_at IS NULL OR first_at < $3 OR first_at < $2 AND (
               open > 0 OR low + normal + high = 0 OR low + normal + high > (
                 SELECT count(DISTINCT sequence) FROM delivery WHERE state = 4
                   AND sequence >= block << 10 AND sequence < (block + 1) << 10)))
             ORDER BY block LIMIT 1",
        )
        .await?;
    let (old, older) = (before(retention), before(DEAD_LETTERS));
    let row = transaction
        .query_opt(&statement, &[&from, &old, &older])
        .await?;
    let Some(row) = row else {
        remove_old_news(transaction).await?;
        return Ok(Step::default());
    };
    let block: i64 = row.try_get(0)?;
    let mut step = remove_alerts(transaction, block, old, older).await?;
    let removed = remove_orphans(transaction, block).await?;
    let is_over = removed < STEP as u64;
    if is_over {
        remove_block(transaction, block).await?;
    }
    step.next = Some(if is_over { block + 1 } else { block });
    Ok(step)
}

/// Removes a block's alerts that were accepted before `old` and have ended with no dead
/// letter, and those before `older` whatever has become of them. Their deliveries are
/// left for [`remove_orphans`]: nobody sees them without their alert.
async fn remove_alerts(
    transaction: &Transaction<'_>,
    block: i64,
    old: i64,
    older: i64,
) -> Result<Step, Failure> {
    let statement = transaction
        .prepare_cached(
            "WITH known AS (
               SELECT alert.sequence, alert.accepted_at, alert.severity, alert.delivery_count,
                 coalesce(ended.count, 0) AS ended, coalesce(ended.dead, 0) AS dead
               FROM alert LEFT JOIN LATERAL (
                 SELECT count(*) FILTER (WHERE state IN (3, 4, 5, 7)) AS count,
                   count(*) FILTER (WHERE state = 4) AS dead
                 FROM delivery WHERE delivery.sequence = alert.sequence) AS ended ON true
               WHERE alert.sequence >= $1 AND alert.sequence < $2 AND alert.accepted_at < $3
             ), gone AS (
               DELETE FROM alert USING known
               WHERE alert.sequence = known.sequence
                 AND (known.accepted_at < $4
                   OR known.dead = 0 AND known.ended >= known.delivery_count)
               RETURNING known.severity, known.delivery_count - known.ended AS open, known.dead
             ), counted AS (
               SELECT count(*) AS alerts,
                 count(*) FILTER (WHERE severity = 0) AS low,
                 count(*) FILTER (WHERE severity = 1) AS normal,
                 count(*) FILTER (WHERE severity = 2) AS high,
                 coalesce(sum(open), 0) AS open, coalesce(sum(dead), 0) AS dead
               FROM gone
             ), summed_up AS (
               UPDATE alert_block SET low = alert_block.low - counted.low,
                 normal = alert_block.normal - counted.normal,
                 high = alert_block.high - counted.high,
                 open = alert_block.open - counted.open
               FROM counted WHERE block = $5 AND counted.alerts > 0
             )
             SELECT alerts, dead::bigint FROM counted",
        )
        .await?;
    let (first, end) = (block << BLOCK_BITS, (block + 1) << BLOCK_BITS);
    let row = transaction
        .query_one(&statement, &[&first, &end, &old, &older, &block])
        .await?;
    let count = |column| Ok::<_, Failure>(row.try_get::<_, i64>(column)?.unsigned_abs());
    Ok(Step {
        next: None,
        alerts: count(0)?,
        dead_letters: count(1)?,
    })
}

/// Removes up to [`STEP`] rows of a block whose alert is gone. What has come before its
/// alert is in a block of which alerts are yet to come, and left.
async fn remove_orphans(transaction: &Transaction<'_>, block: i64) -> Result<u64, Failure> {
    let end = (block + 1) << BLOCK_BITS;
    let recorded = transaction
        .prepare_cached("SELECT EXISTS (SELECT FROM history_log WHERE log = -1 AND next >= $1)")
        .await?;
    let is_whole: bool = transaction
        .query_one(&recorded, &[&end])
        .await?
        .try_get(0)?;
    if !is_whole {
        return Ok(0);
    }
    let mut removed = 0;
    for table in ["attempt", "delivery", "digest", "adopted_credential"] {
        let left = STEP - removed as i64;
        if left <= 0 {
            break;
        }
        let delete = format!(
            "DELETE FROM {table} WHERE ctid = ANY (ARRAY (
               SELECT orphan.ctid FROM {table} AS orphan
               WHERE orphan.sequence >= $1 AND orphan.sequence < $2
                 AND NOT EXISTS (SELECT FROM alert WHERE alert.sequence = orphan.sequence)
               LIMIT $3))"
        );
        let statement = transaction.prepare_cached(&delete).await?;
        let first = block << BLOCK_BITS;
        removed += transaction
            .execute(&statement, &[&first, &end, &left])
            .await?;
    }
    Ok(removed)
}

/// Removes the summary of a block of which nothing is left and nothing is to come.
async fn remove_block(transaction: &Transaction<'_>, block: i64) -> Result<(), Failure> {
    let statement = transaction
        .prepare_cached(
            "DELETE FROM alert_block WHERE block = $1 AND low + normal + high = 0
               AND EXISTS (SELECT FROM history_log WHERE log = -1 AND next >= $2)",
        )
        .await?;
    let end = (block + 1) << BLOCK_BITS;
    transaction.execute(&statement, &[&block, &end]).await?;
    Ok(())
}

/// Removes rows of the feed that are not kept, and repetitions of no interest any more.
async fn remove_old_news(transaction: &Transaction<'_>) -> Result<(), Failure> {
    let statement = transaction
        .prepare_cached("DELETE FROM feed WHERE told <= (SELECT told FROM history_state) - $1")
        .await?;
    transaction.execute(&statement, &[&feed::KEPT]).await?;
    let statement = transaction
        .prepare_cached(
            "DELETE FROM alert_repetition
             WHERE sequence < (SELECT next FROM history_log WHERE log = -1) - $1",
        )
        .await?;
    transaction
        .execute(&statement, &[&(REPETITIONS as i64)])
        .await?;
    Ok(())
}
