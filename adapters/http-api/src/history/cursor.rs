//! Where the pages of the history go on, and those of destinations.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::DestinationId;
use producer::ports::DeliveryPlace;

use crate::errors::ApiError;

/// The first byte of a cursor. Another form of cursor gets another number.
const VERSION: u8 = 1;

/// Which list a cursor belongs to: its second byte.
#[derive(Clone, Copy)]
enum List {
    Alerts = b'a' as isize,
    Deliveries = b'd' as isize,
    Places = b'p' as isize,
    Destinations = b's' as isize,
    Audit = b'l' as isize,
}

/// Where the list of alerts goes on.
pub(super) fn of_alerts(sequence: u64) -> String {
    encode(List::Alerts, &sequence.to_be_bytes())
}

pub(super) fn alerts(text: Option<&str>) -> Result<Option<u64>, ApiError> {
    decode(List::Alerts, text).map(|bytes| bytes.map(u64::from_be_bytes))
}

/// Where the deliveries of an alert go on.
pub(super) fn of_deliveries(ordinal: u32) -> String {
    encode(List::Deliveries, &ordinal.to_be_bytes())
}

pub(super) fn deliveries(text: Option<&str>) -> Result<Option<u32>, ApiError> {
    decode(List::Deliveries, text).map(|bytes| bytes.map(u32::from_be_bytes))
}

/// Where dead letters, and replays, go on.
pub(super) fn of_place(place: DeliveryPlace) -> String {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&place.sequence.to_be_bytes());
    bytes[8..].copy_from_slice(&place.ordinal.to_be_bytes());
    encode(List::Places, &bytes)
}

pub(super) fn place(text: Option<&str>) -> Result<Option<DeliveryPlace>, ApiError> {
    let bytes: Option<[u8; 12]> = decode(List::Places, text)?;
    Ok(bytes.map(|bytes| {
        let mut sequence = [0; 8];
        let mut ordinal = [0; 4];
        sequence.copy_from_slice(&bytes[..8]);
        ordinal.copy_from_slice(&bytes[8..]);
        DeliveryPlace {
            sequence: u64::from_be_bytes(sequence),
            ordinal: u32::from_be_bytes(ordinal),
        }
    }))
}

/// Where the audit log goes on.
pub(crate) fn of_audit(sequence: u64) -> String {
    encode(List::Audit, &sequence.to_be_bytes())
}

pub(crate) fn audit(text: Option<&str>) -> Result<Option<u64>, ApiError> {
    decode(List::Audit, text).map(|bytes| bytes.map(u64::from_be_bytes))
}

/// Where the list of destinations goes on.
pub(crate) fn of_destination(id: DestinationId) -> String {
    encode(List::Destinations, &id.0.to_be_bytes())
}

pub(crate) fn destination(text: Option<&str>) -> Result<Option<DestinationId>, ApiError> {
    let bytes = decode(List::Destinations, text)?;
    Ok(bytes.map(|bytes| DestinationId(u64::from_be_bytes(bytes))))
}

/// For `fuzz/`: whatever is read as a cursor is written as it was.
#[cfg(feature = "fuzzing")]
pub(crate) fn reads_back(text: &str) {
    let written = [
        alerts(Some(text)).ok().flatten().map(of_alerts),
        deliveries(Some(text)).ok().flatten().map(of_deliveries),
        place(Some(text)).ok().flatten().map(of_place),
        destination(Some(text)).ok().flatten().map(of_destination),
        audit(Some(text)).ok().flatten().map(of_audit),
    ];
    let read = written.iter().flatten();
    assert!(read.clone().all(|written| written == text));
    assert!(read.count() <= 1, "it belongs to one list");
}

fn encode(list: List, place: &[u8]) -> String {
    let mut bytes = vec![VERSION, list as u8];
    bytes.extend_from_slice(place);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<const N: usize>(list: List, text: Option<&str>) -> Result<Option<[u8; N]>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    let place = bytes
        .strip_prefix(&[VERSION, list as u8])
        .and_then(|place| place.try_into().ok())
        // Stores count with signed numbers.
        .filter(|place: &[u8; N]| place[0] < 0x80);
    place.map(Some).ok_or_else(|| ApiError::Field {
        field: "cursor",
        sentence: "cursor must be the nextCursor of this list's page before.".into(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back_as_the_place_it_was_made_of(
            sequence in 0..=u64::MAX >> 1, ordinal in 0..=u32::MAX >> 1
        ) {
            let at = DeliveryPlace { sequence, ordinal };
            prop_assert_eq!(place(Some(&of_place(at))).unwrap(), Some(at));
            prop_assert_eq!(alerts(Some(&of_alerts(sequence))).unwrap(), Some(sequence));
            prop_assert_eq!(deliveries(Some(&of_deliveries(ordinal))).unwrap(), Some(ordinal));
            prop_assert!(place(Some(&of_alerts(sequence))).is_err());
            prop_assert!(alerts(Some(&of_place(at))).is_err());
            let id = DestinationId(sequence);
            prop_assert_eq!(destination(Some(&of_destination(id))).unwrap(), Some(id));
            prop_assert!(destination(Some(&of_alerts(sequence))).is_err());
        }

        #[test]
        fn no_text_makes_reading_a_cursor_panic(text in ".*") {
            let _ = alerts(Some(&text));
            let _ = place(Some(&text));
        }
    }
}
