//! What has happened after some event.

use common::{DeliveryId, UtcMillis, count_users};
use producer::ports::{DeliveryState, Event, EventId, Events, Happening};
use rusqlite::{Connection, OptionalExtension, params};

use super::{View, records};
use crate::{
    feed::{End, Entry, entries, place},
    handoff::Opened,
    reader::{ALERT, damaged, destination, open_alert, opened},
    writer::settle::WAITING,
};

/// Rows of the feed read at once.
const ROWS: i64 = 256;

/// What follows `after` up to `end`; `None` where there is nothing.
pub(super) fn after(
    view: View<'_>,
    after: EventId,
    end: End,
    room: usize,
) -> Result<Option<Events>, rusqlite::Error> {
    let Some(start) = start(view.connection, after, end)? else {
        return Ok(Some(Events {
            gap: true,
            items: Vec::new(),
            next: end.id(),
        }));
    };
    let mut reading = Reading {
        connection: view.connection,
        items: Vec::new(),
        after: start.after,
        row_alert: start.row_alert,
        room,
        opened: None,
    };
    let is_whole = reading.rows(end)?;
    if is_whole {
        reading.alerts(end.row + 1, end.alert)?;
    }
    let gap = start.after != after;
    Ok((gap || reading.after > after).then_some(Events {
        gap,
        items: reading.items,
        next: reading.after,
    }))
}

/// Where reading begins.
struct Start {
    /// The event asked for, or the last one that is not known any more.
    after: EventId,
    /// The last alert of the row before that event's.
    row_alert: u64,
}

/// Where to begin for what follows `after`; `None` where this store never gave
/// that id out.
fn start(
    connection: &Connection,
    after: EventId,
    end: End,
) -> Result<Option<Start>, rusqlite::Error> {
    if after > end.id() {
        return Ok(None);
    }
    let first = "SELECT id FROM feed ORDER BY id LIMIT 1";
    let first = connection
        .query_row(first, [], |row| row.get::<_, i64>(0))
        .optional()?;
    // Of the first row that is left nobody knows which alerts it begins with, unless
    // none was removed before it.
    let after = match first {
        Some(first) if first > 1 => after.max(EventId::end_of(first as u64)),
        _ => after,
    };
    let row_before = after.commit.saturating_sub(1);
    let row_alert = connection
        .prepare_cached("SELECT alert FROM feed WHERE id = ?1")?
        .query_row([row_before as i64], |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(Some(Start {
        after,
        row_alert: row_alert.unwrap_or_default() as u64,
    }))
}

struct Reading<'a> {
    connection: &'a Connection,
    items: Vec<Event>,
    /// All up to here is taken in.
    after: EventId,
    /// The last alert of the rows read so far.
    row_alert: u64,
    room: usize,
    /// The alert of the last entry, which is often that of the next too.
    opened: Option<Opened>,
}

impl Reading<'_> {
    /// Reads rows up to the end's; answers whether it got there.
    fn rows(&mut self, end: End) -> Result<bool, rusqlite::Error> {
        let mut rows = self.connection.prepare_cached(
            "SELECT id, at, alert, body FROM feed WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows = rows.query(params![self.after.commit as i64, end.row as i64, ROWS])?;
        let mut last = None;
        while let Some(row) = rows.next()? {
            let id = row.get::<_, i64>(0)? as u64;
            let alert = row.get::<_, i64>(2)? as u64;
            let begins_with = alert.saturating_sub(self.row_alert);
            self.alerts(id, alert)?;
            let at = UtcMillis(row.get(1)?);
            let body = row.get_ref(3)?.as_blob()?;
            let found = entries(body).map_err(|error| damaged(3, error))?;
            for (number, entry) in found.into_iter().enumerate() {
                let id = EventId {
                    commit: id,
                    place: place(begins_with + number as u64),
                };
                if self.is_full() {
                    return Ok(false);
                }
                if id > self.after {
                    self.take(id, at, entry)?;
                }
            }
            last = Some(id);
        }
        Ok(last.unwrap_or(end.row) == end.row && !self.is_full())
    }

    /// Takes in the alerts with which that row begins, up to the one `last`.
    fn alerts(&mut self, row: u64, last: u64) -> Result<(), rusqlite::Error> {
        let before = std::mem::replace(&mut self.row_alert, last);
        let taken = match self.after {
            EventId { commit, .. } if commit != row => 0,
            EventId {
                place: u32::MAX, ..
            } => u64::MAX,
            EventId { place, .. } => u64::from(place) + 1,
        };
        let first = before.saturating_add(taken);
        if first >= last {
            return Ok(());
        }
        let room = self.room.saturating_sub(self.items.len());
        let query =
            format!("{ALERT} WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3");
        let mut alerts = self.connection.prepare_cached(&query)?;
        let mut alerts = alerts.query(params![first as i64, last as i64, room as i64])?;
        while let Some(found) = alerts.next()? {
            let sequence = found.get::<_, i64>(7)? as u64;
            let opened = opened(found, sequence)?;
            self.after = EventId {
                commit: row,
                place: place(sequence - before - 1),
            };
            self.items.push(Event {
                id: self.after,
                at: opened.alert.accepted_at,
                happening: Happening::Accepted {
                    user_count: count_users(
                        opened
                            .deliveries
                            .iter()
                            .map(|delivery| &delivery.recipients),
                    ),
                },
                alert: opened.alert,
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.room
    }

    /// Takes in what an entry tells; nothing where its alert was trimmed since.
    fn take(&mut self, id: EventId, at: UtcMillis, entry: Entry) -> Result<(), rusqlite::Error> {
        self.after = id;
        let sequence = entry.place.sequence;
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
        let Some(packed) = opened.deliveries.get(entry.place.ordinal as usize) else {
            return Ok(());
        };
        self.items.push(Event {
            id,
            at,
            alert: opened.alert.clone(),
            happening: Happening::Delivery {
                id: DeliveryId::of(opened.alert.id, packed.destination, packed.credential),
                destination: destination(self.connection, packed.destination)?,
                state: match entry.state {
                    WAITING => DeliveryState::Waiting,
                    state => records::changed_to(state),
                },
            },
        });
        Ok(())
    }
}
