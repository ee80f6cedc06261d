//! What outcomes make of deliveries' rows, in memory: the rows of a batch are read,
//! changed here one outcome after the other, and written back.

use std::collections::BTreeMap;

use common::{
    UtcMillis,
    wire::{AttemptPart, DigestPart, OutcomePart, OutcomeRecord, Place},
};
use uuid::Uuid;

use crate::history::{
    feed::{Change, Entry, What},
    state::{State, result_code},
};

/// A delivery's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct Row {
    pub(in crate::history) state: State,
    pub(in crate::history) attempts: u32,
    pub(in crate::history) parts_sent: u16,
    /// The attempt of the number `attempts`.
    pub(in crate::history) last: Option<Attempt>,
    pub(in crate::history) reason: Option<String>,
    pub(in crate::history) wait_until: Option<UtcMillis>,
    pub(in crate::history) digest: Option<Uuid>,
    pub(in crate::history) replayed_at: Option<UtcMillis>,
    pub(in crate::history) repeated: bool,
    pub(in crate::history) withdrawn_at: Option<UtcMillis>,
    pub(in crate::history) claimed_at: Option<UtcMillis>,
}

/// An attempt, without its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::history) struct Attempt {
    pub(in crate::history) started_at: UtcMillis,
    pub(in crate::history) took_us: u64,
    /// As [`result_code`].
    pub(in crate::history) result: i16,
    pub(in crate::history) status: Option<u16>,
    pub(in crate::history) error: Option<String>,
    pub(in crate::history) provider_id: Option<String>,
}

impl From<&AttemptPart> for Attempt {
    fn from(part: &AttemptPart) -> Self {
        Self {
            started_at: part.started_at,
            took_us: part.took_us,
            result: result_code(&part.result),
            status: part.status,
            error: part.error.clone(),
            provider_id: part.provider_id.clone(),
        }
    }
}

impl Row {
    /// That of a delivery which has not been tried.
    pub(super) fn new() -> Self {
        Self {
            state: State::OnItsWay,
            attempts: 0,
            parts_sent: 0,
            last: None,
            reason: None,
            wait_until: None,
            digest: None,
            replayed_at: None,
            repeated: false,
            withdrawn_at: None,
            claimed_at: None,
        }
    }
}

/// An attempt that another one followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    pub(super) place: Place,
    pub(super) number: u32,
    pub(super) attempt: Attempt,
}

/// A digest that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewDigest {
    pub(super) id: Uuid,
    pub(super) lead: Place,
    pub(super) deliveries: u32,
}

/// A row as it was found and is to be.
struct Kept {
    row: Row,
    /// Whether the store has it.
    is_stored: bool,
    has_changed: bool,
}

/// The rows that a batch is about, and what comes of it.
#[derive(Default)]
pub(super) struct Ledger {
    rows: BTreeMap<Place, Kept>,
    /// To be added to the attempts.
    pub(super) followed: Vec<Followed>,
    /// To be added to the digests.
    pub(super) digests: Vec<NewDigest>,
    /// To be told, in order.
    pub(super) events: Vec<Entry>,
    /// By how much the number of open deliveries changes, by sequence number.
    pub(super) opened: BTreeMap<u64, i64>,
}

impl Ledger {
    /// The places whose rows an outcome may change.
    pub(super) fn concerned(record: &OutcomeRecord) -> impl Iterator<Item = Place> {
        let members = record.digest.iter().flat_map(|digest| &digest.members);
        std::iter::once(record.place).chain(members.copied())
    }

    /// A ledger over these rows, which the store has; of other places it has none.
    pub(super) fn of(rows: impl IntoIterator<Item = (Place, Row)>) -> Self {
        let kept = |row| Kept {
            row,
            is_stored: true,
            has_changed: false,
        };
        Self {
            rows: rows
                .into_iter()
                .map(|(place, row)| (place, kept(row)))
                .collect(),
            ..Self::default()
        }
    }

    /// The rows that the store does not have, in order.
    pub(super) fn new_rows(&self) -> impl Iterator<Item = (Place, &Row)> {
        self.changed(false)
    }

    /// The rows that the store has otherwise, in order.
    pub(super) fn changed_rows(&self) -> impl Iterator<Item = (Place, &Row)> {
        self.changed(true)
    }

    fn changed(&self, is_stored: bool) -> impl Iterator<Item = (Place, &Row)> {
        let kept = self.rows.iter();
        kept.filter(move |(_, kept)| kept.has_changed && kept.is_stored == is_stored)
            .map(|(place, kept)| (*place, &kept.row))
    }

    /// Takes an outcome in.
    ///
    /// One of a delivery that had ended before changes nothing, unless it says that it
    /// was replayed, or how the request ended that was under way when it was cancelled.
    pub(super) fn apply(&mut self, record: &OutcomeRecord) {
        match (&record.outcome, &record.digest) {
            (OutcomePart::Replayed { repeated, .. }, _) => self.replay(record, *repeated),
            (OutcomePart::Folded, Some(digest)) => self.fold(record, digest),
            (_, None) if self.has_ended(record.place) => self.end_late(record),
            (_, Some(_)) if self.has_ended(record.place) => {}
            (OutcomePart::TakenApart, Some(digest)) => self.take_apart(record, digest),
            _ => self.settle(record),
        }
    }

    fn has_ended(&self, place: Place) -> bool {
        let kept = self.rows.get(&place);
        kept.is_some_and(|kept| kept.row.state.has_ended())
    }

    /// The row of that place, to be changed.
    fn row(&mut self, place: Place) -> &mut Row {
        let kept = self.rows.entry(place).or_insert_with(|| Kept {
            row: Row::new(),
            is_stored: false,
            has_changed: true,
        });
        kept.has_changed = true;
        &mut kept.row
    }

    fn settle(&mut self, record: &OutcomeRecord) {
        let place = record.place;
        self.attempt(record);
        let row = self.row(place);
        row.parts_sent = row.parts_sent.max(record.parts_sent);
        row.claimed_at = None;
        row.wait_until = None;
        // A fold that this outcome does not know of was never made, or is over.
        row.digest = record.digest.as_ref().map(|digest| digest.id);
        let (state, change) = match &record.outcome {
            OutcomePart::Delivered => (State::Delivered, Some(Change::Delivered)),
            OutcomePart::Dead { reason } => {
                row.reason = Some(reason.clone());
                (State::Dead, Some(Change::Dead))
            }
            OutcomePart::Cancelled => {
                row.withdrawn_at = Some(record.at);
                (State::Cancelled, Some(Change::Cancelled))
            }
            OutcomePart::Waiting(wait) => {
                row.wait_until = Some(wait.until);
                (State::OnItsWay, Some(Change::Waiting))
            }
            OutcomePart::PartSent => (State::OnItsWay, None),
            OutcomePart::Parked | OutcomePart::Folded | OutcomePart::TakenApart => {
                (State::Parked, None)
            }
            OutcomePart::Replayed { .. } => return,
        };
        row.state = state;
        if let Some(change) = change {
            self.tell(place, record.at, change);
        }
        if state.has_ended() {
            self.open(place, -1);
            if let (Some(digest), Some(change)) = (&record.digest, change) {
                self.end_members(record, digest, change);
            }
        }
    }

    /// What a digest's end means for those that it carries besides its lead.
    fn end_members(&mut self, record: &OutcomeRecord, digest: &DigestPart, change: Change) {
        for place in digest.members.iter().copied() {
            // Where there is no row, the history began after the fold.
            let is_carried = self.rows.get(&place).is_none_or(|kept| {
                kept.row.digest == Some(digest.id) && !kept.row.state.has_ended()
            });
            if place == record.place || !is_carried {
                continue;
            }
            let row = self.row(place);
            row.digest = Some(digest.id);
            row.wait_until = None;
            row.claimed_at = None;
            row.state = match &record.outcome {
                OutcomePart::Dead { reason } => {
                    row.reason = Some(reason.clone());
                    State::Dead
                }
                OutcomePart::Cancelled => {
                    row.withdrawn_at = Some(record.at);
                    State::Cancelled
                }
                _ => State::Delivered,
            };
            self.tell(place, record.at, change);
            self.open(place, -1);
        }
    }

    /// How a request ended that was under way when its delivery was cancelled: the
    /// attempt, and that it is delivered where the service took all of it.
    fn end_late(&mut self, record: &OutcomeRecord) {
        let place = record.place;
        let kept = self.rows.get(&place).map(|kept| &kept.row);
        let is_late = kept
            .zip(record.attempt.as_ref())
            .is_some_and(|(row, attempt)| {
                row.state == State::Cancelled && attempt.number > row.attempts
            });
        if !is_late {
            return;
        }
        self.attempt(record);
        let row = self.row(place);
        row.parts_sent = row.parts_sent.max(record.parts_sent);
        if record.outcome == OutcomePart::Delivered {
            row.state = State::Delivered;
            self.tell(place, record.at, Change::Delivered);
        }
    }

    /// Members that have ended go their own way: somebody had cancelled them.
    fn fold(&mut self, record: &OutcomeRecord, digest: &DigestPart) {
        for place in digest.members.iter().copied() {
            let is_lead = place == record.place;
            let state = match is_lead {
                true => State::OnItsWay,
                false => State::Digested,
            };
            let is_so = self
                .rows
                .get(&place)
                .is_some_and(|kept| kept.row.digest == Some(digest.id) && kept.row.state == state);
            if is_so || self.has_ended(place) {
                continue;
            }
            let row = self.row(place);
            row.state = state;
            row.digest = Some(digest.id);
            row.wait_until = None;
            self.tell(place, record.at, Change::Digested);
        }
        let is_known = self.digests.iter().any(|known| known.id == digest.id);
        if !is_known {
            self.digests.push(NewDigest {
                id: digest.id,
                lead: record.place,
                deliveries: digest.by_severity.iter().sum(),
            });
        }
    }

    /// What a digest carried waits for its turn, its lead included.
    fn take_apart(&mut self, record: &OutcomeRecord, digest: &DigestPart) {
        self.attempt(record);
        let row = self.row(record.place);
        row.parts_sent = row.parts_sent.max(record.parts_sent);
        for place in Self::concerned(record) {
            let is_carried = self.rows.get(&place).is_some_and(|kept| {
                kept.row.digest == Some(digest.id) && !kept.row.state.has_ended()
            });
            if is_carried {
                let row = self.row(place);
                row.state = State::Parked;
                row.digest = None;
                row.wait_until = None;
            }
        }
    }

    fn replay(&mut self, record: &OutcomeRecord, repeated: bool) {
        let place = record.place;
        if !self.has_ended(place) {
            return;
        }
        let row = self.row(place);
        if !matches!(row.state, State::Dead | State::Discarded) {
            row.parts_sent = 0;
        }
        row.repeated |= repeated;
        row.replayed_at = Some(record.at);
        row.state = State::OnItsWay;
        row.digest = None;
        row.reason = None;
        row.withdrawn_at = None;
        row.claimed_at = None;
        self.tell(place, record.at, Change::QueuedAgain);
        self.open(place, 1);
    }

    /// Takes the record's attempt as the last one, unless a later one is known.
    fn attempt(&mut self, record: &OutcomeRecord) {
        let Some(attempt) = &record.attempt else {
            return;
        };
        let row = self.row(record.place);
        if attempt.number < row.attempts {
            return;
        }
        let before = row.last.replace(attempt.into());
        let number = std::mem::replace(&mut row.attempts, attempt.number);
        if let Some(before) = before.filter(|_| number < attempt.number) {
            self.followed.push(Followed {
                place: record.place,
                number,
                attempt: before,
            });
        }
    }

    fn tell(&mut self, place: Place, at: UtcMillis, change: Change) {
        let what = What::Changed(place, change);
        self.events.push(Entry { at, what });
    }

    fn open(&mut self, place: Place, count: i64) {
        *self.opened.entry(place.sequence).or_default() += count;
    }
}

#[cfg(test)]
mod tests;
