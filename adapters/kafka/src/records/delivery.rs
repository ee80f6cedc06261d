//! A delivery's record.

use std::sync::Arc;

use common::{
    Alert, ChannelKind, Credential, DeliveryId, Destination, DestinationId, Gtid, Recipients,
    Secret,
    wire::{
        AlertBody, AlertRecord, Contract, DeliveryMeta, DeliveryRecord, Hidden, MAX_SERVED, Place,
        RecipientDelivery, VERSION,
    },
};
use serde_json::Map;

use super::alert::recipient;
use crate::sealer::{Field, Sealer};
use sealing::Unopened;

/// A delivery as a lane holds it.
#[derive(Clone, Debug)]
pub struct OpenDelivery {
    /// Its place in the order of acceptance.
    pub place: Place,
    /// Its alert, without the targets.
    pub alert: Arc<Alert>,
    /// Where to.
    pub destination: Arc<Destination>,
    /// With what, as of acceptance or of its replay.
    pub credential: Arc<Credential>,
    /// For whom: the first of them; none where it is somebody else's message.
    pub recipients: Recipients,
}

/// The record of one of an alert's deliveries, with its destination's id. `record` is any
/// of the alert's records, and `place.ordinal` the delivery's index in the body.
pub fn delivery_record(
    record: &AlertRecord,
    body: &AlertBody,
    delivery: &RecipientDelivery,
    place: Place,
    sealer: &Sealer,
) -> (DestinationId, DeliveryRecord) {
    let destination = delivery.destination_id();
    let id = DeliveryId::of(record.alert_id, destination, delivery.credential_id);
    let meta = DeliveryMeta {
        v: VERSION,
        sealed: None,
        place,
        alert_id: record.alert_id,
        delivery_id: id,
        gtid: record.gtid.clone(),
        severity: record.severity,
        accepted_at: record.accepted_at,
        kind: delivery.kind.clone(),
        base_url: None,
        for_warnings: delivery.for_warnings,
        credential_id: delivery.credential_id,
        users: delivery.users.iter().take(MAX_SERVED).copied().collect(),
        verbatim: body.verbatim,
        others: Map::new(),
    };
    let hidden = Plain {
        token: delivery.token.expose(),
        base_url: &delivery.base_url,
        address: &delivery.address,
        message: &body.message,
    };
    (destination, seal(meta, &hidden, sealer))
}

/// What is sealed of a delivery, as it is in the domain.
pub(super) struct Plain<'a> {
    pub(super) token: &'a str,
    pub(super) base_url: &'a str,
    pub(super) address: &'a str,
    /// The alert's text; the severity before it is added here, unless it is verbatim.
    pub(super) message: &'a str,
}

/// The record that these make, sealed as this process seals.
pub(super) fn seal(meta: DeliveryMeta, plain: &Plain<'_>, sealer: &Sealer) -> DeliveryRecord {
    let seal = |name: &str, text: &str| sealer.seal(&Field::new(meta.delivery_id, name), text);
    let contract = Contract {
        token: seal(field::TOKEN, plain.token),
        channel_id: seal(field::CHANNEL_ID, plain.address),
        message: match meta.verbatim {
            true => seal(field::MESSAGE, plain.message),
            false => seal(
                field::MESSAGE,
                &format!("[{}] {}", meta.severity, plain.message),
            ),
        },
    };
    let base_url = (!plain.base_url.is_empty()).then(|| seal(field::BASE_URL, plain.base_url));
    let meta = DeliveryMeta {
        sealed: sealer.key_id().map(str::to_owned),
        base_url,
        ..meta
    };
    DeliveryRecord { contract, meta }
}

/// What a lane needs of a record.
pub fn open_delivery(record: &DeliveryRecord, sealer: &Sealer) -> Result<OpenDelivery, Unopened> {
    let DeliveryRecord { contract, meta } = record;
    let open = |name: &str, text: &Hidden| {
        sealer.open(
            meta.sealed.as_deref(),
            &Field::new(meta.delivery_id, name),
            text,
        )
    };
    let base_url = match &meta.base_url {
        Some(text) => open(field::BASE_URL, text)?,
        None => Hidden::new(""),
    };
    let text = open(field::MESSAGE, &contract.message)?;
    let token = open(field::TOKEN, &contract.token)?;
    let address = open(field::CHANNEL_ID, &contract.channel_id)?;
    // The text says its severity to every subscriber; an alert says it by itself.
    let prefix = format!("[{}] ", meta.severity);
    let (message, verbatim) = match text.expose().strip_prefix(&prefix) {
        Some(message) if !meta.verbatim => (message, false),
        _ => (text.expose(), true),
    };
    let place = Destination::new(
        ChannelKind::new(meta.kind.as_str()),
        base_url.expose(),
        address.expose(),
    );
    let destination = match meta.for_warnings {
        true => place.for_warnings(),
        false => place,
    };
    Ok(OpenDelivery {
        place: meta.place,
        alert: Arc::new(Alert {
            id: meta.alert_id,
            caller: None,
            gtid: Gtid::parse(&meta.gtid).unwrap_or_else(Gtid::random),
            severity: meta.severity,
            message: message.into(),
            verbatim,
            targets: Box::default(),
            accepted_at: meta.accepted_at,
        }),
        destination: Arc::new(destination),
        credential: Arc::new(Credential {
            id: meta.credential_id,
            secret: Secret::new(token.expose()),
        }),
        recipients: meta.users.iter().map(recipient).collect(),
    })
}

/// The fields of a delivery that are sealed, each by itself, as their
/// [additional data](Field) name them beside the delivery's id.
pub mod field {
    /// The credential.
    pub const TOKEN: &str = "token";
    /// The place within the service.
    pub const CHANNEL_ID: &str = "channelId";
    /// The text.
    pub const MESSAGE: &str = "message";
    /// The service's URL.
    pub const BASE_URL: &str = "baseUrl";
}

#[cfg(test)]
mod tests;
