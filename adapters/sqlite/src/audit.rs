//! The audit log in its table.

use std::sync::Arc;

use async_trait::async_trait;
use common::UtcMillis;
use producer::{
    domain::{AuditEntry, AuditRecord},
    ports::{AuditError, AuditFilter, AuditLog},
};
use rusqlite::{Connection, Row, Transaction, params};

use crate::{
    history::SqliteHistory,
    reader::uuid,
    writer::{Command, Commands},
};

/// The audit log in SQLite.
pub struct SqliteAudit {
    history: Arc<SqliteHistory>,
    commands: Commands,
}

impl SqliteAudit {
    pub(crate) fn new(history: Arc<SqliteHistory>, commands: Commands) -> Self {
        Self { history, commands }
    }
}

#[async_trait]
impl AuditLog for SqliteAudit {
    async fn append(&self, record: AuditRecord) -> Result<(), AuditError> {
        let ended = || AuditError::Failed("the store is closed".into());
        let answer = self.commands.send(|reply| Command::Audit { record, reply });
        answer.ok_or_else(ended)?.await.map_err(|_| ended())?
    }

    async fn entries(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        let read = self
            .history
            .read(move |view| entries(view.connection, &filter, before, limit));
        read.await
            .map_err(|error| AuditError::Failed(error.to_string()))
    }
}

/// Writes a line down.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    record: &AuditRecord,
    now: UtcMillis,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT INTO audit (at, who, address, action, subject, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            now.0,
            record.by.who.to_string(),
            record.by.address.map(|address| address.to_string()),
            record.deed.action.as_str(),
            record.deed.subject.as_ref().map(|id| id.as_bytes()),
            &*record.deed.detail,
        ])
        .map(drop)
}

fn entries(
    connection: &Connection,
    filter: &AuditFilter,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<AuditEntry>, rusqlite::Error> {
    let mut statement = connection.prepare(
        "SELECT sequence, at, who, address, action, subject, detail FROM audit
         WHERE sequence < ?1 AND at BETWEEN ?2 AND ?3 AND (?4 IS NULL OR who = ?4)
         ORDER BY sequence DESC LIMIT ?5",
    )?;
    let rows = statement.query_map(
        params![
            before.map_or(i64::MAX, |before| before as i64),
            filter.since.map_or(i64::MIN, |since| since.0),
            filter.until.map_or(i64::MAX, |until| until.0),
            filter.who.as_deref(),
            limit as i64,
        ],
        entry,
    )?;
    rows.collect()
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, rusqlite::Error> {
    let subject = match row.get_ref(5)?.as_blob_or_null()? {
        Some(_) => Some(uuid(row, 5)?),
        None => None,
    };
    Ok(AuditEntry {
        sequence: row.get::<_, i64>(0)? as u64,
        at: UtcMillis(row.get(1)?),
        who: row.get(2)?,
        address: row.get(3)?,
        action: row.get(4)?,
        subject,
        detail: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use producer::domain::{Action, Caller, Deed};

    use super::*;
    use crate::{Synchronous, schema};

    #[test]
    fn a_line_can_be_neither_changed_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let mut connection = schema::open(&path, Synchronous::Off).unwrap();
        schema::migrate(&mut connection).unwrap();
        let record = AuditRecord {
            by: Caller::LOCAL,
            deed: Deed::new(Action::UserCreated, None, "ann".into()),
        };
        let transaction = connection.transaction().unwrap();
        append(&transaction, &record, UtcMillis(7)).unwrap();
        transaction.commit().unwrap();
        for statement in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
            let refusal = connection.execute(statement, []).unwrap_err();
            assert!(refusal.to_string().contains("audit log"), "{refusal}");
        }
        let kept = entries(&connection, &AuditFilter::default(), None, 10).unwrap();
        assert_eq!(&*kept[0].who, "local");
    }
}
