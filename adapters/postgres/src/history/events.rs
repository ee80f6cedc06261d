//! What has happened after some event.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use common::{DeliveryId, Destination, DestinationId, packed::PackedDelivery, wire::Place};
use deadpool_postgres::Transaction;
use producer::ports::{Event, EventId, Events, Happening};

use super::{
    destinations,
    feed::{Change, Entry, What, unpack},
    opened::{ALERT, Head, deliveries, head},
};
use crate::error::Failure;

/// Rows of the feed read at once.
const ROWS: i64 = 64;
/// Deliveries of alerts unpacked at once; more make the answer short.
const DELIVERIES: usize = 100_000;
/// An alert to more deliveries than this is large, and kept when it was unpacked: it is
/// told of in many answers.
const LARGE: usize = 1_000;

/// What follows `after`, and the feed's end; no events where there is nothing.
pub(super) struct Found {
    pub(super) events: Option<Events>,
    pub(super) end: u64,
}

pub(super) async fn after(
    transaction: &Transaction<'_>,
    large: &Large,
    after: EventId,
    room: usize,
) -> Result<Found, Failure> {
    let statement = transaction
        .prepare_cached("SELECT (SELECT feed FROM history_state), (SELECT min(id) FROM feed)")
        .await?;
    let row = transaction.query_one(&statement, &[]).await?;
    let end = row.try_get::<_, i64>(0)? as u64;
    let first: Option<i64> = row.try_get(1)?;
    if after > EventId::end_of(end) {
        // Nobody gave that id out.
        let events = Events {
            gap: true,
            items: Vec::new(),
            next: EventId::end_of(end),
        };
        return Ok(Found {
            events: Some(events),
            end,
        });
    }
    let start = start(after, first.map(|first| first as u64));
    let (told, next) = told(transaction, start.unwrap_or(after), room).await?;
    let gap = start.is_some();
    let events = match gap || next > after {
        true => Some(shown(transaction, large, told, next, gap).await?),
        false => None,
    };
    Ok(Found { events, end })
}

/// Where to begin instead, where some after `after` are not known any more.
fn start(after: EventId, first: Option<u64>) -> Option<EventId> {
    let first = first?;
    // Of the row before the first one nobody knows what else it told; before row 1
    // there was none.
    let knows = match after.commit {
        0 => first <= 1,
        commit => commit >= first || (commit + 1 == first && after.place == u32::MAX),
    };
    (!knows).then(|| EventId::end_of(first - 1))
}

/// The entries after `after`, up to `room`, and the id to go on from.
async fn told(
    transaction: &Transaction<'_>,
    after: EventId,
    room: usize,
) -> Result<(Vec<(EventId, Entry)>, EventId), Failure> {
    let statement = transaction
        .prepare_cached("SELECT id, body FROM feed WHERE id >= $1 ORDER BY id LIMIT $2")
        .await?;
    let rows = transaction
        .query(&statement, &[&(after.commit as i64), &ROWS])
        .await?;
    let mut told = Vec::new();
    let mut next = after;
    for row in &rows {
        let commit = row.try_get::<_, i64>(0)? as u64;
        let body: &[u8] = row.try_get(1)?;
        let entries = unpack(body).map_err(|damaged| Failure::Failed(damaged.to_string()))?;
        if entries.is_empty() {
            // Written by a later version.
            next = EventId::end_of(commit);
        }
        for (place, entry) in entries.into_iter().enumerate() {
            let id = EventId {
                commit,
                place: place as u32,
            };
            if id <= after {
                continue;
            }
            if told.len() >= room {
                return Ok((told, next));
            }
            told.push((id, entry));
            next = id;
        }
    }
    Ok((told, next))
}

/// Entries as they are shown; those whose alert was trimmed since are left out.
async fn shown(
    transaction: &Transaction<'_>,
    large: &Large,
    told: Vec<(EventId, Entry)>,
    next: EventId,
    gap: bool,
) -> Result<Events, Failure> {
    let sequences: HashSet<u64> = told.iter().map(|(_, entry)| entry.sequence()).collect();
    let heads = heads(transaction, sequences).await?;
    let changed = told.iter().filter_map(|(_, entry)| match entry.what {
        What::Changed(place, _) => Some(place),
        What::Accepted(_) => None,
    });
    let packed = large.packed(transaction, &heads, changed).await?;
    let ids: HashSet<DestinationId> = packed.values().map(|one| one.destination).collect();
    let destinations = destinations::by_id(transaction, ids).await?;
    let mut events = Events {
        gap,
        items: Vec::with_capacity(told.len()),
        next,
    };
    for (id, entry) in told {
        let Some(head) = heads.get(&entry.sequence()) else {
            continue;
        };
        let happening = match entry.what {
            What::Accepted(_) => Happening::Accepted {
                user_count: head.user_count,
            },
            What::Changed(place, change) => match packed.get(&place) {
                Some(packed) => delivery(head, packed, change, &destinations)?,
                // It was too much for one answer.
                None if place.ordinal < head.delivery_count as u32 => {
                    events.next = before(id);
                    break;
                }
                None => continue,
            },
        };
        events.items.push(Event {
            id,
            at: entry.at,
            alert: head.alert.clone(),
            happening,
        });
    }
    Ok(events)
}

fn before(id: EventId) -> EventId {
    match id.place.checked_sub(1) {
        Some(place) => EventId { place, ..id },
        None => EventId::end_of(id.commit - 1),
    }
}

fn delivery(
    head: &Head,
    packed: &PackedDelivery,
    change: Change,
    known: &HashMap<DestinationId, Destination>,
) -> Result<Happening, Failure> {
    Ok(Happening::Delivery {
        id: DeliveryId::of(head.alert.id, packed.destination, packed.credential),
        destination: destinations::one(known, packed.destination)?,
        state: change.state(),
    })
}

async fn heads(
    transaction: &Transaction<'_>,
    sequences: HashSet<u64>,
) -> Result<HashMap<u64, Head>, Failure> {
    let query = format!("SELECT {ALERT} FROM alert WHERE sequence = ANY ($1)");
    let statement = transaction.prepare_cached(&query).await?;
    let sequences: Vec<i64> = sequences.into_iter().map(|one| one as i64).collect();
    let rows = transaction.query(&statement, &[&sequences]).await?;
    let heads = rows.iter().map(|row| {
        let head = head(row)?;
        Ok((head.sequence, head))
    });
    heads.collect()
}

/// The last large alert that was unpacked, with its deliveries.
#[derive(Default)]
pub(super) struct Large(Mutex<Option<(u64, Arc<Vec<PackedDelivery>>)>>);

impl Large {
    /// The deliveries of those places, in whose order their alerts are unpacked, until it
    /// is too much.
    async fn packed(
        &self,
        transaction: &Transaction<'_>,
        heads: &HashMap<u64, Head>,
        places: impl Iterator<Item = Place>,
    ) -> Result<HashMap<Place, PackedDelivery>, Failure> {
        let mut ordinals: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut wanted: Vec<i64> = Vec::new();
        let mut weight = 0;
        let kept = self.kept();
        for place in places {
            let Some(head) = heads.get(&place.sequence) else {
                continue;
            };
            let of_alert = ordinals.entry(place.sequence).or_insert_with(|| {
                let is_kept = kept
                    .as_ref()
                    .is_some_and(|(kept, _)| *kept == place.sequence);
                if !is_kept && (weight == 0 || weight + head.delivery_count <= DELIVERIES) {
                    weight += head.delivery_count;
                    wanted.push(place.sequence as i64);
                }
                Vec::new()
            });
            of_alert.push(place.ordinal);
        }
        let statement = transaction
            .prepare_cached("SELECT sequence, recipients FROM alert WHERE sequence = ANY ($1)")
            .await?;
        let rows = transaction.query(&statement, &[&wanted]).await?;
        let mut found = HashMap::new();
        let mut take = |sequence: u64, deliveries: &[PackedDelivery]| {
            for ordinal in ordinals.get(&sequence).into_iter().flatten() {
                if let Some(packed) = deliveries.get(*ordinal as usize) {
                    let place = Place {
                        sequence,
                        ordinal: *ordinal,
                    };
                    found.insert(place, packed.clone());
                }
            }
        };
        if let Some((sequence, deliveries)) = &kept {
            take(*sequence, deliveries);
        }
        for row in &rows {
            let sequence = row.try_get::<_, i64>(0)? as u64;
            let deliveries = deliveries(row, 1)?;
            take(sequence, &deliveries);
            if deliveries.len() > LARGE {
                self.keep(sequence, deliveries);
            }
        }
        Ok(found)
    }

    fn kept(&self) -> Option<(u64, Arc<Vec<PackedDelivery>>)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    fn keep(&self, sequence: u64, deliveries: Vec<PackedDelivery>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((sequence, Arc::new(deliveries)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(commit: u64, place: u32) -> EventId {
        EventId { commit, place }
    }

    #[test]
    fn reading_goes_on_after_what_is_known_and_else_begins_with_the_first_row() {
        for known in [id(0, 0), id(5, 3), EventId::end_of(9)] {
            assert_eq!(start(known, None), None);
            assert_eq!(start(known, Some(1)), None);
        }
        for known in [id(7, 0), EventId::end_of(7), EventId::end_of(6), id(9, 9)] {
            assert_eq!(start(known, Some(7)), None, "{known}");
        }
        for lost in [id(0, 0), id(5, 3), EventId::end_of(5), id(6, 3)] {
            assert_eq!(start(lost, Some(7)), Some(EventId::end_of(6)), "{lost}");
        }
    }

    #[test]
    fn before_an_event_is_the_one_before_it_or_the_end_of_the_commit_before() {
        assert_eq!(before(id(7, 3)), id(7, 2));
        assert_eq!(before(id(7, 0)), EventId::end_of(6));
    }
}
