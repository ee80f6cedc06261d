//! The audit log in its table.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use common::{Clock, UtcMillis};
use deadpool_postgres::{Client, Pool, Transaction};
use producer::{
    domain::{AuditEntry, AuditRecord},
    ports::{AuditError, AuditFilter, AuditLog},
};
use tokio::time::{Duration, timeout};
use tokio_postgres::{Error, GenericClient, Row, types::Type};
use uuid::Uuid;

use crate::{
    error::{Failure, NO_ANSWER},
    time::{millis, system_time},
};

/// How long the database may take, a free connection included.
const ANSWER: Duration = Duration::from_secs(10);

const APPEND: &str = "INSERT INTO audit (at, who, address, action, subject, detail)
     VALUES ($1, $2, $3, $4, $5, $6)";

const ENTRIES: &str = "SELECT sequence, at, who, address, action, subject, detail FROM audit
     WHERE sequence < $1 AND ($2::timestamptz IS NULL OR at >= $2)
       AND ($3::timestamptz IS NULL OR at <= $3) AND ($4::text IS NULL OR who = $4)
     ORDER BY sequence DESC LIMIT $5";

/// The audit log in PostgreSQL.
pub struct PostgresAudit {
    pool: Pool,
    clock: Arc<dyn Clock>,
}

impl PostgresAudit {
    pub(crate) fn new(pool: Pool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// A connection, and the time that is left for what is done with it.
    async fn within<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let working = async {
            let client = self.pool.get().await.map_err(Failure::from)?;
            work(&client).await.map_err(Failure::from)
        };
        let late = || Failure::Away(NO_ANSWER.into());
        timeout(ANSWER, working)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}

#[async_trait]
impl AuditLog for PostgresAudit {
    async fn append(&self, record: AuditRecord) -> Result<(), AuditError> {
        let now = self.clock.now().utc;
        let appended = self
            .within(async |client| append(&***client, &record, now).await)
            .await;
        appended.map_err(|failure| match failure {
            // One statement: it is there as a whole or not at all, and nobody knows which.
            Failure::Away(reason) => AuditError::MaybeDone(reason),
            Failure::Failed(reason) => AuditError::Failed(reason),
        })
    }

    async fn entries(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, AuditError> {
        let before = before.map_or(i64::MAX, |before| before as i64);
        let [since, until] = [filter.since, filter.until].map(|at| at.map(system_time));
        let who = filter.who.as_deref();
        let limit = limit as i64;
        let read = async |client: &Client| {
            let rows = client
                .query_typed(
                    ENTRIES,
                    &[
                        (&before, Type::INT8),
                        (&since, Type::TIMESTAMPTZ),
                        (&until, Type::TIMESTAMPTZ),
                        (&who, Type::TEXT),
                        (&limit, Type::INT8),
                    ],
                )
                .await?;
            rows.iter().map(entry).collect()
        };
        let found = self.within(read).await;
        found.map_err(|failure| match failure {
            Failure::Away(reason) => AuditError::Unavailable(reason),
            Failure::Failed(reason) => AuditError::Failed(reason),
        })
    }
}

/// Writes a line down within the transaction.
pub(crate) async fn append_within(
    transaction: &Transaction<'_>,
    record: &AuditRecord,
    now: UtcMillis,
) -> Result<(), Error> {
    append(&**transaction, record, now).await
}

async fn append(
    client: &impl GenericClient,
    record: &AuditRecord,
    now: UtcMillis,
) -> Result<(), Error> {
    let at = system_time(now);
    let who = record.by.who.to_string();
    let address = record.by.address.map(|address| address.to_string());
    let AuditRecord { deed, .. } = record;
    client
        .execute_typed(
            APPEND,
            &[
                (&at, Type::TIMESTAMPTZ),
                (&who, Type::TEXT),
                (&address, Type::TEXT),
                (&deed.action.as_str(), Type::TEXT),
                (&deed.subject, Type::UUID),
                (&&*deed.detail, Type::TEXT),
            ],
        )
        .await
        .map(drop)
}

fn entry(row: &Row) -> Result<AuditEntry, Error> {
    let text = |column| row.try_get::<_, &str>(column).map(Box::from);
    Ok(AuditEntry {
        sequence: row.try_get::<_, i64>(0)? as u64,
        at: millis(row.try_get::<_, SystemTime>(1)?),
        who: text(2)?,
        address: row.try_get::<_, Option<&str>>(3)?.map(Box::from),
        action: text(4)?,
        subject: row.try_get::<_, Option<Uuid>>(5)?,
        detail: text(6)?,
    })
}
