//! What happened, as records.

use std::sync::Arc;

use common::{
    AcceptedAlert, AlertId, DeliveryId, UtcMillis,
    wire::{
        AlertBody, AlertRecord, AttemptPart, DigestPart, Hidden, OutcomePart, OutcomeRecord, Place,
        RecipientDelivery, Served, VERSION, WaitPart,
    },
};
use consumer::domain::{AttemptResult, Digest, LeaseKey, Outcome, Position, Settlement};
use producer::ports::{AlertEntry, ReplayRequest};

pub(super) fn alert(sequence: u64, accepted: &AcceptedAlert) -> AlertEntry {
    let AcceptedAlert { alert, deliveries } = accepted;
    let delivery = |delivery: &common::Delivery| RecipientDelivery {
        kind: delivery.destination.kind.as_str().to_owned(),
        base_url: delivery.destination.base_url.to_string(),
        address: delivery.destination.address.to_string(),
        for_warnings: delivery.destination.id.is_for_warnings(),
        credential_id: delivery.credential.id,
        token: Hidden::new(delivery.credential.secret.expose()),
        users: delivery
            .recipients
            .iter()
            .map(|one| Served(one.user, one.target))
            .collect(),
    };
    AlertEntry {
        sequence,
        record: AlertRecord {
            v: VERSION,
            alert_id: alert.id,
            caller: alert.caller,
            gtid: alert.gtid.as_str().to_owned(),
            severity: alert.severity,
            accepted_at: alert.accepted_at,
            chunk: None,
            sealed: None,
            body: Hidden::new(""),
        },
        body: AlertBody {
            message: alert.message.to_string(),
            verbatim: alert.verbatim,
            targets: alert
                .targets
                .iter()
                .map(|target| target.to_string())
                .collect(),
            deliveries: deliveries.iter().map(delivery).collect(),
        },
    }
}

pub(super) fn outcome(
    settlement: &Settlement,
    alert_id: AlertId,
    digest: Option<&(Arc<Digest>, Box<[LeaseKey]>)>,
    at: UtcMillis,
) -> OutcomeRecord {
    let (outcome, folded) = match &settlement.outcome {
        Outcome::Delivered => (OutcomePart::Delivered, None),
        Outcome::PartSent => (OutcomePart::PartSent, None),
        Outcome::Waiting(wait) => {
            let wait = WaitPart {
                until: wait.until,
                fault: wait.fault.as_str().to_owned(),
                asked: wait.asked,
            };
            (OutcomePart::Waiting(wait), None)
        }
        Outcome::Dead { reason } => {
            let reason = reason.clone();
            (OutcomePart::Dead { reason }, None)
        }
        Outcome::Cancelled => (OutcomePart::Cancelled, None),
        Outcome::Parked => (OutcomePart::Parked, None),
        Outcome::Folded { digest, members } => (OutcomePart::Folded, Some(part(digest, members))),
        Outcome::TakenApart => (OutcomePart::TakenApart, None),
    };
    let attempt = settlement.attempt.as_ref().map(|attempt| AttemptPart {
        number: attempt.number,
        started_at: attempt.started_at,
        took_us: attempt.took.as_micros() as u64,
        result: match attempt.result {
            AttemptResult::Accepted => "accepted",
            AttemptResult::Refused => "refused",
            AttemptResult::MaybeAccepted => "maybe_accepted",
        }
        .into(),
        status: attempt.status,
        error: attempt.error.clone(),
        provider_id: attempt.provider_id.clone(),
    });
    OutcomeRecord {
        parts_sent: settlement.parts_sent,
        attempt,
        digest: folded.or_else(|| digest.map(|(digest, members)| part(digest, members))),
        ..about(settlement.lease, alert_id, at, outcome)
    }
}

pub(super) fn replayed(key: LeaseKey, alert_id: AlertId, request: &ReplayRequest) -> OutcomeRecord {
    let outcome = OutcomePart::Replayed {
        repeated: request.repeated,
        control: 0,
    };
    OutcomeRecord {
        delivery_id: request.id,
        ..about(key, alert_id, request.asked_at, outcome)
    }
}

fn about(key: LeaseKey, alert_id: AlertId, at: UtcMillis, outcome: OutcomePart) -> OutcomeRecord {
    OutcomeRecord {
        v: VERSION,
        place: place(key.position),
        alert_id,
        // Nobody but a reader of the topic asks for it.
        delivery_id: DeliveryId(alert_id.0),
        destination_id: key.destination,
        severity: key.severity,
        at,
        parts_sent: 0,
        attempt: None,
        outcome,
        digest: None,
    }
}

/// The members are named where a digest begins and where it ends; naming them in
/// between too does no harm.
fn part(digest: &Digest, members: &[LeaseKey]) -> DigestPart {
    DigestPart {
        id: digest.id.0,
        members: members.iter().map(|key| place(key.position)).collect(),
        by_severity: digest.members,
    }
}

fn place(position: Position) -> Place {
    Place {
        sequence: position.sequence,
        ordinal: position.ordinal,
    }
}
