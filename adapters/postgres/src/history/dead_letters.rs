//! Dead letters, and what is selected to be replayed.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::Arc,
};

use common::{DestinationId, UtcMillis, packed::PackedDelivery, wire::Place};
use deadpool_postgres::Transaction;
use producer::ports::{
    DeadLetter, DeadLetterFilter, DeadLetterPage, DeliveryDetail, DeliveryPlace, Selection,
};

use super::{
    blocks::{self, Walk, Wanted},
    destinations,
    opened::{Opened, deliveries, open},
    record::load,
    records::records,
};
use crate::error::Failure;

/// Rows that one page may look at.
const BUDGET: usize = 3_000;
/// Rows looked at at once.
const AT_ONCE: usize = 256;
/// Deliveries of an opened alert that cost as much as a row does.
const DELIVERIES: usize = 100;
/// What it costs to walk a block.
const BLOCK: usize = 50;

/// Those of alerts that are not recorded yet are left out.
const DEAD: &str = "SELECT delivery.sequence, ordinal, reason, accepted_at
     FROM delivery JOIN alert ON alert.sequence = delivery.sequence
     WHERE state = 4 AND (delivery.sequence, ordinal) < ($1, $2) AND delivery.sequence >= $3
     ORDER BY delivery.sequence DESC, ordinal DESC LIMIT $4";

/// A page of dead letters.
pub(super) async fn page(
    transaction: &Transaction<'_>,
    filter: &DeadLetterFilter,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<DeadLetterPage, Failure> {
    let mut alerts = Alerts::default();
    let found = dead(transaction, filter, before, limit, &mut alerts).await?;
    let mut items = Vec::with_capacity(found.places.len());
    let mut next = found.next;
    let mut last = None;
    for of_alert in found
        .places
        .chunk_by(|one, other| one.sequence == other.sequence)
    {
        // What is shown of it is unpacked, so many large alerts make the page short.
        if alerts.spent >= BUDGET && last.is_some() {
            next = last;
            break;
        }
        if let Some(opened) = alerts.open(transaction, of_alert[0].sequence).await? {
            let wanted: Vec<_> = of_alert
                .iter()
                .map(|place| (&*opened, place.ordinal))
                .collect();
            let records = records(transaction, &wanted).await?;
            items.extend(
                of_alert
                    .iter()
                    .zip(records)
                    .map(|(place, delivery)| DeadLetter {
                        place: outside(*place),
                        detail: DeliveryDetail {
                            alert: opened.head.alert.clone(),
                            delivery,
                        },
                    }),
            );
        }
        last = of_alert.last().copied().map(outside);
    }
    Ok(DeadLetterPage { items, next })
}

/// The deliveries of a selection that have ended.
pub(super) async fn selected(
    transaction: &Transaction<'_>,
    selection: &Selection,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<(Vec<Place>, Option<DeliveryPlace>), Failure> {
    let found = match selection {
        Selection::DeadLetters(filter) => {
            dead(transaction, filter, before, limit, &mut Alerts::default()).await?
        }
        Selection::Destination {
            destination,
            since,
            until,
        } => sent_to(transaction, *destination, *since..=*until, before, limit).await?,
    };
    Ok((found.places, found.next))
}

async fn dead(
    transaction: &Transaction<'_>,
    filter: &DeadLetterFilter,
    before: Option<DeliveryPlace>,
    limit: usize,
    alerts: &mut Alerts,
) -> Result<Places, Failure> {
    let mut found = Finding::new(limit);
    let first = match filter.since {
        None => Some(0),
        Some(since) => blocks::first_since(transaction, since).await?,
    };
    let Some(first) = first else {
        return Ok(found.finish());
    };
    let mut kinds = Kinds::default();
    let statement = transaction.prepare_cached(DEAD).await?;
    let mut place = bound(before);
    loop {
        let at_once = AT_ONCE.max(limit.min(BUDGET) + 1) as i64;
        let rows = transaction
            .query(&statement, &[&place.0, &place.1, &first, &at_once])
            .await?;
        for row in &rows {
            place = (row.try_get(0)?, row.try_get(1)?);
            let at = Place {
                sequence: place.0 as u64,
                ordinal: place.1 as u32,
            };
            if found.is_done(alerts.spent) {
                return Ok(found.finish());
            }
            let accepted_at = UtcMillis(row.try_get(3)?);
            let reason: Option<&str> = row.try_get(2)?;
            let is_of = filter.since.is_none_or(|since| accepted_at >= since)
                && filter
                    .reason
                    .as_deref()
                    .is_none_or(|wanted| reason.unwrap_or_default().contains(wanted));
            let matches = is_of
                && match &filter.channel {
                    None => true,
                    Some(channel) => {
                        let opened = alerts.open(transaction, at.sequence).await?;
                        kinds
                            .is(transaction, opened.as_deref(), at.ordinal, channel)
                            .await?
                    }
                };
            found.look(at, matches);
        }
        if (rows.len() as i64) < at_once {
            return Ok(found.finish());
        }
    }
}

/// All that went to a place and has ended, of alerts accepted within a time.
async fn sent_to(
    transaction: &Transaction<'_>,
    destination: DestinationId,
    accepted: RangeInclusive<UtcMillis>,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<Places, Failure> {
    // The place's id is looked for in the packed bytes; whoever reads them makes sure.
    let statement = transaction
        .prepare_cached(
            "SELECT sequence, recipients FROM alert
             WHERE sequence >= $1 AND sequence < $2 AND accepted_at >= $3 AND accepted_at <= $4
               AND position($5::bytea IN recipients) > 0
             ORDER BY sequence DESC",
        )
        .await?;
    let mut found = Finding::new(limit);
    let mut spent = 0;
    let before = before.map(inside);
    let wanted = Wanted {
        since: Some(*accepted.start()),
        until: Some(*accepted.end()),
        ..Wanted::default()
    };
    let mut walk = Walk::new(wanted, before.map(|before| before.sequence + 1));
    while let Some((first, end)) = walk.next(transaction).await? {
        let bytes = destination.0.to_le_bytes();
        let rows = transaction
            .query(
                &statement,
                &[
                    &first,
                    &end,
                    &accepted.start().0,
                    &accepted.end().0,
                    &&bytes[..],
                ],
            )
            .await?;
        let mut places = Vec::new();
        for row in &rows {
            let sequence = row.try_get::<_, i64>(0)? as u64;
            let all = deliveries(row, 1)?;
            spent += all.len() / DELIVERIES;
            let of_alert = all.iter().enumerate().rev();
            let there = of_alert.filter(|(_, one)| one.destination == destination);
            places.extend(there.map(|(ordinal, _)| Place {
                sequence,
                ordinal: ordinal as u32,
            }));
        }
        places.retain(|place| before.is_none_or(|before| *place < before));
        let rows = load(transaction, &places).await?;
        let ended: HashSet<Place> = rows
            .into_iter()
            .filter(|(_, row)| row.state.has_ended())
            .map(|(place, _)| place)
            .collect();
        for place in places {
            if found.is_done(0) {
                return Ok(found.finish());
            }
            found.look(place, ended.contains(&place));
        }
        spent += BLOCK;
        if spent >= BUDGET {
            found.last = Some(Place {
                sequence: first as u64,
                ordinal: 0,
            });
            if found.is_done(spent) {
                return Ok(found.finish());
            }
        }
    }
    Ok(found.finish())
}

fn bound(before: Option<DeliveryPlace>) -> (i64, i32) {
    before.map_or((i64::MAX, 0), |before| {
        (before.sequence as i64, before.ordinal as i32)
    })
}

pub(super) fn outside(place: Place) -> DeliveryPlace {
    DeliveryPlace {
        sequence: place.sequence,
        ordinal: place.ordinal,
    }
}

pub(super) fn inside(place: DeliveryPlace) -> Place {
    Place {
        sequence: place.sequence,
        ordinal: place.ordinal,
    }
}

/// Opens alerts; remembers the last one, whose deliveries follow each other.
#[derive(Default)]
struct Alerts {
    last: Option<(u64, Option<Arc<Opened>>)>,
    spent: usize,
}

impl Alerts {
    async fn open(
        &mut self,
        transaction: &Transaction<'_>,
        sequence: u64,
    ) -> Result<Option<Arc<Opened>>, Failure> {
        if let Some((known, opened)) = &self.last
            && *known == sequence
        {
            return Ok(opened.clone());
        }
        let opened = open(transaction, sequence).await?.map(Arc::new);
        let weight = opened.as_ref().map_or(0, |opened| opened.deliveries.len());
        self.spent += weight / DELIVERIES;
        self.last = Some((sequence, opened.clone()));
        Ok(opened)
    }
}

/// The channels of places.
#[derive(Default)]
struct Kinds(HashMap<DestinationId, String>);

impl Kinds {
    /// Whether that delivery goes to a channel of that kind.
    async fn is(
        &mut self,
        transaction: &Transaction<'_>,
        opened: Option<&Opened>,
        ordinal: u32,
        channel: &str,
    ) -> Result<bool, Failure> {
        let packed = opened.and_then(|opened| opened.deliveries.get(ordinal as usize));
        let Some(PackedDelivery { destination, .. }) = packed else {
            return Ok(false);
        };
        if let Some(known) = self.0.get(destination) {
            return Ok(known == channel);
        }
        let found = destinations::by_id(transaction, HashSet::from([*destination])).await?;
        let kind = destinations::one(&found, *destination)?
            .kind
            .as_str()
            .to_owned();
        let is = kind == channel;
        self.0.insert(*destination, kind);
        Ok(is)
    }
}

/// Places that were found, and where to go on.
struct Places {
    places: Vec<Place>,
    next: Option<DeliveryPlace>,
}

/// Places as they are found.
struct Finding {
    limit: usize,
    places: Vec<Place>,
    looked: usize,
    last: Option<Place>,
    next: Option<Place>,
}

impl Finding {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            places: Vec::new(),
            looked: 0,
            last: None,
            next: None,
        }
    }

    /// Whether another row has to be left for the next page.
    fn is_done(&mut self, spent: usize) -> bool {
        let budget = BUDGET.max(self.limit + 1);
        let is_done = self.places.len() > self.limit || self.looked + spent >= budget;
        if is_done {
            self.next = self.last;
        }
        is_done
    }

    fn look(&mut self, place: Place, matches: bool) {
        self.looked += 1;
        self.last = Some(place);
        if matches {
            self.places.push(place);
        }
    }

    fn finish(mut self) -> Places {
        if self.places.len() > self.limit {
            self.places.truncate(self.limit);
            self.next = self.places.last().copied();
        }
        Places {
            places: self.places,
            next: self.next.map(outside),
        }
    }
}
