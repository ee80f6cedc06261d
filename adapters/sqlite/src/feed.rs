//! What happened, commit by commit, for those who follow it: durable format,
//! version 1.
//!
//! `feed.body` is a list of entries. Each is a byte, what happened (0 accepted,
//! else the delivery's new state as in `delivery.state`, and 8 for one that is
//! queued again); the alert's sequence number as a varint; and, but for an
//! accepted alert, the delivery's place in it as a varint.

use consumer::domain::Position;
use rusqlite::{Transaction, params};
use tokio::sync::watch;

use common::UtcMillis;

use crate::packed::{Damaged, Input, put_varint};

/// Commits of which the entries are kept.
pub(crate) const KEPT: i64 = 50_000;

const ACCEPTED: u8 = 0;
/// What stands for a replayed delivery.
pub(crate) const QUEUED_AGAIN: u8 = 8;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The alert of that sequence number was accepted.
    Accepted(u64),
    /// A delivery has this state now.
    Delivery { place: Position, state: u8 },
}

/// Gathers what the transaction under way does.
pub(crate) struct Feed {
    body: Vec<u8>,
    /// The row that the transaction under way has written.
    written: Option<i64>,
    last: watch::Sender<u64>,
}

impl Feed {
    pub(crate) fn new(last: watch::Sender<u64>) -> Self {
        Self {
            body: Vec::new(),
            written: None,
            last,
        }
    }

    /// A transaction begins.
    pub(crate) fn begin(&mut self) {
        self.body.clear();
        self.written = None;
    }

    pub(crate) fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Accepted(sequence) => {
                self.body.push(ACCEPTED);
                put_varint(&mut self.body, sequence);
            }
            Entry::Delivery { place, state } => {
                self.body.push(state);
                put_varint(&mut self.body, place.sequence);
                put_varint(&mut self.body, u64::from(place.ordinal));
            }
        }
    }

    /// Writes what was gathered, at the end of the transaction.
    pub(crate) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        now: UtcMillis,
    ) -> Result<(), rusqlite::Error> {
        if self.body.is_empty() {
            return Ok(());
        }
        transaction
            .prepare_cached("INSERT INTO feed (at, body) VALUES (?1, ?2)")?
            .execute(params![now.0, self.body])?;
        self.written = Some(transaction.last_insert_rowid());
        Ok(())
    }

    /// The transaction was committed: wakes those who follow.
    pub(crate) fn committed(&mut self) {
        if let Some(id) = self.written.take() {
            self.last.send_replace(id as u64);
        }
    }
}

/// The entries of a row, in order.
pub(crate) fn entries(body: &[u8]) -> Result<Vec<Entry>, Damaged> {
    let mut input = Input::new(body);
    let mut entries = Vec::new();
    while !input.is_at_end() {
        let [state] = input.array()?;
        let sequence = input.varint()?;
        entries.push(match state {
            ACCEPTED => Entry::Accepted(sequence),
            state => Entry::Delivery {
                place: Position {
                    sequence,
                    ordinal: input.varint()? as u32,
                },
                state,
            },
        });
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
        let place = Position {
            sequence: 300,
            ordinal: 70_000,
        };
        let added = [
            Entry::Accepted(u64::MAX),
            Entry::Delivery { place, state: 3 },
            Entry::Accepted(1),
        ];
        let mut feed = Feed::new(watch::Sender::new(0));
        added.into_iter().for_each(|entry| feed.add(entry));
        assert_eq!(entries(&feed.body).unwrap(), added);
        assert!(entries(&feed.body[..5]).is_err());
    }
}
