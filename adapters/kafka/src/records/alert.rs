//! An alert and its records in the topic of alerts.

use std::sync::Arc;

use common::{
    AcceptedAlert, Alert, ChannelKind, Credential, Delivery, Destination, Gtid, Recipient, Secret,
    wire::{AlertBody, AlertChunk, AlertRecord, Hidden, RecipientDelivery, Served, VERSION},
};
use uuid::Uuid;

use super::message::{Unreadable, read_json};
use crate::{
    sealer::{Field, Sealer},
    settings::Format,
};
use sealing::Unopened;

/// What a record has besides its body: ids, times, field names, the header.
const ENVELOPE: usize = 1024;

/// The records that publish an alert: one, or its chunks in order, each at most `room`
/// bytes long.
pub fn alert_records(accepted: &AcceptedAlert, sealer: &Sealer, room: usize) -> Vec<AlertRecord> {
    // AlertBody has nothing that JSON cannot say.
    let text = serde_json::to_string(&body(accepted)).unwrap_or_default();
    let parts = split(&text, room.saturating_sub(ENVELOPE), sealer.format());
    if let [whole] = parts[..] {
        return vec![record(&accepted.alert, None, whole, sealer)];
    }
    let set = Uuid::new_v4();
    let of = parts.len() as u32;
    let records = parts.into_iter().zip(1..).map(|(part, number)| {
        let chunk = AlertChunk { set, number, of };
        record(&accepted.alert, Some(chunk), part, sealer)
    });
    records.collect()
}

fn record(alert: &Alert, chunk: Option<AlertChunk>, part: &str, sealer: &Sealer) -> AlertRecord {
    let mut record = AlertRecord {
        v: VERSION,
        alert_id: alert.id,
        caller: alert.caller,
        gtid: alert.gtid.to_string(),
        severity: alert.severity,
        accepted_at: alert.accepted_at,
        chunk,
        sealed: sealer.key_id().map(str::to_owned),
        body: Hidden::new(String::new()),
    };
    record.body = sealer.seal(&field(&record), part);
    record
}

/// A body's additional data name its alert and, where it is a chunk, which.
fn field(record: &AlertRecord) -> Field {
    match record.chunk {
        None => Field::new(record.alert_id, "body"),
        Some(AlertChunk { set, number, of }) => {
            Field::new(record.alert_id, &format!("body/{set}/{number}/{of}"))
        }
    }
}

fn body(accepted: &AcceptedAlert) -> AlertBody {
    let AcceptedAlert { alert, deliveries } = accepted;
    let delivery = |delivery: &Delivery| RecipientDelivery {
        kind: delivery.destination.kind.to_string(),
        base_url: delivery.destination.base_url.to_string(),
        address: delivery.destination.address.to_string(),
        for_warnings: delivery.destination.id.is_for_warnings(),
        credential_id: delivery.credential.id,
        token: Hidden::new(delivery.credential.secret.expose()),
        users: delivery.recipients.iter().map(served).collect(),
    };
    AlertBody {
        message: alert.message.to_string(),
        verbatim: alert.verbatim,
        targets: alert.targets.iter().map(|text| text.to_string()).collect(),
        deliveries: deliveries.iter().map(delivery).collect(),
    }
}

fn served(recipient: &Recipient) -> Served {
    Served(recipient.user, recipient.target)
}

/// Cuts a text where its parts, as they stand in their records, take `room` bytes at most.
fn split(text: &str, room: usize, format: Format) -> Vec<&str> {
    let (room, weight): (usize, fn(char) -> usize) = match format {
        // Base64 of nonce, text and tag.
        Format::Sealed => (room / 4 * 3 - 64, char::len_utf8),
        // JSON in JSON: what is escaped once is printable, but for quotes and backslashes.
        Format::Plain => (room, |c| {
            c.len_utf8() + usize::from(matches!(c, '"' | '\\'))
        }),
    };
    // No character weighs more than twice its length.
    if text.len() * 2 <= room {
        return vec![text];
    }
    let mut parts = Vec::new();
    let (mut begin, mut taken) = (0, 0);
    for (at, c) in text.char_indices() {
        if taken + weight(c) > room && at > begin {
            parts.push(&text[begin..at]);
            (begin, taken) = (at, 0);
        }
        taken += weight(c);
    }
    parts.push(&text[begin..]);
    parts
}

/// A record's part of its alert's body.
pub fn open_part(record: &AlertRecord, sealer: &Sealer) -> Result<Hidden, Unopened> {
    sealer.open(record.sealed.as_deref(), &field(record), &record.body)
}

/// The body that the parts make, in order.
pub fn join(parts: &[Hidden]) -> Result<AlertBody, Unreadable> {
    match parts {
        [whole] => read_json(whole.expose().as_bytes()),
        parts => {
            let mut text = zeroize::Zeroizing::new(String::new());
            text.reserve_exact(parts.iter().map(|part| part.expose().len()).sum());
            for part in parts {
                text.push_str(part.expose());
            }
            read_json(text.as_bytes())
        }
    }
}

/// The alert that was accepted, from any of its records and its body.
pub fn accepted_alert(record: &AlertRecord, body: &AlertBody) -> AcceptedAlert {
    let alert = Arc::new(Alert {
        id: record.alert_id,
        caller: record.caller,
        gtid: Gtid::parse(&record.gtid).unwrap_or_else(Gtid::random),
        severity: record.severity,
        message: body.message.as_str().into(),
        verbatim: body.verbatim,
        targets: body
            .targets
            .iter()
            .map(|text| text.as_str().into())
            .collect(),
        accepted_at: record.accepted_at,
    });
    let delivery = |delivery: &RecipientDelivery| Delivery {
        destination: Arc::new(Destination {
            id: delivery.destination_id(),
            kind: ChannelKind::new(delivery.kind.as_str()),
            base_url: delivery.base_url.as_str().into(),
            address: delivery.address.as_str().into(),
        }),
        credential: Arc::new(Credential {
            id: delivery.credential_id,
            secret: Secret::new(delivery.token.expose()),
        }),
        recipients: delivery.users.iter().map(recipient).collect(),
    };
    AcceptedAlert {
        alert,
        deliveries: body.deliveries.iter().map(delivery).collect(),
    }
}

pub(super) fn recipient(Served(user, target): &Served) -> Recipient {
    Recipient {
        user: *user,
        target: *target,
    }
}

#[cfg(test)]
mod tests;
