//! Credentials that no user has any longer: kept while a delivery may refer to
//! them, then removed.
//!
//! An alert's recipients are looked up before it is accepted, so a credential can
//! be retired in between, and the alert that refers to it be accepted later. So a
//! retired credential is *leaving* first, then *left*, and only when that has
//! lasted is the last alert that may refer to it noted.

use std::time::Duration;

use common::CredentialId;
use rusqlite::{Transaction, params};

/// How long a credential stays *left*: far longer than from an alert's lookup to
/// its acceptance, between which nothing is awaited.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// In `retired_at`, durable: has lost its last user.
const LEAVING: i64 = i64::MAX;
/// In `retired_at`, durable: had lost its last user when the grace began.
const LEFT: i64 = i64::MAX - 1;

/// Removes those older than every alert that could refer to one: alerts that have
/// not ended, and dead letters. A minimum for each severity is one look at the
/// index; one over all of them would read the whole queue.
const REMOVE: &str = "DELETE FROM credential WHERE retired_at IS NOT NULL
     AND retired_at < (SELECT min(coalesce(oldest, 9223372036854775806)) FROM (
        SELECT min(sequence) AS oldest FROM open_alert WHERE severity = 0
        UNION ALL SELECT min(sequence) FROM open_alert WHERE severity = 1
        UNION ALL SELECT min(sequence) FROM open_alert WHERE severity = 2
        UNION ALL SELECT min(sequence) FROM delivery WHERE state = 4))";

/// Marks a credential as leaving, unless a user has it.
pub(super) fn retire(
    transaction: &Transaction<'_>,
    id: CredentialId,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "UPDATE credential SET retired_at = ?2 WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM user_destination WHERE credential_id = ?1)",
        )?
        .execute(params![id.0, LEAVING])
        .map(drop)
}

/// Ends the grace of those that have left, and begins it for those that leave.
/// To be called no sooner than [`GRACE`] after the last time.
pub(super) fn end_grace(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "UPDATE credential SET retired_at = (SELECT coalesce(max(sequence), 0) FROM alert)
             WHERE retired_at = ?1",
        )?
        .execute([LEFT])?;
    transaction
        .prepare_cached("UPDATE credential SET retired_at = ?2 WHERE retired_at = ?1")?
        .execute([LEAVING, LEFT])
        .map(drop)
}

/// Removes those that nothing refers to.
pub(super) fn remove_unused(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.prepare_cached(REMOVE)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests;
