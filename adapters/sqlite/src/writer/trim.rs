//! Trimming what is no longer needed, a little in each of many commits.

use std::time::{Duration, Instant};

use common::UtcMillis;
use rusqlite::{Transaction, params};

use super::{accept::KEY_LIFETIME, blocks, retired};
use crate::{Settings, feed, metrics::StoreMetrics};

/// Alerts looked at in one step: some 0.3 ms of work, for which those wait who share
/// its commit.
const STEP: i64 = 25;
/// Rows of outcomes and attempts after which a step removes no more: one alert
/// can have a hundred thousand.
const ROWS: usize = 1_000;
/// The pause between steps, so that they take a small part of the writer's time.
const PAUSE: Duration = Duration::from_millis(5);
/// The pause after a commit that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// How long a dead letter can be replayed, whatever the retention.
const DEAD_LETTERS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Goes through the alerts in rounds, oldest first, and removes those that ended
/// long enough ago, or that the size limit leaves no room for. An alert with a
/// delivery that has not ended is never removed, nor is the last one, whose
/// sequence number goes on.
pub(super) struct Trimmer {
    retention: Duration,
    max_bytes: u64,
    metrics: StoreMetrics,
    round: Option<Round>,
    /// When retired credentials were last moved on.
    grace_ended: Instant,
    /// What the transaction under way has trimmed, if it has.
    step: Option<Step>,
}

struct Round {
    /// Looked at up to here.
    cursor: i64,
    /// The alert of which some rows are removed already: it goes, whatever has
    /// changed since.
    begun: Option<i64>,
    due: Instant,
}

#[derive(Default)]
struct Step {
    removed: u64,
    dead_letters: usize,
    /// Where the round goes on; `None` at its end.
    next: Option<i64>,
    begun: Option<i64>,
    has_ended_grace: bool,
}

impl Trimmer {
    pub(super) fn new(settings: &Settings, metrics: StoreMetrics) -> Self {
        Self {
            retention: settings.retention,
            max_bytes: settings.history_max_bytes,
            metrics,
            round: None,
            grace_ended: Instant::now(),
            step: None,
        }
    }

    /// Begins a round, unless one is under way.
    pub(super) fn begin_round(&mut self) {
        self.round.get_or_insert_with(|| Round {
            cursor: 0,
            begun: None,
            due: Instant::now(),
        });
    }

    /// Makes the next step due now; false between rounds, where there is none.
    pub(super) fn hurry(&mut self) -> bool {
        if let Some(round) = &mut self.round {
            round.due = Instant::now();
        }
        self.round.is_some()
    }

    /// How long until the next step; `None` between rounds.
    pub(super) fn next_step(&self) -> Option<Duration> {
        self.round
            .as_ref()
            .map(|round| round.due.saturating_duration_since(Instant::now()))
    }

    /// The alert of which some rows are removed already.
    pub(super) fn begun(&self) -> Option<i64> {
        self.round.as_ref().and_then(|round| round.begun)
    }

    pub(super) fn is_due(&self) -> bool {
        self.next_step() == Some(Duration::ZERO)
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.step = None;
    }

    /// One step, within the transaction. `is_short` says that room is needed,
    /// whatever the limits.
    pub(super) fn step(
        &mut self,
        transaction: &Transaction<'_>,
        now: UtcMillis,
        is_short: bool,
    ) -> Result<(), rusqlite::Error> {
        let Some(round) = &self.round else {
            return Ok(());
        };
        let is_over = is_short || used_bytes(transaction)? > self.max_bytes;
        let mut step = Step::default();
        let mut rows_left = ROWS;
        let mut candidates = transaction.prepare_cached(
            "SELECT sequence, severity, accepted_at FROM alert
             WHERE sequence > ?1 AND sequence < (SELECT max(sequence) FROM alert)
             ORDER BY sequence LIMIT ?2",
        )?;
        let mut rows = candidates.query(params![round.cursor, STEP])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            let (sequence, severity): (i64, u8) = (row.get(0)?, row.get(1)?);
            let age = now.since(UtcMillis(row.get(2)?));
            let is_begun = round.begun == Some(sequence);
            if age < self.retention && !is_over && !is_begun {
                // Alerts are in order of acceptance: the rest is younger.
                step.next = None;
                break;
            }
            seen += 1;
            if is_begun || is_removable(transaction, sequence, severity, age)? {
                step.dead_letters += remove_outcomes(transaction, sequence, &mut rows_left)?;
                if rows_left == 0 {
                    step.next = Some(sequence - 1);
                    step.begun = Some(sequence);
                    break;
                }
                remove_alert(transaction, sequence)?;
                step.removed += 1;
            }
            step.next = (seen == STEP).then_some(sequence);
        }
        if step.next.is_none() {
            remove_old_keys(transaction, now)?;
            blocks::trim(transaction)?;
            feed::trim(transaction)?;
            if self.grace_ended.elapsed() >= retired::GRACE {
                retired::end_grace(transaction)?;
                step.has_ended_grace = true;
            }
            retired::remove_unused(transaction)?;
        }
        self.step = Some(step);
        Ok(())
    }

    /// The transaction was committed.
    pub(super) fn committed(&mut self) {
        let (Some(step), Some(round)) = (self.step.take(), &mut self.round) else {
            return;
        };
        if step.has_ended_grace {
            self.grace_ended = Instant::now();
        }
        self.metrics.trimmed.inc_by(step.removed);
        if step.dead_letters > 0 {
            self.metrics
                .dead_letters_trimmed
                .inc_by(step.dead_letters as u64);
            tracing::warn!(
                count = step.dead_letters,
                "dead letters older than 30 days are removed"
            );
        }
        match step.next {
            Some(cursor) => {
                round.cursor = cursor;
                round.begun = step.begun;
                round.due = Instant::now() + PAUSE;
            }
            None => self.round = None,
        }
    }

    /// A commit failed: others come first, and nothing is tried over and over.
    pub(super) fn put_off(&mut self) {
        if let Some(round) = &mut self.round {
            round.due = Instant::now() + PAUSE_AFTER_FAILURE;
        }
    }
}

/// Bytes of the database file that hold something.
fn used_bytes(transaction: &Transaction<'_>) -> Result<u64, rusqlite::Error> {
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).unsigned_abs())
}

fn is_removable(
    transaction: &Transaction<'_>,
    sequence: i64,
    severity: u8,
    age: Duration,
) -> Result<bool, rusqlite::Error> {
    let is_open = transaction
        .prepare_cached("SELECT 1 FROM open_alert WHERE severity = ?1 AND sequence = ?2")?
        .exists(params![severity, sequence])?;
    if is_open || age >= DEAD_LETTERS {
        return Ok(!is_open);
    }
    let has_dead_letter = transaction
        .prepare_cached("SELECT 1 FROM delivery WHERE state = 4 AND sequence = ?1")?
        .exists([sequence])?;
    Ok(!has_dead_letter)
}

/// Removes an alert's outcomes and attempts while `rows_left` lasts: it is 0 where
/// some may be left. Says how many dead letters were among them.
fn remove_outcomes(
    transaction: &Transaction<'_>,
    sequence: i64,
    rows_left: &mut usize,
) -> Result<usize, rusqlite::Error> {
    let limit = params![sequence, *rows_left as i64];
    let attempts = transaction
        .prepare_cached(
            "DELETE FROM attempt WHERE sequence = ?1 AND ordinal IN
             (SELECT ordinal FROM delivery WHERE sequence = ?1 ORDER BY ordinal LIMIT ?2)",
        )?
        .execute(limit)?;
    let mut deliveries = transaction.prepare_cached(
        "DELETE FROM delivery WHERE sequence = ?1 AND ordinal IN
         (SELECT ordinal FROM delivery WHERE sequence = ?1 ORDER BY ordinal LIMIT ?2)
         RETURNING state = 4",
    )?;
    let mut removed = attempts;
    let mut dead_letters = 0;
    for is_dead in deliveries.query_map(limit, |row| row.get::<_, bool>(0))? {
        removed += 1;
        dead_letters += usize::from(is_dead?);
    }
    *rows_left = rows_left.saturating_sub(removed);
    Ok(dead_letters)
}

fn remove_alert(transaction: &Transaction<'_>, sequence: i64) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("DELETE FROM digest WHERE sequence = ?1")?
        .execute([sequence])?;
    transaction
        .prepare_cached("DELETE FROM alert WHERE sequence = ?1")?
        .execute([sequence])
        .map(drop)
}

fn remove_old_keys(transaction: &Transaction<'_>, now: UtcMillis) -> Result<(), rusqlite::Error> {
    let oldest = now.0.saturating_sub(KEY_LIFETIME.as_millis() as i64);
    transaction
        .prepare_cached("DELETE FROM idempotency_key WHERE created_at <= ?1")?
        .execute([oldest])
        .map(drop)
}

#[cfg(test)]
mod tests;
