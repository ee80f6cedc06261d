//! Writing accepted alerts.

use std::time::Duration;

use common::{AcceptedAlert, UtcMillis};
use producer::ports::{AcceptError, Acceptance, IdempotencyKey};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Written, blocks::Blocks};
use crate::packed::{pack_deliveries, pack_targets};

/// How long an idempotency key is remembered.
pub(super) const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// An alert as it will be stored. Packed by whoever accepts it, since the writer
/// works for everybody.
pub(crate) struct Prepared {
    pub(crate) accepted: AcceptedAlert,
    targets: Vec<u8>,
    recipients: Vec<u8>,
}

impl Prepared {
    /// Whether it tells the operators that telling failed.
    pub(crate) fn is_warning(&self) -> bool {
        let first = self.accepted.deliveries.first();
        first.is_some_and(|delivery| delivery.destination.id.is_for_warnings())
    }

    /// About how many bytes its row takes.
    pub(crate) fn size(&self) -> usize {
        self.targets.len() + self.recipients.len() + self.accepted.alert.message.len() + 100
    }
}

impl From<AcceptedAlert> for Prepared {
    fn from(accepted: AcceptedAlert) -> Self {
        Self {
            targets: pack_targets(&accepted.alert.targets),
            recipients: pack_deliveries(&accepted.deliveries),
            accepted,
        }
    }
}

/// Gives out sequence numbers, those of a rolled back transaction again.
pub(super) struct Acceptor {
    committed: u64,
    last: u64,
    blocks: Blocks,
}

impl Acceptor {
    pub(super) fn new(connection: &Connection) -> Result<Self, rusqlite::Error> {
        let query = "SELECT coalesce(max(sequence), 0) FROM alert";
        let last = connection.query_row(query, [], |row| row.get::<_, i64>(0))? as u64;
        Ok(Self {
            committed: last,
            last,
            blocks: Blocks::read(connection, last)?,
        })
    }

    pub(super) fn begin(&mut self) {
        self.last = self.committed;
        self.blocks.begin();
    }

    /// The transaction ends.
    pub(super) fn end(&self, transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
        self.blocks.write(transaction)
    }

    pub(super) fn committed(&mut self) {
        self.committed = self.last;
        self.blocks.committed();
    }

    /// The sequence number of the last alert accepted, within the transaction.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn accept(
        &mut self,
        transaction: &Transaction<'_>,
        alert: &Prepared,
        key: Option<&IdempotencyKey>,
        now: UtcMillis,
    ) -> Result<Written, rusqlite::Error> {
        if let Some(key) = key {
            if let Some(earlier) = earlier_answer(transaction, key, now)? {
                return Ok(Written::NotAccepted(earlier));
            }
            remember(transaction, key, now)?;
        }
        let sequence = self.last + 1;
        insert(transaction, alert, sequence)?;
        self.last = sequence;
        let alert = &alert.accepted.alert;
        self.blocks.add(sequence, alert.severity, alert.accepted_at);
        Ok(Written::Accepted { sequence })
    }
}

fn insert(
    transaction: &Transaction<'_>,
    prepared: &Prepared,
    sequence: u64,
) -> Result<(), rusqlite::Error> {
    let AcceptedAlert { alert, deliveries } = &prepared.accepted;
    transaction
        .prepare_cached(
            "INSERT INTO alert
             (sequence, id, gtid, severity, accepted_at, message, targets, recipients, caller)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            sequence as i64,
            alert.id.0.as_bytes(),
            alert.gtid.as_str(),
            alert.severity.code(),
            alert.accepted_at.0,
            &*alert.message,
            prepared.targets,
            prepared.recipients,
            alert.caller.map(|token| token.to_string()),
        ])?;
    if deliveries.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached("INSERT INTO open_alert (severity, sequence, open) VALUES (?1, ?2, ?3)")?
        .execute(params![
            alert.severity.code(),
            sequence as i64,
            deliveries.len() as i64
        ])?;
    Ok(())
}

fn earlier_answer(
    transaction: &Transaction<'_>,
    key: &IdempotencyKey,
    now: UtcMillis,
) -> Result<Option<Result<Acceptance, AcceptError>>, rusqlite::Error> {
    let found = transaction
        .prepare_cached(
            "SELECT fingerprint, answer, created_at FROM idempotency_key WHERE scope = ?1 AND key = ?2",
        )?
        .query_row(params![key.scope, key.key], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?, UtcMillis(row.get(2)?)))
        })
        .optional()?;
    Ok(found
        .filter(|(.., created)| now.since(*created) < KEY_LIFETIME)
        .map(
            |(fingerprint, answer, _)| match fingerprint == key.fingerprint {
                true => Ok(Acceptance::Replayed { answer }),
                false => Err(AcceptError::KeyConflict),
            },
        ))
}

fn remember(
    transaction: &Transaction<'_>,
    key: &IdempotencyKey,
    now: UtcMillis,
) -> Result<(), rusqlite::Error> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency_key (scope, key, fingerprint, answer, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            key.scope,
            key.key,
            key.fingerprint,
            key.answer,
            now.0
        ])?;
    Ok(())
}
