//! What a person wants done, as records.

use std::collections::BTreeMap;

use common::{
    AlertId, DestinationId, Severity,
    wire::{ControlRecord, DeliveryMeta, MAX_SERVED, Place, ReplayRecord, Served, VERSION},
};
use producer::ports::ReplayRequest;
use serde_json::Map;

use super::delivery::{Plain, seal};
use crate::{sealer::Sealer, topics::partition_of};

/// The records that cancel what of an alert has not ended, each with its partition.
/// `deliveries` are those: their places in the alert and where they go.
pub fn cancel_records(
    alert_id: AlertId,
    sequence: u64,
    severity: Severity,
    deliveries: &[(u32, DestinationId)],
    partitions: u16,
) -> Vec<(i32, ControlRecord)> {
    let mut last: BTreeMap<i32, u32> = BTreeMap::new();
    for (ordinal, destination) in deliveries {
        let of_partition = last.entry(partition_of(*destination, partitions));
        let last = of_partition.or_insert(*ordinal);
        *last = (*last).max(*ordinal);
    }
    let record = |(partition, last)| {
        let cancel = ControlRecord::Cancel {
            v: VERSION,
            alert_id,
            sequence,
            severity,
            last,
        };
        (partition, cancel)
    };
    last.into_iter().map(record).collect()
}

/// The record that sends a delivery once more.
pub fn replay_record(request: &ReplayRequest, sealer: &Sealer) -> ControlRecord {
    let alert = &request.alert;
    let served = |one: &common::Recipient| Served(one.user, one.target);
    let meta = DeliveryMeta {
        v: VERSION,
        sealed: None,
        place: Place {
            sequence: request.place.sequence,
            ordinal: request.place.ordinal,
        },
        alert_id: alert.id,
        delivery_id: request.id,
        gtid: alert.gtid.to_string(),
        severity: alert.severity,
        accepted_at: alert.accepted_at,
        kind: request.destination.kind.to_string(),
        base_url: None,
        for_warnings: request.destination.id.is_for_warnings(),
        credential_id: request.credential.id,
        users: request
            .recipients
            .iter()
            .take(MAX_SERVED)
            .map(served)
            .collect(),
        verbatim: alert.verbatim,
        others: Map::new(),
    };
    let plain = Plain {
        token: request.credential.secret.expose(),
        base_url: &request.destination.base_url,
        address: &request.destination.address,
        message: &alert.message,
    };
    ControlRecord::Replay(Box::new(ReplayRecord {
        v: VERSION,
        delivery: seal(meta, &plain, sealer),
        attempts: request.attempts,
        replayed_at: request.asked_at,
        repeated: request.repeated,
    }))
}

#[cfg(test)]
mod tests;
