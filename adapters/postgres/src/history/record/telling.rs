//! Adding to the feed what a batch changes.

use common::UtcMillis;
use deadpool_postgres::Transaction;

use crate::{
    error::Failure,
    history::{
        feed::{Change, Entry, What, pack},
        lock::Lock,
        sql::{place_of, places_of},
    },
};

/// The channel of NOTIFY; its word is the feed's last row.
pub(crate) const FEED: &str = "history_feed";

/// What happened to deliveries of alerts below `alerts` and was not told yet, since the
/// alert was not recorded; it is told now.
pub(super) async fn untold(
    transaction: &Transaction<'_>,
    alerts: u64,
) -> Result<Vec<Entry>, Failure> {
    let statement = transaction
        .prepare_cached(
            "DELETE FROM history_untold WHERE sequence < $1
             RETURNING number, sequence, ordinal, at, state",
        )
        .await?;
    let rows = transaction.query(&statement, &[&(alerts as i64)]).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let number: i64 = row.try_get(0)?;
        let state: i16 = row.try_get(4)?;
        if let Some(change) = u8::try_from(state).ok().and_then(Change::of_code) {
            let entry = Entry {
                at: UtcMillis(row.try_get(3)?),
                what: What::Changed(place_of(row, 1, 2)?, change),
            };
            found.push((number, entry));
        }
    }
    found.sort_unstable_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

/// Keeps what happened to deliveries whose alert is not recorded yet.
pub(super) async fn keep_untold(
    transaction: &Transaction<'_>,
    early: &[Entry],
) -> Result<(), Failure> {
    let mut places = Vec::with_capacity(early.len());
    let mut times = Vec::with_capacity(early.len());
    let mut states = Vec::with_capacity(early.len());
    for entry in early {
        if let What::Changed(place, change) = entry.what {
            places.push(place);
            times.push(entry.at.0);
            states.push(i16::from(change as u8));
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached(
            "INSERT INTO history_untold (sequence, ordinal, at, state)
             SELECT sequence, ordinal, at, state
             FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::smallint[])
               WITH ORDINALITY AS new (sequence, ordinal, at, state, place)
             ORDER BY place",
        )
        .await?;
    let (sequences, ordinals) = places_of(&places);
    transaction
        .execute(&statement, &[&sequences, &ordinals, &times, &states])
        .await?;
    Ok(())
}

/// Adds a row to the feed and wakes who follows it, once the transaction is committed.
/// Answers the row's id; `None` where there is nothing to tell.
pub(super) async fn tell(
    transaction: &Transaction<'_>,
    lock: &Lock,
    events: &[Entry],
) -> Result<Option<u64>, Failure> {
    if events.is_empty() {
        return Ok(None);
    }
    let id = lock.feed + 1;
    let told = lock.told + events.len() as i64;
    let insert = transaction
        .prepare_cached("INSERT INTO feed (id, told, body) VALUES ($1, $2, $3)")
        .await?;
    let update = transaction
        .prepare_cached("UPDATE history_state SET feed = $1, told = $2")
        .await?;
    let notify = transaction
        .prepare_cached("SELECT pg_notify($1, $2)")
        .await?;
    transaction
        .execute(&insert, &[&id, &told, &pack(events)])
        .await?;
    transaction.execute(&update, &[&id, &told]).await?;
    transaction
        .execute(&notify, &[&FEED, &id.to_string()])
        .await?;
    Ok(Some(id as u64))
}
