//! What is to be written.

use std::{sync::Arc, time::Duration};

use common::{
    UtcMillis,
    wire::{AttemptPart, OutcomePart, Place, WaitPart},
};
use consumer::domain::{Attempt, AttemptResult, Digest, DigestId, LeaseKey, Outcome, Wait};

use super::entry::{Content, Fold};

/// One record.
#[derive(Clone, Debug)]
pub enum Write {
    /// To `T.outcomes`.
    Outcome(OutcomeWrite),
    /// To `T.state`.
    Row(RowWrite),
    /// To `T.state`: the row of that place is no more.
    Tombstone(Place),
    /// To `T.dead-letters`.
    DeadLetter(DeadLetter),
}

/// What became of a delivery.
#[derive(Clone, Debug)]
pub struct OutcomeWrite {
    /// Which one.
    pub key: LeaseKey,
    /// The delivery.
    pub content: Content,
    /// The attempt that ended with it.
    pub attempt: Option<AttemptPart>,
    /// Parts of the text that the service has taken.
    pub parts_sent: u16,
    /// What follows.
    pub outcome: OutcomePart,
    /// The digest that it leads.
    pub digest: Option<Arc<Fold>>,
}

/// What a delivery must remember.
#[derive(Clone, Debug)]
pub struct RowWrite {
    /// Which one.
    pub key: LeaseKey,
    /// The delivery.
    pub content: Content,
    /// Attempts that have ended, and more if its content on disk says so.
    pub attempts: u32,
    /// Parts of the text that the service has taken, and more if its content on disk
    /// says so.
    pub parts_sent: u16,
    /// When it was replayed, if its content on disk does not say so.
    pub replayed_at: Option<UtcMillis>,
    /// Where it stands.
    pub state: RowState,
}

/// Where a delivery stands.
#[derive(Clone, Debug)]
pub enum RowState {
    /// It waits for its turn.
    Queued,
    /// It waits for another attempt.
    Waiting(Wait),
    /// Its lane fetches it when there is room.
    Parked,
    /// A digest carries it.
    Folded {
        /// Its lead.
        lead: Place,
        /// Which one.
        digest: DigestId,
    },
    /// It leads a digest.
    Leads {
        /// What is sent.
        digest: Arc<Digest>,
        /// All that it carries.
        members: Arc<[Place]>,
        /// What it waits for, if it does.
        wait: Option<Wait>,
    },
}

impl RowState {
    /// Whether the delivery is only looked up from now on, and its row is to be kept at
    /// hand on disk.
    pub fn is_kept_on_disk(&self) -> bool {
        matches!(self, RowState::Parked | RowState::Folded { .. })
    }
}

/// A delivery that is given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The delivery.
    pub content: Content,
    /// Why.
    pub reason: String,
}

pub(super) fn outcome_part(outcome: &Outcome) -> OutcomePart {
    match outcome {
        Outcome::Delivered => OutcomePart::Delivered,
        Outcome::PartSent => OutcomePart::PartSent,
        Outcome::Waiting(wait) => OutcomePart::Waiting(wait_part(wait)),
        Outcome::Dead { reason } => OutcomePart::Dead {
            reason: reason.clone(),
        },
        Outcome::Cancelled => OutcomePart::Cancelled,
        Outcome::Parked => OutcomePart::Parked,
        Outcome::Folded { .. } => OutcomePart::Folded,
        Outcome::TakenApart => OutcomePart::TakenApart,
    }
}

pub(crate) fn wait_part(wait: &Wait) -> WaitPart {
    WaitPart {
        until: wait.until,
        fault: wait.fault.as_str().into(),
        asked: wait.asked,
    }
}

pub(super) fn attempt_part(attempt: &Attempt) -> AttemptPart {
    AttemptPart {
        number: attempt.number,
        started_at: attempt.started_at,
        took_us: micros(attempt.took),
        result: match attempt.result {
            AttemptResult::Accepted => "accepted",
            AttemptResult::Refused => "refused",
            AttemptResult::MaybeAccepted => "maybe_accepted",
        }
        .into(),
        status: attempt.status,
        error: attempt.error.clone(),
        provider_id: attempt.provider_id.clone(),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
