//! Removing what has served its time, and sealing what was written by hand, once a minute
//! and in small steps. Several processes
//! share the work; none waits for another.

use std::{sync::Arc, time::Duration};

use common::{Clock, UtcMillis};
use deadpool_postgres::Pool;
use tokio::time::MissedTickBehavior;
use tokio_postgres::types::Type;

use crate::{
    error::Failure,
    keys,
    secrets::{Secrets, seal_unsealed},
    time::system_time,
};

const EVERY: Duration = Duration::from_secs(60);

/// How many rows one statement removes.
const STEP: u64 = 1_000;

const KEYS: &str = "DELETE FROM idempotency_key WHERE (scope, key) IN (
       SELECT scope, key FROM idempotency_key WHERE created_at <= $1
       ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED)";

/// A process that was away for longer reads the directory anew. The last row stays.
const LOG: &str = "DELETE FROM directory_change WHERE sequence IN (
       SELECT sequence FROM directory_change
       WHERE at < now() - interval '1 day'
         AND sequence < (SELECT max(sequence) FROM directory_change)
       ORDER BY at LIMIT 1000 FOR UPDATE SKIP LOCKED)";

/// A dead letter is kept for 30 days, and nothing that can be sent is older.
const ARE_UNUSED: &str =
    "SELECT EXISTS (SELECT FROM credential WHERE retired_at < now() - interval '31 days')";
const ARE_UNSEALED: &str = "SELECT EXISTS (SELECT FROM credential WHERE secret IS NOT NULL)";
const UNUSED: &str = "DELETE FROM credential WHERE id IN (
       SELECT id FROM credential c WHERE retired_at < now() - interval '31 days'
         AND NOT EXISTS (SELECT FROM user_destination p WHERE p.credential_id = c.id)
       ORDER BY retired_at LIMIT 1000)";

/// Trims for ever.
pub(crate) async fn run(pool: Pool, secrets: Arc<Secrets>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(failure) = trim(&pool, &secrets, clock.now().utc).await {
            tracing::debug!("nothing was trimmed: {failure}");
        }
    }
}

/// Removes all that has served its time; says how many rows that were.
pub(crate) async fn trim(pool: &Pool, secrets: &Secrets, now: UtcMillis) -> Result<u64, Failure> {
    seal_by_hand(pool, secrets).await?;
    let forgotten = system_time(keys::forgotten(now));
    let mut rows = 0;
    loop {
        let client = pool.get().await?;
        let keys = client
            .execute_typed(KEYS, &[(&forgotten, Type::TIMESTAMPTZ)])
            .await?;
        let log = client.execute_typed(LOG, &[]).await?;
        drop(client);
        let credentials = trim_credentials(pool).await?;
        rows += keys + log + credentials;
        if keys.max(log).max(credentials) < STEP {
            return Ok(rows);
        }
    }
}

/// Seals what somebody wrote with SQL.
async fn seal_by_hand(pool: &Pool, secrets: &Secrets) -> Result<(), Failure> {
    let mut client = pool.get().await?;
    let there_are: bool = client.query_one(ARE_UNSEALED, &[]).await?.try_get(0)?;
    if !there_are {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute("SELECT directory_lock()").await?;
    seal_unsealed(&transaction, secrets).await?;
    Ok(transaction.commit().await?)
}

/// Under the directory's lock, lest one be taken back into use meanwhile.
async fn trim_credentials(pool: &Pool) -> Result<u64, Failure> {
    let mut client = pool.get().await?;
    let there_are: bool = client.query_one(ARE_UNUSED, &[]).await?.try_get(0)?;
    if !there_are {
        return Ok(0);
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute("SELECT directory_lock()").await?;
    let removed = transaction.execute_typed(UNUSED, &[]).await?;
    transaction.commit().await?;
    Ok(removed)
}
