//! The topic of alerts as everybody reads it: chunks assembled, repetitions passed over.
//! Without I/O, since what counts follows from the log alone, whoever reads it and
//! wherever they begin.

mod assembly;
mod seen;

use common::{
    AlertId,
    wire::{AlertBody, AlertChunk, AlertRecord},
};
use serde::Deserialize;

use crate::{
    records::{Unreadable, join, open_part, read_versioned},
    sealer::Sealer,
};
use assembly::{Added, Assembly};
use sealing::Unopened;
use seen::Seen;

pub use seen::WINDOW;

/// A reader of the topic of alerts.
pub struct AlertLog {
    from: u64,
    /// `None` where repetitions are for others to find.
    seen: Option<Seen>,
    assembly: Assembly,
}

/// A record as it was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its offset.
    pub offset: u64,
    /// The broker's time, in milliseconds.
    pub written_at: i64,
    /// Its value.
    pub payload: Option<&'a [u8]>,
}

/// What a record came to.
#[derive(Debug)]
pub enum Read {
    /// An alert, whole and for the first time (or, to a reader
    /// [of everything](AlertLog::of_everything), again).
    Alert(Box<WholeAlert>),
    /// Nothing: a chunk that others follow, a repetition, or what began before the
    /// beginning.
    Nothing,
    /// No alert of a known version.
    Unreadable(Unreadable),
    /// It cannot be opened here. The reader is as it was before: the record can be
    /// read again.
    Unopened(Unopened),
}

/// An alert that was accepted.
#[derive(Debug)]
pub struct WholeAlert {
    /// Its place in the order of acceptance: the offset of its (last) record.
    pub sequence: u64,
    /// The offset of its first record: the same, but where it came in chunks.
    pub first: u64,
    /// Its (last) record.
    pub record: AlertRecord,
    /// What it says.
    pub body: AlertBody,
}

impl AlertLog {
    /// A reader that begins its work at offset `from`. It wants to be given all records
    /// from [`first`](Self::first) on, in order.
    pub fn from(from: u64) -> Self {
        Self {
            from,
            seen: Some(Seen::default()),
            assembly: Assembly::default(),
        }
    }

    /// A reader that tells of every alert it is given, repetitions too: for who finds those
    /// by other means and so needs nothing from before.
    pub fn of_everything() -> Self {
        Self {
            from: 0,
            seen: None,
            assembly: Assembly::default(),
        }
    }

    /// The first record that it must be given to know what is a repetition.
    pub fn first(&self) -> u64 {
        self.from.saturating_sub(WINDOW)
    }

    /// The first record that it still needs, where `next` is the next one to read: those
    /// before it can be forgotten once the alerts that were read have been worked on.
    pub fn needs(&self, next: u64) -> u64 {
        self.assembly.first().map_or(next, |first| first.min(next))
    }

    /// Takes the next record in.
    pub fn read(&mut self, found: Found<'_>, sealer: &Sealer) -> Read {
        let Some(payload) = found.payload else {
            return Read::Unreadable(Unreadable::Empty);
        };
        if found.offset < self.from {
            self.remember(found.offset, payload);
            return Read::Nothing;
        }
        self.assembly.give_up_before(found.written_at);
        let record: AlertRecord = match read_versioned(payload) {
            Ok(record) => record,
            Err(error) => return Read::Unreadable(error),
        };
        let part = match open_part(&record, sealer) {
            Ok(part) => part,
            Err(error) => return Read::Unopened(error),
        };
        let (first, parts) = match record.chunk {
            None => (found.offset, vec![part]),
            Some(chunk) => match self.assembly.add(found, chunk, part) {
                Added::Whole { first, parts } => (first, parts),
                Added::Part => return Read::Nothing,
                Added::Stray => {
                    self.remember(found.offset, payload);
                    return Read::Nothing;
                }
            },
        };
        if self.is_repetition(record.alert_id, found.offset) {
            return Read::Nothing;
        }
        match join(&parts) {
            Ok(body) => Read::Alert(Box::new(WholeAlert {
                sequence: found.offset,
                first,
                record,
                body,
            })),
            Err(error) => Read::Unreadable(error),
        }
    }

    /// Notes whose alert ends here, where one does. The last chunk stands for the whole:
    /// it is published when the others are acknowledged.
    fn remember(&mut self, offset: u64, payload: &[u8]) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            alert_id: AlertId,
            #[serde(default)]
            chunk: Option<AlertChunk>,
        }
        let Ok(head) = serde_json::from_slice::<Head>(payload) else {
            return;
        };
        if head.chunk.is_none_or(|chunk| chunk.number == chunk.of) {
            self.is_repetition(head.alert_id, offset);
        }
    }

    fn is_repetition(&mut self, id: AlertId, offset: u64) -> bool {
        let seen = self.seen.as_mut();
        seen.is_some_and(|seen| seen.is_repetition(id, offset))
    }
}

#[cfg(test)]
mod tests;
