//! What happened, for those who follow it: durable format, version 1.
//!
//! That an alert was accepted stands in `alert` and is written nowhere else: its
//! sequence number is its place in the order. What became of deliveries is a row of
//! `feed` for each commit that changed any. The row says which alert was the last
//! accepted by then, so the two make one order: first the alerts accepted since the
//! row before, then what the row tells. Those accepted after the last row are told
//! as the beginning of the next, which they will be.
//!
//! `feed.body` is a list of entries. Each is a byte, the delivery's new state as in
//! `delivery.state`, and 8 for one that is queued again; the alert's sequence
//! number as a varint; and the delivery's place in it as a varint.

use common::UtcMillis;
use consumer::domain::Position;
use producer::ports::EventId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::watch;

use crate::packed::{Damaged, Input, put_varint};

/// Rows that are kept.
pub(crate) const KEPT: i64 = 50_000;

/// What stands for a replayed delivery.
pub(crate) const QUEUED_AGAIN: u8 = 8;

/// A delivery has this state now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) place: Position,
    pub(crate) state: u8,
}

/// How far the feed goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// The last row; 0 where there is none.
    pub(crate) row: u64,
    /// The last alert accepted when that row was written.
    pub(crate) row_alert: u64,
    /// The last alert accepted.
    pub(crate) alert: u64,
}

impl End {
    /// Where the feed ends on the disk.
    pub(crate) fn read(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let last = "SELECT id, alert FROM feed ORDER BY id DESC LIMIT 1";
        let last = connection.query_row(last, [], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        });
        let (row, row_alert) = last.optional()?.unwrap_or_default();
        let alert = "SELECT coalesce(max(sequence), 0) FROM alert";
        let alert = connection.query_row(alert, [], |row| row.get::<_, i64>(0))? as u64;
        Ok(Self {
            row,
            row_alert,
            alert,
        })
    }

    /// The id of the last event, or one that follows it and no other.
    pub(crate) fn id(self) -> EventId {
        match self.alert.saturating_sub(self.row_alert) {
            0 => EventId::end_of(self.row),
            since => EventId {
                commit: self.row + 1,
                place: place(since - 1),
            },
        }
    }
}

/// A place within a row. There are never so many that it does not fit.
pub(crate) fn place(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Gathers what the transaction under way does.
pub(crate) struct Feed {
    body: Vec<u8>,
    /// Where the feed ends once the transaction under way is committed.
    next: End,
    end: watch::Sender<End>,
}

impl Feed {
    pub(crate) fn new(end: watch::Sender<End>) -> Self {
        let next = *end.borrow();
        Self {
            body: Vec::new(),
            next,
            end,
        }
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self) {
        self.body.clear();
        self.next = *self.end.borrow();
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        self.body.push(entry.state);
        put_varint(&mut self.body, entry.place.sequence);
        put_varint(&mut self.body, u64::from(entry.place.ordinal));
    }

    /// Writes what was gathered, at the end of the transaction, in which `alert`
    /// was the last one accepted.
    pub(crate) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        alert: u64,
        now: UtcMillis,
    ) -> Result<(), rusqlite::Error> {
        self.next.alert = alert;
        if self.body.is_empty() {
            return Ok(());
        }
        self.next.row += 1;
        self.next.row_alert = alert;
        transaction
            .prepare_cached("INSERT INTO feed (id, at, alert, body) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                self.next.row as i64,
                now.0,
                alert as i64,
                self.body
            ])
            .map(drop)
    }

    /// The transaction was committed: wakes those who follow.
    pub(crate) fn committed(&mut self) {
        let next = self.next;
        self.end.send_if_modified(|end| {
            let is_new = *end != next;
            *end = next;
            is_new
        });
    }
}

/// The entries of a row, in order.
pub(crate) fn entries(body: &[u8]) -> Result<Vec<Entry>, Damaged> {
    let mut input = Input::new(body);
    let mut entries = Vec::new();
    while !input.is_at_end() {
        let [state] = input.array()?;
        let place = Position {
            sequence: input.varint()?,
            ordinal: input.varint()? as u32,
        };
        entries.push(Entry { place, state });
    }
    Ok(entries)
}

/// Removes what is older than the last [`KEPT`] rows.
pub(crate) fn trim(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached("DELETE FROM feed WHERE id <= (SELECT max(id) FROM feed) - ?1")?
        .execute([KEPT])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_as_they_were_added() {
        let place = |sequence, ordinal| Position { sequence, ordinal };
        let added = [
            Entry {
                place: place(300, 70_000),
                state: 3,
            },
            Entry {
                place: place(u64::MAX, 0),
                state: QUEUED_AGAIN,
            },
        ];
        let mut feed = Feed::new(watch::Sender::default());
        added.into_iter().for_each(|entry| feed.add(entry));
        assert_eq!(entries(&feed.body).unwrap(), added);
        assert!(entries(&feed.body[..5]).is_err());
    }

    #[test]
    fn alerts_accepted_since_the_last_row_begin_the_next() {
        let end = |alert| End {
            row: 7,
            row_alert: 100,
            alert,
        };
        assert_eq!(end(100).id(), EventId::end_of(7));
        assert_eq!(end(101).id().to_string(), "8-0");
        assert_eq!(end(103).id().to_string(), "8-2");
    }
}
