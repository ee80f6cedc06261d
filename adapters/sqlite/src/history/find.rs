//! Finding alerts and deliveries by the time that stands in their ids.

use common::{AlertId, DeliveryId, UtcMillis};
use consumer::domain::Position;
use rusqlite::{Connection, params};

use super::blocks::{self, Wanted};
use crate::{
    packed::unpack_deliveries,
    reader::{damaged, uuid},
};

const ALERTS_AT: &str = "SELECT sequence, id, recipients FROM alert
     WHERE sequence >= ?1 AND sequence < ?2 AND accepted_at = ?3";

/// The sequence number of the alert of that id.
pub(super) fn alert(connection: &Connection, id: AlertId) -> Result<Option<u64>, rusqlite::Error> {
    at(connection, id.time(), |sequence, found, _| {
        Ok((found == id).then_some(sequence))
    })
}

/// The place of the delivery of that id.
pub(super) fn delivery(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<Position>, rusqlite::Error> {
    at(connection, id.time(), |sequence, alert, recipients| {
        let deliveries = unpack_deliveries(recipients).map_err(|error| damaged(2, error))?;
        let ordinal = deliveries
            .iter()
            .position(|one| DeliveryId::of(alert, one.destination, one.credential) == id);
        Ok(ordinal.map(|ordinal| Position {
            sequence,
            ordinal: ordinal as u32,
        }))
    })
}

/// What `pick` makes of the first alert accepted at that time that it wants. Of the
/// blocks that have a summary it looks through one or two, and more only where the
/// clock was set back over that time.
fn at<T>(
    connection: &Connection,
    time: UtcMillis,
    pick: impl Fn(u64, AlertId, &[u8]) -> Result<Option<T>, rusqlite::Error>,
) -> Result<Option<T>, rusqlite::Error> {
    let wanted = Wanted {
        since: Some(time),
        until: Some(time),
        severity: None,
    };
    let mut picked = None;
    blocks::walk(connection, wanted, i64::MAX, |first, end| {
        let mut alerts = connection.prepare_cached(ALERTS_AT)?;
        let mut alerts = alerts.query(params![first, end, time.0])?;
        while let Some(row) = alerts.next()? {
            let id = AlertId(uuid(row, 1)?);
            let recipients = row.get_ref(2)?.as_blob()?;
            picked = pick(row.get::<_, i64>(0)? as u64, id, recipients)?;
            if picked.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    Ok(picked)
}
