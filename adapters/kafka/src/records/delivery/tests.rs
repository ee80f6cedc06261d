use common::{Severity, UserId, wire::Served};
use uuid::Uuid;

use super::*;
use crate::{
    records::{
        alert::{alert_records, join, open_part},
        fixtures::{alert, sealer},
    },
    settings::Format,
};

const PLACE: Place = Place {
    sequence: 7,
    ordinal: 1,
};

fn published(message: &str, sealer: &Sealer) -> (AlertRecord, AlertBody) {
    let accepted = alert(Severity::Low, message, 2);
    let record = alert_records(&accepted, sealer, 1_000_000).remove(0);
    let body = join(&[open_part(&record, sealer).unwrap()]).unwrap();
    (record, body)
}

#[test]
fn a_lane_finds_what_was_accepted() {
    for format in [Format::Sealed, Format::Plain] {
        let sealer = sealer(format);
        let (record, body) = published("node1 down", &sealer);
        let (destination, delivery) =
            delivery_record(&record, &body, &body.deliveries[1], PLACE, &sealer);
        let open = open_delivery(&delivery, &sealer).unwrap();
        assert_eq!(open.place, PLACE);
        assert_eq!(open.destination.id, destination);
        assert_eq!(*open.destination.address, *"channel-1");
        assert_eq!(open.credential.secret.expose(), "xoxb-\"1\"");
        assert_eq!(open.alert.id, record.alert_id);
        assert_eq!(*open.alert.message, *"node1 down");
        assert_eq!(open.alert.text(), "[low] node1 down");
        assert_eq!(open.recipients.len(), 1);
        assert_eq!(
            delivery.meta.delivery_id,
            DeliveryId::of(record.alert_id, destination, open.credential.id)
        );
    }
}

#[test]
fn every_subscriber_reads_the_text_as_it_is_to_be_shown() {
    let sealer = sealer(Format::Plain);
    let (record, mut body) = published("node1 down", &sealer);
    let text = |body: &AlertBody| {
        let (_, delivery) = delivery_record(&record, body, &body.deliveries[0], PLACE, &sealer);
        let open = open_delivery(&delivery, &sealer).unwrap();
        (
            delivery.contract.message.expose().to_owned(),
            open.alert.text(),
        )
    };
    let shown = "[low] node1 down".to_owned();
    assert_eq!(text(&body), (shown.clone(), shown));
    body.verbatim = true;
    assert_eq!(text(&body), ("node1 down".into(), "node1 down".into()));
    body.message = "[low] node1 down".into();
    let shown = "[low] node1 down".to_owned();
    assert_eq!(text(&body), (shown.clone(), shown));
}

#[test]
fn a_sealed_delivery_shows_neither_text_nor_token_nor_where_it_goes() {
    let sealer = sealer(Format::Sealed);
    let (record, mut body) = published("node1 down", &sealer);
    body.deliveries[0].base_url = "https://hooks.example".into();
    let (_, delivery) = delivery_record(&record, &body, &body.deliveries[0], PLACE, &sealer);
    let json = serde_json::to_string(&delivery).unwrap();
    for secret in ["node1", "xoxb", "channel-", "hooks"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
    let open = open_delivery(&delivery, &sealer).unwrap();
    assert_eq!(*open.destination.base_url, *"https://hooks.example");
}

#[test]
fn a_field_of_another_delivery_is_not_opened() {
    let sealer = sealer(Format::Sealed);
    let (record, body) = published("node1 down", &sealer);
    let of = |n: usize| delivery_record(&record, &body, &body.deliveries[n], PLACE, &sealer).1;
    let mut mixed = of(0);
    mixed.contract.token = of(1).contract.token;
    assert!(matches!(
        open_delivery(&mixed, &sealer),
        Err(Unopened::Damaged(_))
    ));
}

#[test]
fn a_delivery_names_sixty_four_of_its_users() {
    let sealer = sealer(Format::Sealed);
    let (record, mut body) = published("node1 down", &sealer);
    body.deliveries[0].users = (0..100_000)
        .map(|n| Served(UserId(Uuid::from_u128(n)), 0))
        .collect();
    let (_, delivery) = delivery_record(&record, &body, &body.deliveries[0], PLACE, &sealer);
    assert_eq!(delivery.meta.users, body.deliveries[0].users[..MAX_SERVED]);
}
