//! Finding alerts and deliveries by the time that stands in their ids.

use common::{AlertId, DeliveryId, UtcMillis};
use consumer::domain::Position;
use rusqlite::{Connection, params};

use crate::{
    packed::unpack_deliveries,
    reader::{damaged, uuid},
    writer::blocks::BLOCK_BITS,
};

/// The blocks with an alert that may have been accepted at that time: one or two,
/// more where the clock was set back over it.
const BLOCKS_AT: &str = "SELECT block FROM alert_block
     WHERE first_at <= ?1 AND last_at >= ?1 ORDER BY block DESC";

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

/// What `pick` makes of the first alert accepted at that time that it wants.
fn at<T>(
    connection: &Connection,
    time: UtcMillis,
    pick: impl Fn(u64, AlertId, &[u8]) -> Result<Option<T>, rusqlite::Error>,
) -> Result<Option<T>, rusqlite::Error> {
    let mut blocks = connection.prepare_cached(BLOCKS_AT)?;
    let mut blocks = blocks.query([time.0])?;
    while let Some(row) = blocks.next()? {
        let block: i64 = row.get(0)?;
        let bounds = params![block << BLOCK_BITS, (block + 1) << BLOCK_BITS, time.0];
        let mut alerts = connection.prepare_cached(ALERTS_AT)?;
        let mut alerts = alerts.query(bounds)?;
        while let Some(row) = alerts.next()? {
            let id = AlertId(uuid(row, 1)?);
            let recipients = row.get_ref(2)?.as_blob()?;
            if let Some(picked) = pick(row.get::<_, i64>(0)? as u64, id, recipients)? {
                return Ok(Some(picked));
            }
        }
    }
    Ok(None)
}
