//! What earlier versions left in the clear.

use common::Secret;
use rusqlite::{Connection, Transaction, params};
use sealing::{FingerprintKey, Vault};

use super::{FINGERPRINT_KEY, place};
use crate::OpenError;

/// How many rows are in memory at a time.
const STEP: i64 = 1_000;

/// Up to how many bytes a database is rewritten at the start. That takes some ten seconds
/// and as much free disk once more; four times that would be a minute in which nobody is
/// told anything.
const SMALL: i64 = 1 << 30;

/// Seals every secret, in one transaction, and gives them fingerprints under a new key,
/// since the old one lay beside them.
pub(super) fn seal(
    connection: &mut Connection,
    vault: &Vault,
) -> Result<FingerprintKey, OpenError> {
    let fingerprints = FingerprintKey::random().map_err(OpenError::Key)?;
    // What is written over is zeroed in its page, and does not stay between the rows.
    connection.pragma_update(None, "secure_delete", true)?;
    let transaction = connection.transaction()?;
    let count = seal_rows(&transaction, vault, &fingerprints)?;
    transaction.execute("DELETE FROM meta WHERE key = 'fingerprint_key'", [])?;
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)",
        params![FINGERPRINT_KEY, fingerprints.sealed(vault)],
    )?;
    transaction.commit()?;
    connection.pragma_update(None, "secure_delete", false)?;
    if count > 0 {
        tracing::info!(count, "the tokens that were in the clear are sealed");
    }
    Ok(fingerprints)
}

fn seal_rows(
    transaction: &Transaction<'_>,
    vault: &Vault,
    fingerprints: &FingerprintKey,
) -> Result<usize, rusqlite::Error> {
    let mut read = transaction
        .prepare("SELECT id, secret FROM credential WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut write =
        transaction.prepare("UPDATE credential SET secret = ?2, fingerprint = ?3 WHERE id = ?1")?;
    let (mut after, mut count) = (0_i64, 0);
    loop {
        let rows = read.query_map([after, STEP], |row| {
            let secret = String::from_utf8_lossy(row.get_ref(1)?.as_blob()?);
            Ok((row.get::<_, i64>(0)?, Secret::new(secret)))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        let Some((last, _)) = rows.last() else {
            return Ok(count);
        };
        after = *last;
        count += rows.len();
        for (id, secret) in &rows {
            let sealed = vault.seal(&place(*id), secret.expose().as_bytes());
            write.execute(params![id, sealed, fingerprints.of_secret(secret)])?;
        }
    }
}

/// Rewrites the file where it may hold remains of what was in the clear, unless it is too
/// large for a service to wait for it. It works all the same.
pub(crate) fn scrub(connection: &Connection, even_large: bool) -> Result<(), rusqlite::Error> {
    let bytes: i64 = connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size
         WHERE EXISTS (SELECT 1 FROM meta WHERE key = 'unscrubbed')
         UNION ALL SELECT 0 LIMIT 1",
        [],
        |row| row.get(0),
    )?;
    if bytes == 0 {
        return Ok(());
    }
    let scrubbed = match even_large || bytes <= SMALL {
        true => rewrite(connection).map_err(|error| error.to_string()),
        false => Err("it is too large to be rewritten at the start".to_owned()),
    };
    if let Err(reason) = scrubbed {
        tracing::warn!(
            bytes,
            "the database file may hold remains of tokens in the clear, from before they were \
             sealed: {reason}; stop the server and run error-notifier secrets rotate --offline"
        );
    }
    Ok(())
}

/// Rewrites the file, free pages and gaps left out, and empties the write-ahead log.
fn rewrite(connection: &Connection) -> Result<(), rusqlite::Error> {
    // The copy is on disk for a moment; in it everything is sealed.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let rewritten = connection.execute_batch("VACUUM");
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    rewritten?;
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let is_busy: bool = connection.query_row(checkpoint, [], |row| row.get(0))?;
    if !is_busy {
        connection.execute("DELETE FROM meta WHERE key = 'unscrubbed'", [])?;
    }
    Ok(())
}
