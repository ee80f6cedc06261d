//! Messages of other producers, found in the topics of deliveries: they become alerts.

use std::sync::Arc;

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Credential, CredentialId, Delivery, Destination,
    Gtid, Recipients, Secret, Severity,
};
use rdkafka::Message;

use crate::{
    records::{Foreign, Outgoing, alert_records},
    sealer::Sealer,
    topics::{Limits, Topics},
};

/// The records that publish somebody else's message as an alert with one delivery, which
/// leaves for its channel as it came. `found` is where it was found: the same message
/// becomes the same alert, whoever finds it and however often, so a second publication is a
/// repetition.
///
/// They are published in this order, the last when the others are acknowledged. The message
/// is done with when all are.
pub fn adopt(
    foreign: &Foreign,
    found: &impl Message,
    topics: &Topics,
    sealer: &Sealer,
    limits: Limits,
) -> Vec<Outgoing> {
    let place = format!("{}-{}-{}", found.topic(), found.partition(), found.offset());
    let alert = alert(foreign, &place);
    let records = alert_records(&alert, sealer, limits.record);
    records
        .iter()
        .map(|record| Outgoing::alert(topics, record))
        .collect()
}

fn alert(foreign: &Foreign, place: &str) -> AcceptedAlert {
    let contract = &foreign.contract;
    let alert = Alert {
        id: AlertId::found(foreign.written_at, place),
        caller: None,
        gtid: foreign.gtid.clone().unwrap_or_else(Gtid::random),
        // Its producer's consumers know no other; the text says what it is.
        severity: Severity::Normal,
        message: contract.message.expose().into(),
        verbatim: true,
        targets: Box::default(),
        accepted_at: foreign.written_at,
    };
    let delivery = Delivery {
        destination: Arc::new(Destination::new(
            ChannelKind::SLACK,
            "",
            contract.channel_id.expose(),
        )),
        credential: Arc::new(Credential {
            id: CredentialId(0),
            secret: Secret::new(contract.token.expose()),
        }),
        recipients: Recipients::new(),
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        deliveries: vec![delivery],
    }
}

#[cfg(test)]
mod tests {
    use common::{UtcMillis, wire::AlertRecord};
    use rdkafka::{Timestamp, message::OwnedMessage};

    use super::*;
    use crate::{
        records::{self, accepted_alert, fixtures::sealer, join, open_part, read_message},
        settings::{Format, Settings},
    };

    const LIMITS: Limits = Limits {
        record: 1_000_000,
        in_sync: 1,
    };

    fn found(offset: i64, message: &str) -> OwnedMessage {
        let json = serde_json::json!({"token": "t", "channelId": "c", "message": message});
        OwnedMessage::new(
            Some(json.to_string().into_bytes()),
            None,
            "error-noti-topic".into(),
            Timestamp::CreateTime(1_795_392_000_000),
            4,
            offset,
            None,
        )
    }

    fn adopted(message: &OwnedMessage, format: Format) -> AcceptedAlert {
        let Ok(records::Message::Foreign(foreign)) = read_message(message) else {
            panic!("not read as somebody else's");
        };
        let (topics, sealer) = (Topics::new(&Settings::default()), sealer(format));
        let published = adopt(&foreign, message, &topics, &sealer, LIMITS);
        let records: Vec<AlertRecord> = published
            .iter()
            .inspect(|one| assert_eq!((&one.topic, one.partition), (&topics.alerts, 0)))
            .map(|one| serde_json::from_slice(one.payload.as_deref().unwrap()).unwrap())
            .collect();
        let parts: Vec<_> = records
            .iter()
            .map(|record| open_part(record, &sealer).unwrap())
            .collect();
        accepted_alert(&records[0], &join(&parts).unwrap())
    }

    #[test]
    fn it_leaves_as_it_came() {
        for format in [Format::Sealed, Format::Plain] {
            let AcceptedAlert { alert, deliveries } =
                adopted(&found(7, "[high] node1 down"), format);
            assert_eq!(alert.text(), "[high] node1 down");
            assert_eq!(alert.severity, Severity::Normal);
            assert_eq!(alert.accepted_at, UtcMillis(1_795_392_000_000));
            assert_eq!(deliveries.len(), 1);
            assert_eq!(*deliveries[0].destination.address, *"c");
            assert_eq!(deliveries[0].credential.secret.expose(), "t");
        }
    }

    #[test]
    fn the_same_message_is_the_same_alert_and_another_one_another() {
        let id = |offset| adopted(&found(offset, "m"), Format::Sealed).alert.id;
        assert_eq!(id(7), id(7));
        assert_ne!(id(7), id(8));
    }

    #[test]
    fn the_longest_message_that_is_read_can_be_adopted_in_either_format() {
        let message = "\"".repeat(250_000);
        for format in [Format::Sealed, Format::Plain] {
            let adopted = adopted(&found(7, &message), format);
            assert_eq!(*adopted.alert.message, *message);
        }
    }
}
