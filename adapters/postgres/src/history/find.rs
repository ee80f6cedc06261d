//! Finding alerts and deliveries by their ids.

use common::{AlertId, DeliveryId, wire::Place};
use deadpool_postgres::ClientWrapper;
use uuid::Uuid;

use super::opened::deliveries;
use crate::error::Failure;

/// What is looked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Alert(AlertId),
    Delivery(DeliveryId),
}

/// The place of what has that id; of an alert, that of its first delivery, whether it has
/// one or not.
pub(super) async fn by_id(
    client: &ClientWrapper,
    wanted: Wanted,
) -> Result<Option<Place>, Failure> {
    match wanted {
        Wanted::Alert(id) => alert(client, id).await,
        Wanted::Delivery(id) => delivery(client, id).await,
    }
}

/// Of several alerts of that id, the first.
async fn alert(client: &ClientWrapper, id: AlertId) -> Result<Option<Place>, Failure> {
    let statement = client
        .prepare_cached("SELECT min(sequence) FROM alert WHERE id = $1")
        .await?;
    let row = client.query_one(&statement, &[&id.0]).await?;
    let sequence: Option<i64> = row.try_get(0)?;
    Ok(sequence.map(|sequence| Place {
        sequence: sequence as u64,
        ordinal: 0,
    }))
}

/// A delivery's id begins with the same 48 bits as its alert's.
async fn delivery(client: &ClientWrapper, id: DeliveryId) -> Result<Option<Place>, Failure> {
    let statement = client
        .prepare_cached(
            "SELECT id, sequence, recipients FROM alert WHERE id >= $1 AND id <= $2
             ORDER BY sequence",
        )
        .await?;
    let (first, last) = with_beginning_of(id);
    let rows = client.query(&statement, &[&first, &last]).await?;
    for row in &rows {
        let alert = AlertId(row.try_get(0)?);
        let found = deliveries(row, 2)?
            .iter()
            .position(|one| DeliveryId::of(alert, one.destination, one.credential) == id);
        if let Some(ordinal) = found {
            return Ok(Some(Place {
                sequence: row.try_get::<_, i64>(1)? as u64,
                ordinal: ordinal as u32,
            }));
        }
    }
    Ok(None)
}

/// The first and the last id with the same 48 bits at the beginning.
fn with_beginning_of(id: DeliveryId) -> (Uuid, Uuid) {
    let mut first = id.0.into_bytes();
    let mut last = first;
    first[6..].fill(0);
    last[6..].fill(u8::MAX);
    (Uuid::from_bytes(first), Uuid::from_bytes(last))
}
