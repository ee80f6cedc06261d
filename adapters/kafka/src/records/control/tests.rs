use std::sync::Arc;

use common::{Credential, CredentialId, DeliveryId, Secret, UtcMillis};
use producer::ports::DeliveryPlace;

use super::*;
use crate::{
    records::{
        fixtures::{alert, sealer},
        open_delivery,
    },
    settings::Format,
};

#[test]
fn a_cancellation_goes_to_each_partition_and_names_the_last_delivery_there() {
    let id = AlertId::generate();
    let deliveries = [(0, 5), (1, 9), (2, 17), (3, 12)].map(|(n, to)| (n, DestinationId(to)));
    let records = cancel_records(id, 77, Severity::High, &deliveries, 12);
    let named: Vec<_> = records
        .iter()
        .map(|(partition, record)| match record {
            ControlRecord::Cancel {
                sequence: 77, last, ..
            } => (*partition, *last),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named, [(0, 3), (5, 2), (9, 1)]);
    assert!(cancel_records(id, 77, Severity::High, &[], 12).is_empty());
}

#[test]
fn a_replay_keeps_its_id_and_carries_the_credential_of_now() {
    for format in [Format::Sealed, Format::Plain] {
        let sealer = sealer(format);
        let accepted = alert(Severity::Normal, "node1 down", 2);
        let delivery = &accepted.deliveries[1];
        let id = delivery.id(accepted.alert.id);
        let request = ReplayRequest {
            place: DeliveryPlace {
                sequence: 7,
                ordinal: 1,
            },
            id,
            alert: accepted.alert.clone(),
            destination: (*delivery.destination).clone(),
            credential: Arc::new(Credential {
                id: CredentialId(99),
                secret: Secret::new("xoxb-now"),
            }),
            recipients: delivery.recipients.clone(),
            attempts: 3,
            asked_at: UtcMillis(5),
            repeated: true,
        };
        let ControlRecord::Replay(replay) = replay_record(&request, &sealer) else {
            panic!("a replay");
        };
        assert_eq!((replay.attempts, replay.replayed_at), (3, UtcMillis(5)));
        assert!(replay.repeated);
        assert_eq!(replay.delivery.meta.delivery_id, id);
        let open = open_delivery(&replay.delivery, &sealer).unwrap();
        assert_eq!(open.credential.secret.expose(), "xoxb-now");
        let current = DeliveryId::of(accepted.alert.id, open.destination.id, open.credential.id);
        assert_ne!(current, id);
        assert_eq!(open.alert.text(), "[normal] node1 down");
        let json = serde_json::to_string(&replay).unwrap();
        assert_eq!(json.contains("xoxb-now"), format == Format::Plain);
    }
}
