//! What has happened after some event.

use common::{DeliveryId, UtcMillis, count_users};
use consumer::domain::Position;
use producer::ports::{DeliveryState, Event, EventId, Events, Happening};
use rusqlite::{Connection, params};

use super::{View, records};
use crate::{
    feed::{Entry, QUEUED_AGAIN, entries},
    handoff::Opened,
    reader::{damaged, destination, open_alert},
    writer::settle::WAITING,
};

/// Rows of the feed read at once.
const ROWS: i64 = 256;

/// What follows `after`, of the rows up to `last`; `None` where there is nothing.
pub(super) fn after(
    view: View<'_>,
    after: EventId,
    last: u64,
    room: usize,
) -> Result<Option<Events>, rusqlite::Error> {
    let connection = view.connection;
    let first: Option<i64> =
        connection.query_row("SELECT min(id) FROM feed", [], |row| row.get(0))?;
    let is_from_elsewhere = after.commit > last;
    let is_forgotten = first.is_some_and(|first| after.commit + 1 < first as u64);
    let gap = is_from_elsewhere || is_forgotten;
    if is_from_elsewhere {
        return Ok(Some(Events {
            gap,
            items: Vec::new(),
            next: EventId::end_of(last),
        }));
    }
    let mut reading = Reading::new(connection, after);
    let mut rows = connection.prepare_cached(
        "SELECT id, at, body FROM feed WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = rows.query(params![after.commit as i64, last as i64, ROWS])?;
    while let Some(row) = rows.next()? {
        let commit = row.get::<_, i64>(0)? as u64;
        let at = UtcMillis(row.get(1)?);
        let body = row.get_ref(2)?.as_blob()?;
        let found = entries(body).map_err(|error| damaged(2, error))?;
        for (place, entry) in found.into_iter().enumerate() {
            let id = EventId {
                commit,
                place: place as u32,
            };
            if id > after {
                reading.take(id, at, entry)?;
            }
            if reading.items.len() >= room {
                return Ok(Some(reading.finish(gap)));
            }
        }
    }
    let events = reading.finish(gap);
    Ok((events.gap || events.next > after).then_some(events))
}

struct Reading<'a> {
    connection: &'a Connection,
    items: Vec<Event>,
    next: EventId,
    /// The alert of the last entry, which is often that of the next too.
    opened: Option<Opened>,
}

impl<'a> Reading<'a> {
    fn new(connection: &'a Connection, after: EventId) -> Self {
        Self {
            connection,
            items: Vec::new(),
            next: after,
            opened: None,
        }
    }

    /// Takes in what an entry tells; nothing where its alert was trimmed since.
    fn take(&mut self, id: EventId, at: UtcMillis, entry: Entry) -> Result<(), rusqlite::Error> {
        self.next = id;
        let sequence = match entry {
            Entry::Accepted(sequence) => sequence,
            Entry::Delivery { place, .. } => place.sequence,
        };
        if self
            .opened
            .as_ref()
            .is_none_or(|one| one.sequence != sequence)
        {
            self.opened = open_alert(self.connection, sequence)?;
        }
        let Some(opened) = &self.opened else {
            return Ok(());
        };
        let happening = match entry {
            Entry::Accepted(_) => Happening::Accepted {
                user_count: count_users(
                    opened
                        .deliveries
                        .iter()
                        .map(|delivery| &delivery.recipients),
                ),
            },
            Entry::Delivery { place, state } => match self.delivery(opened, place, state)? {
                Some(happening) => happening,
                None => return Ok(()),
            },
        };
        self.items.push(Event {
            id,
            at,
            alert: opened.alert.clone(),
            happening,
        });
        Ok(())
    }

    fn delivery(
        &self,
        opened: &Opened,
        place: Position,
        state: u8,
    ) -> Result<Option<Happening>, rusqlite::Error> {
        let Some(packed) = opened.deliveries.get(place.ordinal as usize) else {
            return Ok(None);
        };
        Ok(Some(Happening::Delivery {
            id: DeliveryId::of(opened.alert.id, packed.destination, packed.credential),
            destination: destination(self.connection, packed.destination)?,
            state: match state {
                QUEUED_AGAIN => DeliveryState::Queued,
                state => records::state(state, state == WAITING, 0, false),
            },
        }))
    }

    fn finish(self, gap: bool) -> Events {
        Events {
            gap,
            items: self.items,
            next: self.next,
        }
    }
}
