use common::Severity;

use super::*;
use crate::records::fixtures::{alert, sealer};

const FORMATS: [Format; 2] = [Format::Sealed, Format::Plain];

fn same(one: &AcceptedAlert, other: &AcceptedAlert) {
    assert_eq!(one.alert.id, other.alert.id);
    assert_eq!(one.alert.gtid, other.alert.gtid);
    assert_eq!(one.alert.severity, other.alert.severity);
    assert_eq!(one.alert.message, other.alert.message);
    assert_eq!(one.alert.verbatim, other.alert.verbatim);
    assert_eq!(one.alert.targets, other.alert.targets);
    assert_eq!(one.alert.accepted_at, other.alert.accepted_at);
    assert_eq!(one.deliveries.len(), other.deliveries.len());
    for (one, other) in one.deliveries.iter().zip(&other.deliveries) {
        assert_eq!(one.destination, other.destination);
        assert_eq!(one.credential.id, other.credential.id);
        assert_eq!(
            one.credential.secret.expose(),
            other.credential.secret.expose()
        );
        assert_eq!(one.recipients, other.recipients);
    }
}

fn read_back(records: &[AlertRecord], sealer: &Sealer) -> AcceptedAlert {
    let parts: Vec<Hidden> = records
        .iter()
        .map(|record| open_part(record, sealer).unwrap())
        .collect();
    accepted_alert(&records[0], &join(&parts).unwrap())
}

#[test]
fn an_alert_is_read_as_it_was_written_in_either_format() {
    for format in FORMATS {
        let sealer = sealer(format);
        let accepted = alert(Severity::High, "node1 \"down\"\n장애 \u{1}", 3);
        let records = alert_records(&accepted, &sealer, 1_000_000);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].chunk, None);
        same(&read_back(&records, &sealer), &accepted);
    }
}

#[test]
fn a_sealed_alert_shows_neither_text_nor_token_nor_address() {
    let accepted = alert(Severity::High, "node1 down", 2);
    let records = alert_records(&accepted, &sealer(Format::Sealed), 1_000_000);
    let json = serde_json::to_string(&records[0]).unwrap();
    for secret in ["node1", "xoxb", "channel-", "@@ops"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
}

#[test]
fn a_long_alert_is_cut_into_chunks_that_fit_and_make_it_again() {
    for format in FORMATS {
        let sealer = sealer(format);
        let accepted = alert(Severity::Normal, &"장애 \"\\\u{1}".repeat(500), 200);
        for room in [2_000, 5_000, 16_384] {
            let records = alert_records(&accepted, &sealer, room);
            assert!(records.len() > 1);
            for (record, number) in records.iter().zip(1..) {
                let chunk = record.chunk.unwrap();
                assert_eq!((chunk.number, chunk.of), (number, records.len() as u32));
                assert_eq!(chunk.set, records[0].chunk.unwrap().set);
                assert!(serde_json::to_vec(record).unwrap().len() <= room);
            }
            same(&read_back(&records, &sealer), &accepted);
        }
    }
}

#[test]
fn two_publications_of_an_alert_have_chunks_of_their_own() {
    let sealer = sealer(Format::Sealed);
    let accepted = alert(Severity::Normal, "node1 down", 200);
    let one = alert_records(&accepted, &sealer, 16_384);
    let other = alert_records(&accepted, &sealer, 16_384);
    assert_ne!(one[0].chunk.unwrap().set, other[0].chunk.unwrap().set);
    let mut mixed = one[0].clone();
    mixed.body = other[0].body.clone();
    assert!(open_part(&mixed, &sealer).is_err(), "chunks can be mixed");
}

#[test]
fn a_verbatim_alert_stays_one() {
    let sealer = sealer(Format::Sealed);
    let mut accepted = alert(Severity::Normal, "[low] as it came", 1);
    Arc::make_mut(&mut accepted.alert).verbatim = true;
    let records = alert_records(&accepted, &sealer, 1_000_000);
    same(&read_back(&records, &sealer), &accepted);
}
