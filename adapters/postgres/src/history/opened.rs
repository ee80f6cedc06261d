//! Reading alerts.

use std::sync::Arc;

use common::{
    Alert, AlertId, ApiTokenId, Gtid, Severity, UtcMillis,
    packed::{PackedDelivery, unpack_deliveries},
};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::Failure;

/// The columns of an alert's row, all but its deliveries.
pub(super) const ALERT: &str = "alert.sequence, alert.id, alert.gtid, alert.severity,
     alert.accepted_at, alert.message, alert.verbatim, alert.targets, alert.user_count,
     alert.delivery_count, alert.caller";

/// The column after those of [`ALERT`].
pub(super) const NEXT_COLUMN: usize = 11;

/// An alert without its deliveries.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) alert: Arc<Alert>,
    pub(super) user_count: usize,
    pub(super) delivery_count: usize,
}

/// An alert with its deliveries.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) head: Head,
    pub(super) deliveries: Vec<PackedDelivery>,
}

/// The alert of these columns, which begin with [`ALERT`].
pub(super) fn head(row: &Row) -> Result<Head, Failure> {
    let gtid: &str = row.try_get(2)?;
    let targets: Vec<String> = row.try_get(7)?;
    let count = |column| Ok::<_, Failure>(row.try_get::<_, i32>(column)?.unsigned_abs() as usize);
    Ok(Head {
        sequence: row.try_get::<_, i64>(0)? as u64,
        alert: Arc::new(Alert {
            id: AlertId(row.try_get(1)?),
            caller: row.try_get::<_, Option<Uuid>>(10)?.map(ApiTokenId),
            gtid: Gtid::parse(gtid).unwrap_or_else(Gtid::random),
            severity: severity(row.try_get(3)?)?,
            accepted_at: UtcMillis(row.try_get(4)?),
            message: row.try_get::<_, String>(5)?.into(),
            verbatim: row.try_get(6)?,
            targets: targets.into_iter().map(Into::into).collect(),
        }),
        user_count: count(8)?,
        delivery_count: count(9)?,
    })
}

fn severity(code: i16) -> Result<Severity, Failure> {
    let found = u8::try_from(code).ok().and_then(Severity::from_code);
    found.ok_or_else(|| Failure::Failed(format!("{code} is no severity")))
}

/// The deliveries in that column.
pub(super) fn deliveries(row: &Row, column: usize) -> Result<Vec<PackedDelivery>, Failure> {
    let packed: &[u8] = row.try_get(column)?;
    unpack_deliveries(packed).map_err(|damaged| Failure::Failed(damaged.to_string()))
}

/// The alert of that sequence number; `None` where it is not recorded, or trimmed.
pub(super) async fn open(
    transaction: &Transaction<'_>,
    sequence: u64,
) -> Result<Option<Opened>, Failure> {
    let query = format!("SELECT {ALERT}, recipients FROM alert WHERE sequence = $1");
    let statement = transaction.prepare_cached(&query).await?;
    let row = transaction
        .query_opt(&statement, &[&(sequence as i64)])
        .await?;
    let opened = row.map(|row| {
        Ok(Opened {
            head: head(&row)?,
            deliveries: deliveries(&row, NEXT_COLUMN)?,
        })
    });
    opened.transpose()
}
