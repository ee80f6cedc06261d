//! Between the ledger's words and the records of [`common::wire`].

use std::sync::Arc;

use common::{
    AlertId, DeliveryId, UtcMillis,
    wire::{
        Contract, DeliveryMeta, DeliveryRecord, DigestPart, Hidden, MAX_SERVED, OutcomePart,
        OutcomeRecord, ReplayRecord, Served, StatePart, StateRecord, VERSION, WaitPart,
    },
};
use consumer::domain::{Digest, DigestId, Fault, Lease, Progress, Wait};

use super::{
    ledger::{
        Delivery, LoadedRow, Locked, OutcomeWrite, Replay, RowState, RowWrite, place_of,
        position_of, wait_part,
    },
    spill::Slot,
};
use crate::{
    records::{OpenDelivery, field, open_delivery},
    sealer::{Field, Sealer},
};
use sealing::Unopened;

/// The sealed text of a digest, as its additional data name it.
const DIGEST_TEXT: &str = "digest";

/// Where what is written of a delivery comes from.
pub(super) enum Source<'a> {
    /// From memory, open.
    Memory(&'a Delivery),
    /// From a row on disk, as it lies there.
    Row(Box<StateRecord>),
}

impl Source<'_> {
    fn ids(&self) -> (AlertId, DeliveryId) {
        match self {
            Source::Memory(delivery) => (delivery.lease.alert.id, delivery.id),
            Source::Row(row) => (row.delivery.meta.alert_id, row.delivery.meta.delivery_id),
        }
    }

    pub(super) fn gtid(&self) -> &str {
        match self {
            Source::Memory(delivery) => delivery.lease.alert.gtid.as_str(),
            Source::Row(row) => &row.delivery.meta.gtid,
        }
    }

    /// The delivery's record.
    pub(super) fn into_record(self, sealer: &Sealer) -> DeliveryRecord {
        match self {
            Source::Memory(delivery) => sealed(delivery, sealer),
            Source::Row(row) => row.delivery,
        }
    }
}

/// What a lane needs of a record.
pub(super) fn opened(record: &DeliveryRecord, sealer: &Sealer) -> Result<Delivery, Unopened> {
    let OpenDelivery {
        place,
        alert,
        destination,
        credential,
        recipients,
    } = open_delivery(record, sealer)?;
    Ok(Delivery {
        lease: Lease {
            position: position_of(place),
            alert,
            accepted_as: Some(record.meta.delivery_id),
            destination,
            credential,
            recipients,
            progress: Progress::default(),
            digest: None,
        },
        id: record.meta.delivery_id,
        others: record.meta.others.clone(),
    })
}

/// One that cannot be opened.
pub(super) fn locked(meta: &DeliveryMeta, reason: &Unopened) -> Locked {
    Locked {
        severity: meta.severity,
        accepted_at: meta.accepted_at,
        reason: reason.to_string().into(),
    }
}

/// The record of a delivery, sealed anew.
fn sealed(delivery: &Delivery, sealer: &Sealer) -> DeliveryRecord {
    let Lease {
        alert,
        destination,
        credential,
        recipients,
        ..
    } = &delivery.lease;
    let seal = |name: &str, text: &str| sealer.seal(&Field::new(delivery.id, name), text);
    let base_url =
        (!destination.base_url.is_empty()).then(|| seal(field::BASE_URL, &destination.base_url));
    DeliveryRecord {
        contract: Contract {
            token: seal(field::TOKEN, credential.secret.expose()),
            channel_id: seal(field::CHANNEL_ID, &destination.address),
            message: seal(field::MESSAGE, &alert.text()),
        },
        meta: DeliveryMeta {
            v: VERSION,
            sealed: sealer.key_id().map(str::to_owned),
            place: place_of(delivery.lease.key()),
            alert_id: alert.id,
            delivery_id: delivery.id,
            gtid: alert.gtid.to_string(),
            severity: alert.severity,
            accepted_at: alert.accepted_at,
            kind: destination.kind.to_string(),
            base_url,
            for_warnings: destination.id.is_for_warnings(),
            credential_id: credential.id,
            users: recipients
                .iter()
                .take(MAX_SERVED)
                .map(|recipient| Served(recipient.user, recipient.target))
                .collect(),
            verbatim: alert.verbatim,
            others: delivery.others.clone(),
        },
    }
}

pub(super) fn outcome_record(
    write: &OutcomeWrite,
    source: &Source<'_>,
    at: UtcMillis,
) -> OutcomeRecord {
    let (alert_id, delivery_id) = source.ids();
    let names_members = match write.outcome {
        OutcomePart::Folded
        | OutcomePart::Delivered
        | OutcomePart::Dead { .. }
        | OutcomePart::Cancelled => true,
        OutcomePart::PartSent
        | OutcomePart::Waiting(_)
        | OutcomePart::Parked
        | OutcomePart::TakenApart
        | OutcomePart::Replayed { .. } => false,
    };
    OutcomeRecord {
        v: VERSION,
        place: place_of(write.key),
        alert_id,
        delivery_id,
        destination_id: write.key.destination,
        severity: write.key.severity,
        at,
        parts_sent: write.parts_sent,
        attempt: write.attempt.clone(),
        outcome: write.outcome.clone(),
        digest: write.digest.as_ref().map(|fold| DigestPart {
            id: fold.digest.id.0,
            members: match names_members {
                true => fold.members.to_vec(),
                false => Vec::new(),
            },
            by_severity: fold.digest.members,
        }),
    }
}

pub(super) fn state_record(write: &RowWrite, source: Source<'_>, sealer: &Sealer) -> StateRecord {
    let (attempts, parts_sent, replayed_at) = match &source {
        Source::Memory(_) => (0, 0, None),
        Source::Row(row) => (row.attempts, row.parts_sent, row.replayed_at),
    };
    let mut delivery = source.into_record(sealer);
    let state = match &write.state {
        RowState::Queued => StatePart::Queued,
        RowState::Waiting(wait) => StatePart::Waiting(wait_part(wait)),
        RowState::Parked => StatePart::Parked,
        RowState::Folded { lead, digest } => StatePart::Folded {
            lead: *lead,
            digest_id: digest.0,
        },
        RowState::Leads {
            digest,
            members,
            wait,
        } => {
            // One key seals all of a row. What was folded was open.
            if let Ok(open) = opened(&delivery, sealer) {
                delivery = sealed(&open, sealer);
            }
            StatePart::Leads {
                digest_id: digest.id.0,
                text: sealer.seal(&text_field(&delivery), &digest.text),
                members: members.to_vec(),
                by_severity: digest.members,
                wait: wait.as_ref().map(wait_part),
            }
        }
    };
    StateRecord {
        v: VERSION,
        delivery,
        attempts: write.attempts.max(attempts),
        parts_sent: write.parts_sent.max(parts_sent),
        replayed_at: write.replayed_at.or(replayed_at),
        state,
    }
}

fn text_field(delivery: &DeliveryRecord) -> Field {
    Field::new(delivery.meta.delivery_id, DIGEST_TEXT)
}

/// A row that an earlier owner left, and lies in that slot.
pub(super) fn loaded_row(row: &StateRecord, slot: Slot, sealer: &Sealer) -> LoadedRow {
    let meta = &row.delivery.meta;
    let opened = opened(&row.delivery, sealer).and_then(|delivery| {
        let state = row_state(row, sealer)?;
        Ok((delivery, state))
    });
    let (delivery, state) = match opened {
        Ok((delivery, state)) => (Ok(delivery), state),
        Err(reason) => (Err(locked(meta, &reason)), closed_state(row)),
    };
    LoadedRow {
        place: meta.place,
        delivery,
        progress: progress(row),
        state,
        slot,
    }
}

/// What a delivery has behind it.
pub(super) fn progress(row: &StateRecord) -> Progress {
    Progress {
        attempts: row.attempts,
        parts_sent: row.parts_sent,
        wait: None,
        replayed_at: row.replayed_at,
    }
}

fn row_state(row: &StateRecord, sealer: &Sealer) -> Result<RowState, Unopened> {
    let StatePart::Leads { text, .. } = &row.state else {
        return Ok(closed_state(row));
    };
    let sealed = row.delivery.meta.sealed.as_deref();
    let text = sealer.open(sealed, &text_field(&row.delivery), text)?;
    Ok(with_text(row, &text))
}

/// A row's state, but for the text of a digest.
fn closed_state(row: &StateRecord) -> RowState {
    with_text(row, &Hidden::new(""))
}

fn with_text(row: &StateRecord, opened: &Hidden) -> RowState {
    match &row.state {
        StatePart::Queued => RowState::Queued,
        StatePart::Waiting(wait) => RowState::Waiting(wait_of(wait)),
        StatePart::Parked => RowState::Parked,
        StatePart::Folded { lead, digest_id } => RowState::Folded {
            lead: *lead,
            digest: DigestId(*digest_id),
        },
        StatePart::Leads {
            digest_id,
            members,
            by_severity,
            wait,
            ..
        } => RowState::Leads {
            digest: Arc::new(Digest {
                id: DigestId(*digest_id),
                text: opened.expose().into(),
                members: *by_severity,
            }),
            members: members.as_slice().into(),
            wait: wait.as_ref().map(wait_of),
        },
    }
}

fn wait_of(part: &WaitPart) -> Wait {
    let faults = [
        Fault::Destination,
        Fault::Payload,
        Fault::Credential,
        Fault::Host,
    ];
    let fault = faults.into_iter().find(|one| one.as_str() == part.fault);
    Wait {
        until: part.until,
        // A word of a later release, too.
        fault: fault.unwrap_or(Fault::Unclear),
        asked: part.asked,
    }
}

/// A delivery to be sent once more.
pub(super) fn replay(record: &ReplayRecord, sealer: &Sealer) -> Result<Replay, Unopened> {
    Ok(Replay {
        place: record.delivery.meta.place,
        delivery: opened(&record.delivery, sealer)?,
        attempts: record.attempts,
        replayed_at: record.replayed_at,
        repeated: record.repeated,
    })
}
