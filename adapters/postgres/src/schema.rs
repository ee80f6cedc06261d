//! The schema and its migrations (`migrations/`).

use tokio_postgres::Client;

use crate::error::{ConnectError, describe};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Waits for whoever migrates already: 'errn' in ASCII, and the second of our locks; the
/// first is the directory's.
const LOCK: &str = "SET lock_timeout = '60s'; SET statement_timeout = 0;
     SELECT pg_advisory_lock(1701999214, 2)";

const UNLOCK: &str = "SELECT pg_advisory_unlock(1701999214, 2);
     RESET lock_timeout; RESET statement_timeout";

/// The last migration that was made; none where there is no table of them.
const FOUND: &str = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
const LAST: &str = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";

/// Tables that the first migration makes. Where they are and its history is not, they are
/// another program's.
const FOREIGN: &str = "SELECT coalesce(string_agg(relname, ', ' ORDER BY relname), '')
     FROM pg_class
     WHERE relnamespace = quote_ident(current_schema())::regnamespace
       AND relname IN ('users', 'noti_group', 'noti_group_user', 'destination', 'credential')";

/// Brings the schema up to date. Of many who call it at once, one does it and the others
/// wait. Nothing is changed where it fails, but for whole migrations before the failed one.
pub(crate) async fn migrate(client: &mut Client, place: &str) -> Result<(), ConnectError> {
    let failed = |reason: String| ConnectError::Schema {
        place: place.to_owned(),
        reason,
    };
    let encoding = text(client, "SHOW server_encoding").await;
    let encoding = encoding.map_err(|error| failed(describe(&error)))?;
    if encoding != "UTF8" {
        let reason = "make one WITH ENCODING 'UTF8'; this one cannot hold every name";
        return Err(failed(format!("its encoding is {encoding}: {reason}")));
    }
    let locked = client.batch_execute(LOCK).await;
    locked.map_err(|error| failed(describe(&error)))?;
    let migrated = migrate_locked(client, place).await;
    // The lock goes with the connection, should this fail.
    let unlocked = client.batch_execute(UNLOCK).await;
    migrated?;
    unlocked.map_err(|error| failed(describe(&error)))
}

async fn migrate_locked(client: &mut Client, place: &str) -> Result<(), ConnectError> {
    let failed = |reason: String| ConnectError::Schema {
        place: place.to_owned(),
        reason,
    };
    let migrations = embedded::migrations::runner();
    let versions = migrations.get_migrations().iter();
    let known = versions.map(|migration| migration.version()).max();
    let known = known.unwrap_or_default();
    let found = version(client).await;
    match found.map_err(|error| failed(describe(&error)))? {
        Some(found) if found > known => Err(ConnectError::Newer {
            place: place.to_owned(),
            found,
            known,
        }),
        // Whoever only uses the tables need not be allowed to make any.
        Some(found) if found == known => Ok(()),
        Some(_) => run(client).await.map_err(failed),
        None => {
            let foreign = text(client, FOREIGN).await;
            match foreign.map_err(|error| failed(describe(&error)))?.as_str() {
                "" => run(client).await.map_err(failed),
                tables => Err(failed(format!(
                    "it holds tables of another program ({tables}); use a database of its own"
                ))),
            }
        }
    }
}

async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let there: bool = client.query_one(FOUND, &[]).await?.get(0);
    if !there {
        return Ok(None);
    }
    Ok(Some(client.query_one(LAST, &[]).await?.get(0)))
}

async fn text(client: &Client, query: &str) -> Result<String, tokio_postgres::Error> {
    Ok(client.query_one(query, &[]).await?.get(0))
}

async fn run(client: &mut Client) -> Result<(), String> {
    let run = embedded::migrations::runner().run_async(client).await;
    let report = run.map_err(|error| whole(&error))?;
    for migration in report.applied_migrations() {
        tracing::info!(migration = %migration, "schema migrated");
    }
    Ok(())
}

/// An error with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = match cause.downcast_ref() {
            Some(database) => describe(database),
            None => cause.to_string(),
        };
        text = format!("{text}: {cause_text}");
        source = cause.source();
    }
    text
}
