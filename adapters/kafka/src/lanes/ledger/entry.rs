//! What is known of one delivery.

use std::sync::Arc;

use common::{DeliveryId, DestinationId, Severity, UtcMillis, wire::Place};
use consumer::domain::{Digest, Lease, LeaseKey, Progress};
use serde_json::{Map, Value};

use super::{Feed, position_of, track::Track};
use crate::lanes::spill::Slot;

/// A delivery as it was published.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What the consumer is handed; its progress and its digest stand elsewhere.
    pub lease: Lease,
    /// Its id, which it keeps whatever credential it is replayed with.
    pub id: DeliveryId,
    /// Fields of later versions, to be handed on.
    pub others: Map<String, Value>,
}

/// Where a delivery is to be had.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory, shared with what is written of it.
    Memory(Arc<Delivery>),
    /// In a row that was spilled.
    Disk(Slot),
}

/// A delivery that cannot be opened with the keys of this process; a later owner may have
/// the key.
#[derive(Clone, Debug)]
pub struct Locked {
    /// How urgent it is.
    pub severity: Severity,
    /// When its alert was accepted.
    pub accepted_at: UtcMillis,
    /// Why it cannot be opened.
    pub reason: Box<str>,
}

impl Locked {
    /// The key of one whose lane nobody knows.
    pub(super) fn key(&self, place: Place) -> LeaseKey {
        LeaseKey {
            position: position_of(place),
            destination: DestinationId(0),
            severity: self.severity,
        }
    }
}

/// One that has not ended and is not merely parked or folded.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) destination: DestinationId,
    pub(super) severity: Severity,
    /// As far as this owner knows: of a content on disk, its row may know more.
    pub(super) progress: Progress,
    pub(super) stage: Stage,
    pub(super) has_row: bool,
    /// Where it was read, if it was since the assignment.
    pub(super) feed: Option<Feed>,
    /// The offset by which it holds the checkpoint.
    pub(super) open: Option<u64>,
    /// Bytes of its message, while it is in the line because it was read.
    pub(super) weight: u32,
    /// It is in the line, and was there when the partition was assigned.
    pub(super) early: bool,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum Stage {
    /// It is to be handed over.
    Line,
    /// The consumer has it.
    Out,
    /// It leads a digest; `out` once the consumer has it.
    Leads { fold: Arc<Fold>, out: bool },
    /// It cannot be opened with the keys of this process.
    Locked(Locked),
    /// It has just been read, and its alert is cancelled.
    Doomed,
    /// It was cancelled after it was handed over: a request may be under way.
    Withdrawn,
}

/// A digest on record.
#[derive(Debug)]
pub struct Fold {
    /// What is sent.
    pub digest: Arc<Digest>,
    /// All that it carries, the lead among them.
    pub members: Arc<[Place]>,
}

impl Entry {
    pub(super) fn key(&self, place: Place) -> LeaseKey {
        LeaseKey {
            position: position_of(place),
            destination: self.destination,
            severity: self.severity,
        }
    }

    /// It holds the checkpoint no longer.
    pub(super) fn close(&mut self, tracks: &mut [Track; 2]) {
        if let (Some(feed), Some(offset)) = (self.feed, self.open.take()) {
            tracks[feed.index()].close(offset);
        }
    }

    pub(super) fn fold(&self) -> Option<&Arc<Fold>> {
        match &self.stage {
            Stage::Leads { fold, .. } => Some(fold),
            _ => None,
        }
    }

    /// What the consumer is handed. Only what is in memory is handed over this way.
    pub(super) fn lease(&self) -> Option<Lease> {
        let Content::Memory(delivery) = &self.content else {
            return None;
        };
        Some(Lease {
            progress: self.progress,
            digest: self.fold().map(|fold| Arc::clone(&fold.digest)),
            ..delivery.lease.clone()
        })
    }
}
