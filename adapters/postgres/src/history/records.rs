//! The records of deliveries.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use common::{DeliveryId, Destination, DestinationId, UtcMillis, wire::Place};
use deadpool_postgres::Transaction;
use producer::ports::{AlertDetail, AttemptRecord, DeliveryDetail, DeliveryRecord, DigestRecord};
use uuid::Uuid;

use super::{
    alerts::summaries,
    destinations,
    opened::{Opened, open},
    record::{Attempt, Row, load},
    sql::{place_of, places_of},
    state::{Standing, result_of_code},
};
use crate::error::Failure;

/// An alert and its deliveries from one place on.
pub(super) async fn alert(
    transaction: &Transaction<'_>,
    sequence: u64,
    from: u32,
    limit: usize,
) -> Result<Option<AlertDetail>, Failure> {
    let Some(opened) = open(transaction, sequence).await? else {
        return Ok(None);
    };
    let count = opened.deliveries.len();
    let begin = count.min(from as usize);
    let end = count.min(begin.saturating_add(limit));
    let wanted: Vec<_> = (begin..end)
        .map(|ordinal| (&opened, ordinal as u32))
        .collect();
    let deliveries = records(transaction, &wanted).await?;
    let Some(summary) = summaries(transaction, vec![opened.head.clone()])
        .await?
        .pop()
    else {
        return Ok(None);
    };
    Ok(Some(AlertDetail {
        summary,
        deliveries,
        next: (end < count).then_some(end as u32),
    }))
}

/// The delivery at a place and its alert; `None` where they were trimmed.
pub(super) async fn delivery(
    transaction: &Transaction<'_>,
    place: Place,
) -> Result<Option<DeliveryDetail>, Failure> {
    let Some(opened) = open(transaction, place.sequence).await? else {
        return Ok(None);
    };
    let found = records(transaction, &[(&opened, place.ordinal)]).await?;
    Ok(found.into_iter().next().map(|delivery| DeliveryDetail {
        alert: opened.head.alert.clone(),
        delivery,
    }))
}

/// The records of those deliveries of those alerts, in their order; of places that an
/// alert does not have, none.
pub(super) async fn records(
    transaction: &Transaction<'_>,
    wanted: &[(&Opened, u32)],
) -> Result<Vec<DeliveryRecord>, Failure> {
    let places: Vec<Place> = wanted
        .iter()
        .map(|(opened, ordinal)| Place {
            sequence: opened.head.sequence,
            ordinal: *ordinal,
        })
        .collect();
    let known = Known::of(transaction, places, wanted).await?;
    let mut records = Vec::with_capacity(wanted.len());
    for (opened, ordinal) in wanted {
        if let Some(record) = known.record(opened, *ordinal)? {
            records.push(record);
        }
    }
    Ok(records)
}

/// All that records are made of.
struct Known {
    rows: BTreeMap<Place, Row>,
    attempts: HashMap<Place, Vec<AttemptRecord>>,
    digests: HashMap<Uuid, (Place, u32)>,
    destinations: HashMap<DestinationId, Destination>,
}

impl Known {
    async fn of(
        transaction: &Transaction<'_>,
        places: Vec<Place>,
        wanted: &[(&Opened, u32)],
    ) -> Result<Self, Failure> {
        let mut rows: BTreeMap<_, _> = load(transaction, &places).await?.into_iter().collect();
        let digests = digests(transaction, &rows).await?;
        let leads = digests.values().map(|(lead, _)| *lead);
        let leads: HashSet<Place> = leads.filter(|lead| !rows.contains_key(lead)).collect();
        let leads: Vec<Place> = leads.into_iter().collect();
        rows.extend(load(transaction, &leads).await?);
        let tried: Vec<Place> = rows.keys().copied().collect();
        let attempts = attempts(transaction, &tried).await?;
        let of = |(opened, ordinal): &(&Opened, u32)| {
            let packed = opened.deliveries.get(*ordinal as usize);
            packed.map(|packed| packed.destination)
        };
        let places: HashSet<_> = wanted.iter().filter_map(of).collect();
        Ok(Self {
            rows,
            attempts,
            digests,
            destinations: destinations::by_id(transaction, places).await?,
        })
    }

    fn record(&self, opened: &Opened, ordinal: u32) -> Result<Option<DeliveryRecord>, Failure> {
        let Some(packed) = opened.deliveries.get(ordinal as usize) else {
            return Ok(None);
        };
        let place = Place {
            sequence: opened.head.sequence,
            ordinal,
        };
        let row = self.rows.get(&place);
        let digest = row.and_then(|row| row.digest);
        let standing = standing(row);
        let mut record = DeliveryRecord {
            id: DeliveryId::of(opened.head.alert.id, packed.destination, packed.credential),
            destination: destinations::one(&self.destinations, packed.destination)?,
            recipients: packed.recipients.clone(),
            state: standing.shown(digest.is_some()),
            attempts: self.attempts(place),
            digest: None,
            next_attempt_at: row.and_then(|row| row.wait_until),
            reason: row.and_then(|row| row.reason.clone()),
            replayed_at: row.and_then(|row| row.replayed_at),
            repeated: row.is_some_and(|row| row.repeated),
            withdrawn_at: row.and_then(|row| row.withdrawn_at),
        };
        if let Some(id) = digest {
            self.add_digest(&mut record, place, standing, id);
        }
        Ok(Some(record))
    }

    /// Every attempt of a delivery's own row, the first attempt first.
    fn attempts(&self, place: Place) -> Vec<AttemptRecord> {
        let mut attempts = self.attempts.get(&place).cloned().unwrap_or_default();
        let last = self.rows.get(&place).and_then(|row| {
            let last = row.last.as_ref()?;
            Some(attempt(row.attempts, last))
        });
        attempts.extend(last);
        attempts
    }

    /// Adds what is known of the digest of that id to the record of a delivery that it
    /// carries.
    fn add_digest(&self, record: &mut DeliveryRecord, place: Place, standing: Standing, id: Uuid) {
        let found = self.digests.get(&id).copied();
        let mut digest = DigestRecord {
            id,
            state: standing.alone(),
            deliveries: found.map(|(_, count)| count),
        };
        if let Some((lead, _)) = found.filter(|(lead, _)| *lead != place) {
            let row = self.rows.get(&lead);
            // Since the lead was replayed it goes its own way.
            let is_lead = row.is_some_and(|row| row.digest == Some(id));
            let replayed_at = row.and_then(|row| row.replayed_at);
            let of_digest = self
                .attempts(lead)
                .into_iter()
                .filter(|attempt| is_lead || replayed_at.is_some_and(|at| attempt.started_at < at));
            record.attempts.extend(of_digest);
            record.attempts.sort_by_key(|attempt| attempt.started_at);
            if is_lead {
                digest.state = self::standing(row).alone();
                record.next_attempt_at = row.and_then(|row| row.wait_until);
            }
        }
        record.digest = Some(digest);
    }
}

fn standing(row: Option<&Row>) -> Standing {
    row.map_or_else(Standing::default, |row| Standing {
        state: Some(row.state),
        waits: row.wait_until.is_some(),
        has_parts: row.parts_sent > 0,
    })
}

fn attempt(number: u32, attempt: &Attempt) -> AttemptRecord {
    AttemptRecord {
        number,
        started_at: attempt.started_at,
        took: Duration::from_micros(attempt.took_us),
        result: result_of_code(attempt.result),
        status: attempt.status,
        error: attempt.error.clone(),
        provider_id: attempt.provider_id.clone(),
    }
}

/// The leads and sizes of the digests of those rows.
async fn digests(
    transaction: &Transaction<'_>,
    rows: &BTreeMap<Place, Row>,
) -> Result<HashMap<Uuid, (Place, u32)>, Failure> {
    let ids: HashSet<Uuid> = rows.values().filter_map(|row| row.digest).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = transaction
        .prepare_cached("SELECT id, sequence, ordinal, deliveries FROM digest WHERE id = ANY ($1)")
        .await?;
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let rows = transaction.query(&statement, &[&ids]).await?;
    let digest = |row: &tokio_postgres::Row| {
        let count = row.try_get::<_, i32>(3)?.unsigned_abs();
        Ok((row.try_get(0)?, (place_of(row, 1, 2)?, count)))
    };
    rows.iter().map(digest).collect()
}

/// The attempts that others followed, the first first.
async fn attempts(
    transaction: &Transaction<'_>,
    places: &[Place],
) -> Result<HashMap<Place, Vec<AttemptRecord>>, Failure> {
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = transaction
        .prepare_cached(
            "SELECT sequence, ordinal, number, started_at, took_us, result, status, error,
               provider_id
             FROM unnest($1::bigint[], $2::integer[]) AS wanted (sequence, ordinal)
             JOIN attempt USING (sequence, ordinal) ORDER BY sequence, ordinal, number",
        )
        .await?;
    let (sequences, ordinals) = places_of(places);
    let rows = transaction
        .query(&statement, &[&sequences, &ordinals])
        .await?;
    let mut found: HashMap<Place, Vec<AttemptRecord>> = HashMap::new();
    for row in &rows {
        let kept = Attempt {
            started_at: UtcMillis(row.try_get(3)?),
            took_us: row.try_get::<_, i32>(4)?.unsigned_abs().into(),
            result: row.try_get(5)?,
            status: row
                .try_get::<_, Option<i16>>(6)?
                .map(|status| status as u16),
            error: row.try_get(7)?,
            provider_id: row.try_get(8)?,
        };
        let number = row.try_get::<_, i32>(2)?.unsigned_abs();
        let of_place = found.entry(place_of(row, 0, 1)?).or_default();
        of_place.push(attempt(number, &kept));
    }
    Ok(found)
}
