//! Writing outcomes.

use std::collections::BTreeMap;

use common::Severity;
use consumer::domain::{
    Attempt, AttemptResult, Digest, LeaseKey, Outcome, Position, Settlement, Unfolded,
};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::reader::{fault_code, severity};

// The stored numbers of a delivery's states. Durable; never renumber.
pub(crate) const WAITING: u8 = 1;
pub(crate) const PARKED: u8 = 2;
pub(crate) const DELIVERED: u8 = 3;
pub(crate) const DEAD: u8 = 4;
pub(crate) const CANCELLED: u8 = 5;
pub(crate) const DIGESTED: u8 = 6;
/// Dead, and no longer among the dead letters.
pub(crate) const DISCARDED: u8 = 7;

/// What settlements came to.
#[derive(Default)]
pub(super) struct Settled {
    /// How many deliveries ended.
    pub(super) ended: usize,
    /// The states that changed, for those who follow them.
    pub(super) changed: Vec<(Position, u8)>,
    /// The folds that were not made.
    pub(super) unfolded: Vec<Unfolded>,
}

/// Writes `settlements`. A delivery that had ended before is left as it is, even
/// where its alert has been trimmed since, unless it was cancelled while its
/// request was under way.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    settlements: &[Settlement],
) -> Result<Settled, rusqlite::Error> {
    let mut settled = Settled::default();
    let mut ended = Ended::new();
    for settlement in settlements {
        match &settlement.outcome {
            Outcome::Folded { digest, members } => {
                match fold(transaction, settlement.lease, digest, members)? {
                    None => {
                        let members = members.iter().map(|member| (member.position, DIGESTED));
                        settled.changed.extend(members);
                    }
                    Some(unfolded) => settled.unfolded.push(unfolded),
                }
            }
            Outcome::TakenApart => take_apart(transaction, settlement)?,
            _ => settle_one(transaction, settlement, &mut ended, &mut settled.changed)?,
        }
    }
    for ((severity, sequence), count) in &ended {
        close(transaction, *severity, *sequence, *count)?;
    }
    settled.ended = ended.values().sum::<i64>() as usize;
    Ok(settled)
}

/// How many deliveries of each alert ended.
type Ended = BTreeMap<(Severity, u64), i64>;

/// The id of a digest.
type DigestBlob = [u8; 16];

fn settle_one(
    transaction: &Transaction<'_>,
    settlement: &Settlement,
    ended: &mut Ended,
    changed: &mut Vec<(Position, u8)>,
) -> Result<(), rusqlite::Error> {
    let place = settlement.lease.position;
    let Some(digest) = write_delivery(transaction, settlement)? else {
        let is_late = write_late(transaction, settlement)?;
        if is_late && settlement.outcome == Outcome::Delivered {
            changed.push((place, DELIVERED));
        }
        return Ok(());
    };
    let (state, reason) = match &settlement.outcome {
        Outcome::Delivered => (DELIVERED, None),
        Outcome::Dead { reason } => (DEAD, Some(reason)),
        Outcome::Cancelled => (CANCELLED, None),
        outcome => {
            if matches!(outcome, Outcome::Waiting(_)) {
                changed.push((place, WAITING));
            }
            return write_attempt(transaction, settlement);
        }
    };
    changed.push((place, state));
    let lease = settlement.lease;
    *ended
        .entry((lease.severity, lease.position.sequence))
        .or_default() += 1;
    if let Some(digest) = digest {
        end_members(transaction, digest, state, reason, ended, changed)?;
    }
    Ok(())
}

/// What a digest's end means for those that it carries besides its lead.
fn end_members(
    transaction: &Transaction<'_>,
    digest: DigestBlob,
    state: u8,
    reason: Option<&String>,
    ended: &mut Ended,
    changed: &mut Vec<(Position, u8)>,
) -> Result<(), rusqlite::Error> {
    let mut members = transaction.prepare_cached(
        "UPDATE delivery SET state = ?2, reason = ?3 WHERE digest = ?1 AND state = 6
         RETURNING severity, sequence, ordinal",
    )?;
    let mut rows = members.query(params![digest, state, reason])?;
    while let Some(row) = rows.next()? {
        let severity = severity(row, 0)?;
        let position = Position {
            sequence: row.get::<_, i64>(1)? as u64,
            ordinal: row.get(2)?,
        };
        *ended.entry((severity, position.sequence)).or_default() += 1;
        changed.push((position, state));
    }
    Ok(())
}

/// Writes a digest and makes it carry `members`. Where one of them has ended, which
/// somebody's cancelling it does, parks the others instead: the digest's text names
/// them all, and what was not sent and is cancelled never is.
fn fold(
    transaction: &Transaction<'_>,
    lead: LeaseKey,
    digest: &Digest,
    members: &[LeaseKey],
) -> Result<Option<Unfolded>, rusqlite::Error> {
    let id = digest.id.0.into_bytes();
    for member in members {
        if has_ended(transaction, *member, id)? {
            return part(transaction, lead, members).map(Some);
        }
    }
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO digest (sequence, ordinal, id, text, low, normal, high)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            lead.position.sequence as i64,
            lead.position.ordinal,
            id,
            digest.text,
            digest.of(Severity::Low),
            digest.of(Severity::Normal),
            digest.of(Severity::High),
        ])?;
    for member in members {
        let state = if *member == lead { WAITING } else { DIGESTED };
        put(transaction, *member, state, Some(id))?;
    }
    Ok(None)
}

/// Parks those of `members` that have not ended.
fn part(
    transaction: &Transaction<'_>,
    lead: LeaseKey,
    members: &[LeaseKey],
) -> Result<Unfolded, rusqlite::Error> {
    let mut parked = [0; 3];
    for member in members {
        let is_parked = put(transaction, *member, PARKED, None)?;
        parked[usize::from(member.severity.code())] += u32::from(is_parked);
    }
    Ok(Unfolded { lead, parked })
}

/// Whether a delivery has ended otherwise than with that digest.
fn has_ended(
    transaction: &Transaction<'_>,
    delivery: LeaseKey,
    digest: DigestBlob,
) -> Result<bool, rusqlite::Error> {
    let place = delivery.position;
    let row = transaction
        .prepare_cached("SELECT state, digest FROM delivery WHERE sequence = ?1 AND ordinal = ?2")?
        .query_row(params![place.sequence as i64, place.ordinal], |row| {
            Ok((row.get::<_, u8>(0)?, row.get::<_, Option<DigestBlob>>(1)?))
        })
        .optional()?;
    match row {
        Some((WAITING | PARKED, _)) => Ok(false),
        Some((_, of)) => Ok(of != Some(digest)),
        None => transaction
            .prepare_cached("SELECT 1 FROM open_alert WHERE severity = ?1 AND sequence = ?2")?
            .exists(params![delivery.severity.code(), place.sequence as i64])
            .map(|is_open| !is_open),
    }
}

/// Sets the state of a delivery that has not ended and the digest that carries it;
/// answers whether it did.
fn put(
    transaction: &Transaction<'_>,
    delivery: LeaseKey,
    state: u8,
    digest: Option<DigestBlob>,
) -> Result<bool, rusqlite::Error> {
    let changed = transaction
        .prepare_cached(
            "INSERT INTO delivery
             (sequence, ordinal, destination_id, severity, state, attempts, parts_sent, digest)
             SELECT ?1, ?2, ?3, ?4, ?5, 0, 0, ?6
             WHERE EXISTS (SELECT 1 FROM open_alert WHERE severity = ?4 AND sequence = ?1)
             ON CONFLICT (sequence, ordinal) DO UPDATE SET
              state = excluded.state, digest = excluded.digest,
              wait_until = NULL, wait_fault = NULL, wait_asked = NULL
             WHERE delivery.state IN (1, 2)",
        )?
        .execute(params![
            delivery.position.sequence as i64,
            delivery.position.ordinal,
            delivery.destination.0 as i64,
            delivery.severity.code(),
            state,
            digest,
        ])?;
    Ok(changed == 1)
}

/// Parks what a digest carried, its lead included.
fn take_apart(
    transaction: &Transaction<'_>,
    settlement: &Settlement,
) -> Result<(), rusqlite::Error> {
    let position = settlement.lease.position;
    let digest = transaction
        .prepare_cached(
            "SELECT digest FROM delivery
             WHERE sequence = ?1 AND ordinal = ?2 AND state = 1 AND digest IS NOT NULL",
        )?
        .query_row(params![position.sequence as i64, position.ordinal], |row| {
            row.get::<_, DigestBlob>(0)
        })
        .optional()?;
    let Some(digest) = digest else {
        // It was taken apart before.
        return Ok(());
    };
    write_delivery(transaction, settlement)?;
    write_attempt(transaction, settlement)?;
    transaction
        .prepare_cached(
            "UPDATE delivery SET state = 2, digest = NULL WHERE sequence = ?1 AND ordinal = ?2",
        )?
        .execute(params![position.sequence as i64, position.ordinal])?;
    transaction
        .prepare_cached(
            "UPDATE delivery SET state = 2, digest = NULL WHERE digest = ?1 AND state = 6",
        )?
        .execute([digest])
        .map(drop)
}

/// Writes the outcome into the delivery's own row. Answers the digest that it leads,
/// or led; `None` where the delivery had ended before.
fn write_delivery(
    transaction: &Transaction<'_>,
    settlement: &Settlement,
) -> Result<Option<Option<DigestBlob>>, rusqlite::Error> {
    let (state, wait, reason) = match &settlement.outcome {
        Outcome::Delivered => (DELIVERED, None, None),
        Outcome::Dead { reason } => (DEAD, None, Some(reason)),
        Outcome::Cancelled => (CANCELLED, None, None),
        Outcome::Waiting(wait) => (WAITING, Some(wait), None),
        Outcome::PartSent => (WAITING, None, None),
        Outcome::Parked | Outcome::Folded { .. } | Outcome::TakenApart => (PARKED, None, None),
    };
    let Settlement {
        lease,
        attempt,
        parts_sent,
        ..
    } = settlement;
    let attempt = attempt.as_ref();
    let values = params![
        lease.position.sequence as i64,
        lease.position.ordinal,
        lease.destination.0 as i64,
        lease.severity.code(),
        state,
        attempt.map_or(0, |attempt| attempt.number),
        parts_sent,
        wait.map(|wait| wait.until.0),
        wait.map(|wait| fault_code(wait.fault)),
        wait.map(|wait| wait.asked),
        reason,
        attempt.map(|attempt| attempt.started_at.0),
        attempt.map(took_us),
        attempt.map(|attempt| result_code(attempt.result)),
        attempt.and_then(|attempt| attempt.status),
        attempt.and_then(|attempt| attempt.error.as_ref()),
        attempt.and_then(|attempt| attempt.provider_id.as_ref()),
    ];
    // Nearly every delivery ends with its first attempt, so its row is new.
    let is_new = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO delivery
             (sequence, ordinal, destination_id, severity, state, attempts, parts_sent,
              wait_until, wait_fault, wait_asked, reason,
              started_at, took_us, result, status, error, provider_id)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17
             WHERE EXISTS (SELECT 1 FROM open_alert WHERE severity = ?4 AND sequence = ?1)",
        )?
        .execute(values)?
        == 1;
    if is_new {
        return Ok(Some(None));
    }
    transaction
        .prepare_cached(
            "UPDATE delivery SET
              state = ?5,
              attempts = max(attempts, ?6),
              parts_sent = max(parts_sent, ?7),
              wait_until = ?8,
              wait_fault = ?9,
              wait_asked = ?10,
              reason = ?11,
              started_at = coalesce(?12, started_at),
              took_us = coalesce(?13, took_us),
              result = coalesce(?14, result),
              status = iif(?14 IS NULL, status, ?15),
              error = iif(?14 IS NULL, error, ?16),
              provider_id = coalesce(?17, provider_id)
             WHERE sequence = ?1 AND ordinal = ?2 AND state IN (1, 2)
             RETURNING digest",
        )?
        .query_row(values, |row| row.get(0))
        .optional()
}

/// Writes the end of a request that was under way when its delivery was cancelled:
/// the attempt, and that it is delivered where the service took all of it.
fn write_late(
    transaction: &Transaction<'_>,
    settlement: &Settlement,
) -> Result<bool, rusqlite::Error> {
    let Some(attempt) = &settlement.attempt else {
        return Ok(false);
    };
    let is_delivered = settlement.outcome == Outcome::Delivered;
    let changed = transaction
        .prepare_cached(
            "UPDATE delivery SET state = ?3, attempts = ?4, parts_sent = max(parts_sent, ?5),
               started_at = ?6, took_us = ?7, result = ?8, status = ?9, error = ?10,
               provider_id = ?11
             WHERE sequence = ?1 AND ordinal = ?2 AND state = 5 AND attempts < ?4",
        )?
        .execute(params![
            settlement.lease.position.sequence as i64,
            settlement.lease.position.ordinal,
            if is_delivered { DELIVERED } else { CANCELLED },
            attempt.number,
            settlement.parts_sent,
            attempt.started_at.0,
            took_us(attempt),
            result_code(attempt.result),
            attempt.status,
            attempt.error,
            attempt.provider_id,
        ])?;
    Ok(changed == 1)
}

fn write_attempt(
    transaction: &Transaction<'_>,
    settlement: &Settlement,
) -> Result<(), rusqlite::Error> {
    let Some(attempt) = &settlement.attempt else {
        return Ok(());
    };
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO attempt
             (sequence, ordinal, number, started_at, took_us, result, status, error, provider_id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            settlement.lease.position.sequence as i64,
            settlement.lease.position.ordinal,
            attempt.number,
            attempt.started_at.0,
            took_us(attempt),
            result_code(attempt.result),
            attempt.status,
            attempt.error,
            attempt.provider_id,
        ])?;
    Ok(())
}

/// Counts `count` of an alert's deliveries as ended; the last one takes the alert
/// off the queue.
pub(super) fn close(
    transaction: &Transaction<'_>,
    severity: Severity,
    sequence: u64,
    count: i64,
) -> Result<(), rusqlite::Error> {
    let key = params![severity.code(), sequence as i64, count];
    let removed = transaction
        .prepare_cached(
            "DELETE FROM open_alert WHERE severity = ?1 AND sequence = ?2 AND open <= ?3",
        )?
        .execute(key)?;
    if removed == 0 {
        transaction
            .prepare_cached(
                "UPDATE open_alert SET open = open - ?3 WHERE severity = ?1 AND sequence = ?2",
            )?
            .execute(key)?;
    }
    Ok(())
}

fn took_us(attempt: &Attempt) -> i64 {
    i64::try_from(attempt.took.as_micros()).unwrap_or(i64::MAX)
}

/// The stored number of a result. Durable; never renumber.
fn result_code(result: AttemptResult) -> u8 {
    match result {
        AttemptResult::Accepted => 1,
        AttemptResult::Refused => 2,
        AttemptResult::MaybeAccepted => 3,
    }
}
