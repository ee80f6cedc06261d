//! The records of one alert and its deliveries.

use std::time::Duration;

use common::{AlertId, DeliveryId, UtcMillis, count_users};
use consumer::domain::Position;
use producer::ports::{
    AlertDetail, AlertSummary, AttemptRecord, AttemptResult, DeliveryDetail, DeliveryRecord,
    DeliveryState, StateCounts,
};
use rusqlite::{OptionalExtension, Row, params};

use super::{View, find};
use crate::{
    handoff::Opened,
    reader::{destination, open_alert},
    writer::settle::{CANCELLED, DEAD, DELIVERED, DIGESTED, DISCARDED, WAITING},
};

/// An alert and its deliveries from one place on.
pub(super) fn alert(
    view: View<'_>,
    id: AlertId,
    from: u32,
    limit: usize,
) -> Result<Option<AlertDetail>, rusqlite::Error> {
    let Some(sequence) = find::alert(view.connection, id)? else {
        return Ok(None);
    };
    let Some(opened) = open_alert(view.connection, sequence)? else {
        return Ok(None);
    };
    let count = opened.deliveries.len();
    let begin = count.min(from as usize);
    let end = count.min(begin + limit);
    let mut deliveries = Vec::with_capacity(end - begin);
    for ordinal in begin..end {
        deliveries.extend(record(view, &opened, ordinal as u32)?);
    }
    Ok(Some(AlertDetail {
        summary: summary(view, &opened)?,
        deliveries,
        next: (end < count).then_some(end as u32),
    }))
}

/// A delivery and its alert.
pub(super) fn delivery(
    view: View<'_>,
    id: DeliveryId,
) -> Result<Option<DeliveryDetail>, rusqlite::Error> {
    match find::delivery(view.connection, id)? {
        Some(place) => detail(view, place),
        None => Ok(None),
    }
}

/// The delivery at a place and its alert; `None` where they were trimmed.
pub(super) fn detail(
    view: View<'_>,
    place: Position,
) -> Result<Option<DeliveryDetail>, rusqlite::Error> {
    let Some(opened) = open_alert(view.connection, place.sequence)? else {
        return Ok(None);
    };
    let delivery = record(view, &opened, place.ordinal)?;
    Ok(delivery.map(|delivery| DeliveryDetail {
        alert: opened.alert.clone(),
        delivery,
    }))
}

/// What became of an alert's deliveries, counted.
pub(super) fn summary(view: View<'_>, opened: &Opened) -> Result<AlertSummary, rusqlite::Error> {
    let mut states = StateCounts::default();
    let mut sending = view.sending.of(opened.sequence);
    let mut without_row = opened.deliveries.len() as u64;
    let mut rows = view.connection.prepare_cached(
        "SELECT ordinal, state, wait_until IS NOT NULL, parts_sent FROM delivery
         WHERE sequence = ?1",
    )?;
    let mut rows = rows.query([opened.sequence as i64])?;
    while let Some(row) = rows.next()? {
        without_row = without_row.saturating_sub(1);
        let is_sending = sending.remove(&row.get(0)?);
        let state = state(row.get(1)?, row.get(2)?, row.get(3)?, is_sending);
        *states.of_mut(state) += 1;
    }
    // What has no row was never tried: unless its first request is under way.
    let begun = without_row.min(sending.len() as u64);
    *states.of_mut(DeliveryState::Sending) += begun;
    *states.of_mut(DeliveryState::Queued) += without_row - begun;
    Ok(AlertSummary {
        sequence: opened.sequence,
        alert: opened.alert.clone(),
        user_count: count_users(
            opened
                .deliveries
                .iter()
                .map(|delivery| &delivery.recipients),
        ),
        states,
    })
}

/// What the numbers of a delivery's row mean.
pub(super) fn state(code: u8, waits: bool, parts_sent: u32, is_sending: bool) -> DeliveryState {
    match code {
        DELIVERED => DeliveryState::Delivered,
        DEAD | DISCARDED => DeliveryState::Dead,
        CANCELLED => DeliveryState::Cancelled,
        DIGESTED => DeliveryState::Digested,
        _ if is_sending => DeliveryState::Sending,
        WAITING if waits => DeliveryState::Waiting,
        WAITING if parts_sent > 0 => DeliveryState::Sending,
        _ => DeliveryState::Queued,
    }
}

fn record(
    view: View<'_>,
    opened: &Opened,
    ordinal: u32,
) -> Result<Option<DeliveryRecord>, rusqlite::Error> {
    let Some(packed) = opened.deliveries.get(ordinal as usize) else {
        return Ok(None);
    };
    let place = Position {
        sequence: opened.sequence,
        ordinal,
    };
    let is_sending = view.sending.contains(place);
    let mut record = DeliveryRecord {
        id: DeliveryId::of(opened.alert.id, packed.destination, packed.credential),
        destination: destination(view.connection, packed.destination)?,
        recipients: packed.recipients.clone(),
        state: match is_sending {
            true => DeliveryState::Sending,
            false => DeliveryState::Queued,
        },
        attempts: Vec::new(),
        next_attempt_at: None,
        reason: None,
        replayed_at: None,
        repeated: false,
        withdrawn_at: None,
    };
    let key = params![place.sequence as i64, ordinal];
    let last = view
        .connection
        .prepare_cached(
            "SELECT attempts, started_at, took_us, result, status, error, provider_id,
                    state, wait_until, parts_sent, reason, replayed_at, repeated, withdrawn_at
             FROM delivery WHERE sequence = ?1 AND ordinal = ?2",
        )?
        .query_row(key, |row| {
            let wait: Option<i64> = row.get(8)?;
            record.state = state(row.get(7)?, wait.is_some(), row.get(9)?, is_sending);
            record.next_attempt_at = wait.map(UtcMillis);
            record.reason = row.get(10)?;
            record.replayed_at = row.get::<_, Option<i64>>(11)?.map(UtcMillis);
            record.repeated = row.get::<_, Option<bool>>(12)?.unwrap_or_default();
            record.withdrawn_at = row.get::<_, Option<i64>>(13)?.map(UtcMillis);
            let was_tried = row.get::<_, Option<u8>>(3)?.is_some();
            was_tried.then(|| attempt(row)).transpose()
        })
        .optional()?
        .flatten();
    record.attempts = view
        .connection
        .prepare_cached(
            "SELECT number, started_at, took_us, result, status, error, provider_id
             FROM attempt WHERE sequence = ?1 AND ordinal = ?2 ORDER BY number",
        )?
        .query_map(key, attempt)?
        .collect::<Result<_, _>>()?;
    // While another attempt follows, the last one stands in both tables.
    let known = record.attempts.last().map_or(0, |attempt| attempt.number);
    record
        .attempts
        .extend(last.filter(|attempt| attempt.number > known));
    Ok(Some(record))
}

/// Columns 0 to 6 of either table.
fn attempt(row: &Row<'_>) -> Result<AttemptRecord, rusqlite::Error> {
    let took = row.get::<_, i64>(2)?;
    Ok(AttemptRecord {
        number: row.get(0)?,
        started_at: UtcMillis(row.get(1)?),
        took: Duration::from_micros(u64::try_from(took).unwrap_or_default()),
        result: match row.get(3)? {
            1_u8 => AttemptResult::Accepted,
            2 => AttemptResult::Refused,
            _ => AttemptResult::MaybeAccepted,
        },
        status: row.get(4)?,
        error: row.get(5)?,
        provider_id: row.get(6)?,
    })
}
