//! Dead letters, and what is selected to be replayed.

use std::collections::{HashMap, hash_map::Entry};

use common::{DestinationId, UtcMillis};
use consumer::domain::Position;
use producer::ports::{DeadLetter, DeadLetterFilter, DeadLetterPage, DeliveryPlace, Selection};
use rusqlite::{Connection, OptionalExtension, params};

use super::{View, blocks, records};
use crate::{
    reader::destination,
    writer::settle::{DIGESTED, PARKED, WAITING},
};

/// Rows that one page may look at; about 15 ms, most of them being far apart.
const BUDGET: usize = 3_000;

const DEAD: &str = "SELECT sequence, ordinal FROM delivery
     WHERE state = 4 AND (sequence, ordinal) < (?1, ?2) AND sequence >= ?3
     ORDER BY sequence DESC, ordinal DESC";

const ALL: &str = "SELECT sequence, ordinal, destination_id, state FROM delivery
     WHERE (sequence, ordinal) < (?1, ?2) AND sequence >= ?3
     ORDER BY sequence DESC, ordinal DESC";

/// A page of dead letters.
pub(super) fn page(
    view: View<'_>,
    filter: &DeadLetterFilter,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<DeadLetterPage, rusqlite::Error> {
    let (places, next) = dead(view, filter, before, limit)?;
    let mut items = Vec::with_capacity(places.len());
    for place in places {
        if let Some(detail) = records::detail(view, place)? {
            items.push(DeadLetter {
                place: place_of(place),
                detail,
            });
        }
    }
    Ok(DeadLetterPage { items, next })
}

/// The deliveries of a selection that have ended.
pub(super) fn selected(
    view: View<'_>,
    selection: &Selection,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<(Vec<Position>, Option<DeliveryPlace>), rusqlite::Error> {
    match selection {
        Selection::DeadLetters(filter) => dead(view, filter, before, limit),
        Selection::Destination {
            destination,
            since,
            until,
        } => sent_to(view, *destination, *since..=*until, before, limit),
    }
}

fn dead(
    view: View<'_>,
    filter: &DeadLetterFilter,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<(Vec<Position>, Option<DeliveryPlace>), rusqlite::Error> {
    let connection = view.connection;
    let mut found = Found::new(limit);
    let mut kinds = HashMap::new();
    let mut times = Times::default();
    let Some(first) = first_since(connection, filter.since)? else {
        return Ok(found.finish());
    };
    let (sequence, ordinal) = bound(before);
    let mut rows = connection.prepare_cached(DEAD)?;
    let mut rows = rows.query(params![sequence, ordinal, first])?;
    while let Some(row) = rows.next()? {
        let place = Position {
            sequence: row.get::<_, i64>(0)? as u64,
            ordinal: row.get(1)?,
        };
        if found.is_done() {
            break;
        }
        let is_in_time = match filter.since {
            Some(since) => times.of(connection, place.sequence)? >= Some(since),
            None => true,
        };
        let matches = is_in_time && is_of(connection, place, filter, &mut kinds)?;
        found.look(place, matches);
    }
    Ok(found.finish())
}

fn is_of(
    connection: &Connection,
    place: Position,
    filter: &DeadLetterFilter,
    kinds: &mut HashMap<i64, String>,
) -> Result<bool, rusqlite::Error> {
    if filter.channel.is_none() && filter.reason.is_none() {
        return Ok(true);
    }
    let (id, reason) = connection
        .prepare_cached(
            "SELECT destination_id, reason FROM delivery WHERE sequence = ?1 AND ordinal = ?2",
        )?
        .query_row(params![place.sequence as i64, place.ordinal], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
    if let Some(channel) = &filter.channel {
        let kind = match kinds.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let destination = destination(connection, DestinationId(id as u64))?;
                new.insert(destination.kind.as_str().to_owned())
            }
        };
        if **kind != **channel {
            return Ok(false);
        }
    }
    let wanted = filter.reason.as_deref();
    Ok(wanted.is_none_or(|wanted| reason.unwrap_or_default().contains(wanted)))
}

fn sent_to(
    view: View<'_>,
    destination: DestinationId,
    accepted: std::ops::RangeInclusive<UtcMillis>,
    before: Option<DeliveryPlace>,
    limit: usize,
) -> Result<(Vec<Position>, Option<DeliveryPlace>), rusqlite::Error> {
    let connection = view.connection;
    let mut found = Found::new(limit);
    let mut times = Times::default();
    let Some(first) = first_since(connection, Some(*accepted.start()))? else {
        return Ok(found.finish());
    };
    let (mut sequence, ordinal) = bound(before);
    let Some(end) = blocks::end_until(connection, *accepted.end())? else {
        return Ok(found.finish());
    };
    sequence = sequence.min(end);
    let mut rows = connection.prepare_cached(ALL)?;
    let mut rows = rows.query(params![sequence, ordinal, first])?;
    while let Some(row) = rows.next()? {
        let place = Position {
            sequence: row.get::<_, i64>(0)? as u64,
            ordinal: row.get(1)?,
        };
        if found.is_done() {
            break;
        }
        let is_there = row.get::<_, i64>(2)? as u64 == destination.0;
        let has_ended = !matches!(row.get(3)?, WAITING | PARKED | DIGESTED);
        let matches = is_there
            && has_ended
            && times
                .of(connection, place.sequence)?
                .is_some_and(|time| accepted.contains(&time));
        found.look(place, matches);
    }
    Ok(found.finish())
}

/// Where the alerts accepted since then begin, by their blocks; `None` where there
/// are none.
fn first_since(
    connection: &Connection,
    since: Option<UtcMillis>,
) -> Result<Option<i64>, rusqlite::Error> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    blocks::first_since(connection, since)
}

fn bound(before: Option<DeliveryPlace>) -> (i64, i64) {
    before.map_or((i64::MAX, 0), |before| {
        (before.sequence as i64, i64::from(before.ordinal))
    })
}

fn place_of(position: Position) -> DeliveryPlace {
    DeliveryPlace {
        sequence: position.sequence,
        ordinal: position.ordinal,
    }
}

/// When alerts were accepted; remembers the last one asked for, whose deliveries
/// follow each other.
#[derive(Default)]
struct Times(Option<(u64, Option<UtcMillis>)>);

impl Times {
    fn of(
        &mut self,
        connection: &Connection,
        sequence: u64,
    ) -> Result<Option<UtcMillis>, rusqlite::Error> {
        if let Some((known, time)) = self.0
            && known == sequence
        {
            return Ok(time);
        }
        let time = connection
            .prepare_cached("SELECT accepted_at FROM alert WHERE sequence = ?1")?
            .query_row([sequence as i64], |row| row.get(0).map(UtcMillis))
            .optional()?;
        self.0 = Some((sequence, time));
        Ok(time)
    }
}

/// Places as they are found.
struct Found {
    limit: usize,
    places: Vec<Position>,
    looked: usize,
    last: Option<Position>,
    next: Option<DeliveryPlace>,
}

impl Found {
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
    fn is_done(&mut self) -> bool {
        let is_done = self.places.len() > self.limit || self.looked >= BUDGET.max(self.limit + 1);
        if is_done {
            self.next = self.last.map(place_of);
        }
        is_done
    }

    fn look(&mut self, place: Position, matches: bool) {
        self.looked += 1;
        self.last = Some(place);
        if matches {
            self.places.push(place);
        }
    }

    fn finish(mut self) -> (Vec<Position>, Option<DeliveryPlace>) {
        if self.places.len() > self.limit {
            self.places.truncate(self.limit);
            self.next = self.places.last().copied().map(place_of);
        }
        (self.places, self.next)
    }
}
