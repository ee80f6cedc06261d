//! Alerts that came in chunks, until their last one has come.

use std::collections::HashMap;

use common::wire::{AlertChunk, Hidden};
use uuid::Uuid;

use super::Found;

/// How much younger a record must be than the newest chunk of an alert for the rest
/// never to come, in milliseconds: publishing takes five minutes at most.
const GIVEN_UP_AFTER: i64 = 10 * 60 * 1000;

/// Chunks whose last has not come. A producer publishes one long alert at a time, of a
/// bounded length, so this holds that much for each producer, and for each that died
/// meanwhile until it is given up.
#[derive(Debug, Default)]
pub(super) struct Assembly(HashMap<Uuid, Incomplete>);

#[derive(Debug)]
struct Incomplete {
    /// The offset of its first chunk.
    first: u64,
    /// When its newest chunk was written.
    newest: i64,
    parts: Vec<Hidden>,
}

/// What a chunk came to.
#[derive(Debug)]
pub(super) enum Added {
    /// The parts of a whole alert, and the offset of the first.
    Whole { first: u64, parts: Vec<Hidden> },
    /// Others must follow.
    Part,
    /// Those before it are not there: they stand before the beginning, so they have been
    /// worked on, or they were given up.
    Stray,
}

impl Assembly {
    /// The offset of the first chunk that is held.
    pub(super) fn first(&self) -> Option<u64> {
        self.0.values().map(|incomplete| incomplete.first).min()
    }

    /// Forgets those whose rest can no longer come, since the log has reached that time.
    pub(super) fn give_up_before(&mut self, now: i64) {
        if !self.0.is_empty() {
            self.0
                .retain(|_, incomplete| now - incomplete.newest <= GIVEN_UP_AFTER);
        }
    }

    /// Takes the next chunk of its publication in.
    pub(super) fn add(&mut self, found: Found<'_>, chunk: AlertChunk, part: Hidden) -> Added {
        let AlertChunk { set, number, of } = chunk;
        let mut incomplete = self.0.remove(&set).unwrap_or_else(|| Incomplete {
            first: found.offset,
            newest: found.written_at,
            parts: Vec::new(),
        });
        if incomplete.parts.len() as u64 + 1 != u64::from(number) || number > of {
            return Added::Stray;
        }
        incomplete.newest = found.written_at;
        incomplete.parts.push(part);
        if number == of {
            let Incomplete { first, parts, .. } = incomplete;
            return Added::Whole { first, parts };
        }
        self.0.insert(set, incomplete);
        Added::Part
    }
}
