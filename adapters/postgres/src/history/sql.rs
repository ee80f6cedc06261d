//! Values as PostgreSQL takes them, and back.

use common::wire::Place;
use tokio_postgres::Row;

use crate::error::Failure;

/// A text that PostgreSQL holds: it has no U+0000, which becomes U+FFFD.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A number as an `integer`; the greatest one where it is greater.
pub(super) fn whole(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

/// The columns of places.
pub(super) fn places_of(places: &[Place]) -> (Vec<i64>, Vec<i32>) {
    places
        .iter()
        .map(|place| (place.sequence as i64, place.ordinal as i32))
        .unzip()
}

/// The place in these two columns.
pub(super) fn place_of(row: &Row, sequence: usize, ordinal: usize) -> Result<Place, Failure> {
    Ok(Place {
        sequence: row.try_get::<_, i64>(sequence)? as u64,
        ordinal: row.try_get::<_, i32>(ordinal)? as u32,
    })
}
