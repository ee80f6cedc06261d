//! What is to be written, and what is true once it is.

use std::{ops::Range, sync::Arc};

use common::wire::Place;
use consumer::domain::{LeaseKey, Progress, Unfolded};

use super::{
    control::{Remembered, Replay},
    entry::Fold,
    writes::Write,
};
use crate::lanes::spill::Slot;

/// Records to be written: all of `first`, and when these are acknowledged all of `then`.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be written at once.
    pub first: Vec<Write>,
    /// To be written when `first` is acknowledged, all of it.
    pub then: Vec<Write>,
    /// Folds that are not made.
    pub unfolded: Vec<Unfolded>,
    pub(super) changes: Vec<Change>,
}

/// That a record is on the log.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// Where.
    pub offset: u64,
    /// Where its row was spilled, if it [is kept on disk](super::RowState::is_kept_on_disk).
    pub slot: Option<Slot>,
}

/// What is true once some records are acknowledged.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) first: Range<usize>,
    pub(super) then: Range<usize>,
    /// Its request has ended with it.
    pub(super) request: Option<Place>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Nothing: it had ended before.
    Nothing,
    /// It has ended; the first record says so.
    Ends(LeaseKey),
    /// It had been cancelled, and now its request has ended.
    EndsLate(Place),
    /// It has progressed and has a row, which is the first record.
    Keeps { key: LeaseKey, progress: Progress },
    /// It has a row, which is the first record; it does not matter to the consumer.
    Queues(LeaseKey),
    /// It is parked; the first record is its row.
    Parks(LeaseKey),
    /// These are folded. The first records are the rows of all but the lead.
    Folds {
        lead: LeaseKey,
        others: Vec<LeaseKey>,
        fold: Arc<Fold>,
    },
    /// The digest of that lead is taken apart. The first record is the lead's row.
    TakesApart(LeaseKey),
    /// It is cancelled; the first record says so.
    Withdraws(LeaseKey),
    /// A cancellation was carried out.
    Cancels(Remembered),
    /// It is on its way again. The first record is the outcome, unless there was one.
    Replays {
        replay: Box<Replay>,
        offset: u64,
        is_told: bool,
    },
    /// A control record that changed nothing.
    PassesOver(u64),
    /// Its row is buried.
    Buries(Place),
}

impl Plan {
    /// Whether nothing is to be written and nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds a change that is true once the records are acknowledged.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        first: impl IntoIterator<Item = Write>,
        then: impl IntoIterator<Item = Write>,
    ) {
        let (from, then_from) = (self.first.len(), self.then.len());
        self.first.extend(first);
        self.then.extend(then);
        self.changes.push(Change {
            kind,
            first: from..self.first.len(),
            then: then_from..self.then.len(),
            request: None,
        });
    }
}
