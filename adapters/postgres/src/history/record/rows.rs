//! Reading and writing the rows of many deliveries at once.

use common::{UtcMillis, wire::Place};
use deadpool_postgres::Transaction;
use tokio_postgres::{
    Row as DbRow,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};

use super::ledger::{Attempt, Followed, Ledger, NewDigest, Row};
use crate::{
    error::Failure,
    history::{
        sql::{place_of, places_of, text, whole},
        state::State,
    },
};

/// The columns of `delivery`, in the order of [`TYPES`].
const COLUMNS: &str = "sequence, ordinal, state, attempts, parts_sent, started_at, took_us,
     result, status, error, provider_id, reason, wait_until, digest, replayed_at, repeated,
     withdrawn_at, claimed_at";

const TYPES: [Type; 18] = [
    Type::INT8,
    Type::INT4,
    Type::INT2,
    Type::INT4,
    Type::INT4,
    Type::INT8,
    Type::INT4,
    Type::INT2,
    Type::INT2,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::UUID,
    Type::INT8,
    Type::BOOL,
    Type::INT8,
    Type::INT8,
];

/// The rows of those places, where there are any; in order.
pub(in crate::history) async fn load(
    transaction: &Transaction<'_>,
    places: &[Place],
) -> Result<Vec<(Place, Row)>, Failure> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!(
        "SELECT {COLUMNS} FROM unnest($1::bigint[], $2::integer[]) AS wanted (sequence, ordinal)
         JOIN delivery USING (sequence, ordinal) ORDER BY sequence, ordinal"
    );
    let statement = transaction.prepare_cached(&query).await?;
    let (sequences, ordinals) = places_of(places);
    let rows = transaction
        .query(&statement, &[&sequences, &ordinals])
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &DbRow) -> Result<(Place, Row), Failure> {
    let started_at: Option<i64> = row.try_get(5)?;
    let last = match started_at {
        Some(started_at) => Some(Attempt {
            started_at: UtcMillis(started_at),
            took_us: row.try_get::<_, i32>(6)?.unsigned_abs().into(),
            result: row.try_get(7)?,
            status: row
                .try_get::<_, Option<i16>>(8)?
                .map(|status| status as u16),
            error: row.try_get(9)?,
            provider_id: row.try_get(10)?,
        }),
        None => None,
    };
    let time = |column| Ok::<_, Failure>(row.try_get::<_, Option<i64>>(column)?.map(UtcMillis));
    let parts_sent: i32 = row.try_get(4)?;
    let kept = Row {
        state: State::of_code(row.try_get(2)?)?,
        attempts: row.try_get::<_, i32>(3)? as u32,
        parts_sent: u16::try_from(parts_sent).unwrap_or(u16::MAX),
        last,
        reason: row.try_get(11)?,
        wait_until: time(12)?,
        digest: row.try_get(13)?,
        replayed_at: time(14)?,
        repeated: row.try_get::<_, Option<bool>>(15)?.unwrap_or_default(),
        withdrawn_at: time(16)?,
        claimed_at: time(17)?,
    };
    Ok((place_of(row, 0, 1)?, kept))
}

/// A row as its columns are.
struct Values {
    sequence: i64,
    ordinal: i32,
    state: i16,
    attempts: i32,
    parts_sent: i32,
    started_at: Option<i64>,
    took_us: Option<i32>,
    result: Option<i16>,
    status: Option<i16>,
    error: Option<String>,
    provider_id: Option<String>,
    reason: Option<String>,
    wait_until: Option<i64>,
    digest: Option<uuid::Uuid>,
    replayed_at: Option<i64>,
    repeated: Option<bool>,
    withdrawn_at: Option<i64>,
    claimed_at: Option<i64>,
}

impl Values {
    fn of((place, row): (Place, &Row)) -> Self {
        let last = row.last.as_ref();
        let millis = |time: Option<UtcMillis>| time.map(|time| time.0);
        Self {
            sequence: place.sequence as i64,
            ordinal: place.ordinal as i32,
            state: row.state.code(),
            attempts: whole(row.attempts),
            parts_sent: row.parts_sent.into(),
            started_at: last.map(|last| last.started_at.0),
            took_us: last.map(|last| whole(last.took_us)),
            result: last.map(|last| last.result),
            status: last.and_then(|last| last.status).map(status),
            error: last.and_then(|last| last.error.as_deref()).map(text),
            provider_id: last.and_then(|last| last.provider_id.as_deref()).map(text),
            reason: row.reason.as_deref().map(text),
            wait_until: millis(row.wait_until),
            digest: row.digest,
            replayed_at: millis(row.replayed_at),
            repeated: row.repeated.then_some(true),
            withdrawn_at: millis(row.withdrawn_at),
            claimed_at: millis(row.claimed_at),
        }
    }

    fn columns(&self) -> [&(dyn ToSql + Sync); 18] {
        [
            &self.sequence,
            &self.ordinal,
            &self.state,
            &self.attempts,
            &self.parts_sent,
            &self.started_at,
            &self.took_us,
            &self.result,
            &self.status,
            &self.error,
            &self.provider_id,
            &self.reason,
            &self.wait_until,
            &self.digest,
            &self.replayed_at,
            &self.repeated,
            &self.withdrawn_at,
            &self.claimed_at,
        ]
    }
}

/// HTTP knows no status above 999.
fn status(status: u16) -> i16 {
    i16::try_from(status).unwrap_or(i16::MAX)
}

/// Writes what has changed in a ledger.
pub(super) async fn store(transaction: &Transaction<'_>, ledger: &Ledger) -> Result<(), Failure> {
    let new: Vec<_> = ledger.new_rows().map(Values::of).collect();
    let changed: Vec<_> = ledger.changed_rows().map(Values::of).collect();
    insert(transaction, &new).await?;
    update(transaction, &changed).await?;
    add_attempts(transaction, &ledger.followed).await?;
    add_digests(transaction, &ledger.digests).await
}

async fn insert(transaction: &Transaction<'_>, rows: &[Values]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let copy = format!("COPY delivery ({COLUMNS}) FROM STDIN BINARY");
    let sink = transaction.copy_in(&copy).await?;
    let writer = BinaryCopyInWriter::new(sink, &TYPES);
    let mut writer = std::pin::pin!(writer);
    for row in rows {
        writer.as_mut().write(&row.columns()).await?;
    }
    writer.finish().await?;
    Ok(())
}

/// Every column but the key, from columns of arrays.
const UPDATE: &str = "UPDATE delivery SET state = new.state, attempts = new.attempts,
       parts_sent = new.parts_sent, started_at = new.started_at, took_us = new.took_us,
       result = new.result, status = new.status, error = new.error,
       provider_id = new.provider_id, reason = new.reason, wait_until = new.wait_until,
       digest = new.digest, replayed_at = new.replayed_at, repeated = new.repeated,
       withdrawn_at = new.withdrawn_at, claimed_at = new.claimed_at
     FROM unnest($1::bigint[], $2::integer[], $3::smallint[], $4::integer[], $5::integer[],
       $6::bigint[], $7::integer[], $8::smallint[], $9::smallint[], $10::text[], $11::text[],
       $12::text[], $13::bigint[], $14::uuid[], $15::bigint[], $16::boolean[], $17::bigint[],
       $18::bigint[])
     AS new (sequence, ordinal, state, attempts, parts_sent, started_at, took_us, result,
       status, error, provider_id, reason, wait_until, digest, replayed_at, repeated,
       withdrawn_at, claimed_at)
     WHERE delivery.sequence = new.sequence AND delivery.ordinal = new.ordinal";

async fn update(transaction: &Transaction<'_>, rows: &[Values]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    /// One column of all rows.
    fn column<T>(rows: &[Values], of: impl Fn(&Values) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let statement = transaction.prepare_cached(UPDATE).await?;
    let columns: [&(dyn ToSql + Sync); 18] = [
        &column(rows, |row| row.sequence),
        &column(rows, |row| row.ordinal),
        &column(rows, |row| row.state),
        &column(rows, |row| row.attempts),
        &column(rows, |row| row.parts_sent),
        &column(rows, |row| row.started_at),
        &column(rows, |row| row.took_us),
        &column(rows, |row| row.result),
        &column(rows, |row| row.status),
        &column(rows, |row| row.error.clone()),
        &column(rows, |row| row.provider_id.clone()),
        &column(rows, |row| row.reason.clone()),
        &column(rows, |row| row.wait_until),
        &column(rows, |row| row.digest),
        &column(rows, |row| row.replayed_at),
        &column(rows, |row| row.repeated),
        &column(rows, |row| row.withdrawn_at),
        &column(rows, |row| row.claimed_at),
    ];
    transaction.execute(&statement, &columns).await?;
    Ok(())
}

async fn add_attempts(transaction: &Transaction<'_>, followed: &[Followed]) -> Result<(), Failure> {
    if followed.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO attempt (sequence, ordinal, number, started_at, took_us, result, status,
               error, provider_id)
             SELECT * FROM unnest($1::bigint[], $2::integer[], $3::integer[], $4::bigint[],
               $5::integer[], $6::smallint[], $7::smallint[], $8::text[], $9::text[])
             ON CONFLICT DO NOTHING",
        )
        .await?;
    let places: Vec<_> = followed.iter().map(|one| one.place).collect();
    let (sequences, ordinals) = places_of(&places);
    let attempts = || followed.iter().map(|one| &one.attempt);
    let numbers: Vec<i32> = followed.iter().map(|one| whole(one.number)).collect();
    let started: Vec<i64> = attempts().map(|one| one.started_at.0).collect();
    let took: Vec<i32> = attempts().map(|one| whole(one.took_us)).collect();
    let results: Vec<i16> = attempts().map(|one| one.result).collect();
    let statuses: Vec<Option<i16>> = attempts().map(|one| one.status.map(status)).collect();
    let errors: Vec<_> = attempts()
        .map(|one| one.error.as_deref().map(text))
        .collect();
    let ids: Vec<_> = attempts()
        .map(|one| one.provider_id.as_deref().map(text))
        .collect();
    let columns: [&(dyn ToSql + Sync); 9] = [
        &sequences, &ordinals, &numbers, &started, &took, &results, &statuses, &errors, &ids,
    ];
    transaction.execute(&statement, &columns).await?;
    Ok(())
}

async fn add_digests(transaction: &Transaction<'_>, digests: &[NewDigest]) -> Result<(), Failure> {
    if digests.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO digest (id, sequence, ordinal, deliveries)
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::integer[])
             ON CONFLICT DO NOTHING",
        )
        .await?;
    let ids: Vec<_> = digests.iter().map(|digest| digest.id).collect();
    let leads: Vec<_> = digests.iter().map(|digest| digest.lead).collect();
    let (sequences, ordinals) = places_of(&leads);
    let counts: Vec<i32> = digests
        .iter()
        .map(|digest| whole(digest.deliveries))
        .collect();
    transaction
        .execute(&statement, &[&ids, &sequences, &ordinals, &counts])
        .await?;
    Ok(())
}
