//! The records of one alert and its deliveries.

use std::time::Duration;

use common::{AlertId, DeliveryId, UtcMillis, count_users};
use consumer::domain::Position;
use producer::ports::{
    AlertDetail, AlertSummary, AttemptRecord, AttemptResult, DeliveryDetail, DeliveryRecord,
    DeliveryState, DigestRecord, StateCounts,
};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::{View, find};
use crate::{
    handoff::Opened,
    reader::{destination, open_alert},
    writer::settle::{CANCELLED, DEAD, DELIVERED, DIGESTED, DISCARDED, PARKED, WAITING},
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
        "SELECT ordinal, state, wait_until IS NOT NULL, parts_sent, digest IS NOT NULL
         FROM delivery WHERE sequence = ?1",
    )?;
    let mut rows = rows.query([opened.sequence as i64])?;
    while let Some(row) = rows.next()? {
        without_row = without_row.saturating_sub(1);
        let standing = Standing {
            code: row.get(1)?,
            waits: row.get(2)?,
            has_parts: row.get::<_, u32>(3)? > 0,
            is_sending: sending.remove(&row.get(0)?),
        };
        *states.of_mut(standing.state(row.get(4)?)) += 1;
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

/// What a delivery's row says of where it stands.
#[derive(Clone, Copy, Default)]
struct Standing {
    /// `delivery.state`; 0 where there is no row.
    code: u8,
    waits: bool,
    has_parts: bool,
    is_sending: bool,
}

impl Standing {
    /// The delivery's state; a digest's members have that of being in one, unless
    /// it is dead.
    fn state(self, is_in_digest: bool) -> DeliveryState {
        match self.code {
            WAITING | DELIVERED if is_in_digest => DeliveryState::Digested,
            _ => self.alone(),
        }
    }

    /// The state as if no digest carried it: that of the digest itself, for its lead.
    fn alone(self) -> DeliveryState {
        match self.code {
            0 | WAITING | PARKED if self.is_sending => DeliveryState::Sending,
            WAITING if self.waits => DeliveryState::Waiting,
            WAITING if self.has_parts => DeliveryState::Sending,
            code => changed_to(code),
        }
    }
}

/// The state that a change to that stored one shows.
pub(super) fn changed_to(code: u8) -> DeliveryState {
    match code {
        DELIVERED => DeliveryState::Delivered,
        DEAD | DISCARDED => DeliveryState::Dead,
        CANCELLED => DeliveryState::Cancelled,
        DIGESTED => DeliveryState::Digested,
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
    let own = own_record(view, place)?;
    let mut record = DeliveryRecord {
        id: DeliveryId::of(opened.alert.id, packed.destination, packed.credential),
        destination: destination(view.connection, packed.destination)?,
        recipients: packed.recipients.clone(),
        state: own.standing.state(own.digest.is_some()),
        attempts: own.attempts,
        digest: None,
        next_attempt_at: own.wait_until,
        reason: own.reason,
        replayed_at: own.replayed_at,
        repeated: own.repeated,
        withdrawn_at: own.withdrawn_at,
    };
    if let Some(id) = own.digest {
        add_digest(view, &mut record, place, own.standing, id)?;
    }
    Ok(Some(record))
}

/// Adds what is known of the digest of that id to the record of a delivery that it
/// carries.
fn add_digest(
    view: View<'_>,
    record: &mut DeliveryRecord,
    place: Position,
    standing: Standing,
    id: Uuid,
) -> Result<(), rusqlite::Error> {
    let found = view
        .connection
        .prepare_cached("SELECT sequence, ordinal, low + normal + high FROM digest WHERE id = ?1")?
        .query_row([id.into_bytes()], |row| {
            let lead = Position {
                sequence: row.get::<_, i64>(0)? as u64,
                ordinal: row.get(1)?,
            };
            Ok((lead, row.get(2)?))
        })
        .optional()?;
    let mut digest = DigestRecord {
        id,
        state: standing.alone(),
        deliveries: found.map(|(_, count)| count),
    };
    if let Some((lead, _)) = found.filter(|(lead, _)| *lead != place) {
        let lead = own_record(view, lead)?;
        // Since the lead was replayed it goes its own way.
        let is_lead = lead.digest == Some(id);
        let of_digest = lead.attempts.into_iter();
        let of_digest = of_digest.filter(|attempt| {
            is_lead || lead.replayed_at.is_some_and(|at| attempt.started_at < at)
        });
        record.attempts.extend(of_digest);
        record.attempts.sort_by_key(|attempt| attempt.started_at);
        if is_lead {
            digest.state = lead.standing.alone();
            record.next_attempt_at = lead.wait_until;
        }
    }
    record.digest = Some(digest);
    Ok(())
}

/// What a delivery's own row and attempts say.
#[derive(Default)]
struct OwnRecord {
    standing: Standing,
    attempts: Vec<AttemptRecord>,
    wait_until: Option<UtcMillis>,
    reason: Option<String>,
    replayed_at: Option<UtcMillis>,
    repeated: bool,
    withdrawn_at: Option<UtcMillis>,
    digest: Option<Uuid>,
}

fn own_record(view: View<'_>, place: Position) -> Result<OwnRecord, rusqlite::Error> {
    let is_sending = view.sending.contains(place);
    let mut own = OwnRecord {
        standing: Standing {
            is_sending,
            ..Standing::default()
        },
        ..OwnRecord::default()
    };
    let key = params![place.sequence as i64, place.ordinal];
    let last = view
        .connection
        .prepare_cached(
            "SELECT attempts, started_at, took_us, result, status, error, provider_id,
                    state, wait_until, parts_sent, reason, replayed_at, repeated, withdrawn_at,
                    digest
             FROM delivery WHERE sequence = ?1 AND ordinal = ?2",
        )?
        .query_row(key, |row| {
            own.wait_until = row.get::<_, Option<i64>>(8)?.map(UtcMillis);
            own.standing = Standing {
                code: row.get(7)?,
                waits: own.wait_until.is_some(),
                has_parts: row.get::<_, u32>(9)? > 0,
                is_sending,
            };
            own.reason = row.get(10)?;
            own.replayed_at = row.get::<_, Option<i64>>(11)?.map(UtcMillis);
            own.repeated = row.get::<_, Option<bool>>(12)?.unwrap_or_default();
            own.withdrawn_at = row.get::<_, Option<i64>>(13)?.map(UtcMillis);
            own.digest = row.get::<_, Option<[u8; 16]>>(14)?.map(Uuid::from_bytes);
            let was_tried = row.get::<_, Option<u8>>(3)?.is_some();
            was_tried.then(|| attempt(row)).transpose()
        })
        .optional()?
        .flatten();
    own.attempts = view
        .connection
        .prepare_cached(
            "SELECT number, started_at, took_us, result, status, error, provider_id
             FROM attempt WHERE sequence = ?1 AND ordinal = ?2 ORDER BY number",
        )?
        .query_map(key, attempt)?
        .collect::<Result<_, _>>()?;
    // While another attempt follows, the last one stands in both tables.
    let known = own.attempts.last().map_or(0, |attempt| attempt.number);
    own.attempts
        .extend(last.filter(|attempt| attempt.number > known));
    Ok(own)
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
