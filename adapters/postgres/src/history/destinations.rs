//! The places that deliveries go to. An alert brings its own along: it may have been
//! found in the queue, or its users be gone from the directory by now.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use common::{ChannelKind, Destination, DestinationId};
use deadpool_postgres::{Client, Transaction};

use super::record::{Prepared, new_destinations};
use crate::error::Failure;

/// How many ids are remembered as written; then they are looked up anew.
const REMEMBERED: usize = 200_000;

/// Writes places, those that it has not written before.
#[derive(Default)]
pub(super) struct Destinations {
    known: Mutex<HashSet<DestinationId>>,
}

impl Destinations {
    pub(super) async fn save(&self, client: &Client, alerts: &[Prepared]) -> Result<(), Failure> {
        let mut new = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            new_destinations(alerts, &known)
        };
        // In one order, so that two who write the same wait for each other one way.
        new.sort_unstable_by_key(|one| one.id);
        if new.is_empty() {
            return Ok(());
        }
        let statement = client
            .prepare_cached(
                "INSERT INTO destination (id, kind, base_url, address)
                 SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        let ids: Vec<i64> = new.iter().map(|one| one.id.0 as i64).collect();
        let kinds: Vec<&str> = new.iter().map(|one| &*one.kind).collect();
        let urls: Vec<&str> = new.iter().map(|one| &*one.base_url).collect();
        let addresses: Vec<&str> = new.iter().map(|one| &*one.address).collect();
        client
            .execute(&statement, &[&ids, &kinds, &urls, &addresses])
            .await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + new.len() > REMEMBERED {
            known.clear();
        }
        known.extend(new.iter().map(|one| one.id));
        Ok(())
    }
}

/// Places by their ids.
pub(super) async fn by_id(
    transaction: &Transaction<'_>,
    ids: HashSet<DestinationId>,
) -> Result<HashMap<DestinationId, Destination>, Failure> {
    let statement = transaction
        .prepare_cached("SELECT id, kind, base_url, address FROM destination WHERE id = ANY ($1)")
        .await?;
    let ids: Vec<i64> = ids.into_iter().map(|id| id.0 as i64).collect();
    let rows = transaction.query(&statement, &[&ids]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id = DestinationId(row.try_get::<_, i64>(0)? as u64);
        let place = Destination {
            id,
            kind: ChannelKind::new(row.try_get::<_, String>(1)?),
            base_url: row.try_get::<_, String>(2)?.into(),
            address: row.try_get::<_, String>(3)?.into(),
        };
        found.insert(id, place);
    }
    Ok(found)
}

/// The place of that id, which an alert brought along.
pub(super) fn one(
    found: &HashMap<DestinationId, Destination>,
    id: DestinationId,
) -> Result<Destination, Failure> {
    let missing = || Failure::Failed(format!("the row of destination {} is missing", id.0));
    found.get(&id).cloned().ok_or_else(missing)
}
