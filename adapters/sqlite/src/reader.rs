//! Reading the queue from disk: what earlier runs left, what did not fit into
//! memory, what lanes have parked.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid,
    Secret, Severity, UtcMillis,
};
use consumer::{
    domain::{Digest, DigestId, Fault, Lease, Position, Progress, Wait},
    ports::ParkedLane,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{
    handoff::{Handoff, Opened, ReadFrom, ReadTo, Room},
    packed::{PackedDelivery, unpack_deliveries, unpack_targets},
    schema,
};

/// The most alerts opened by one read, so that no read holds the connection long.
const ALERTS_A_READ: usize = 1_000;

/// The first alert of a severity after one sequence number and up to another.
const NEXT_OPEN: &str = "SELECT sequence FROM open_alert
     WHERE severity = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT 1";

/// The deliveries that wait for another attempt.
const WAITING: &str = "SELECT sequence, ordinal FROM delivery WHERE state = 1
     ORDER BY severity DESC, sequence, ordinal";

/// How many deliveries each lane has parked.
const PARKED: &str = "SELECT destination_id, severity, count(*) FROM delivery
     WHERE state = 2 GROUP BY destination_id, severity";

/// A lane's parked deliveries of one severity that follow a position.
const UNPARK: &str = "SELECT sequence, ordinal FROM delivery
     WHERE state = 2 AND destination_id = ?1 AND severity = ?2
       AND (sequence, ordinal) > (?3, ?4)
     ORDER BY sequence, ordinal LIMIT ?5";

/// All of an alert; [`opened`] reads it. Its sequence number comes last.
pub(crate) const ALERT: &str =
    "SELECT id, gtid, severity, accepted_at, message, targets, recipients, sequence FROM alert";

/// Which deliveries of an alert have rows, from one ordinal on.
const KNOWN: &str = "SELECT ordinal FROM delivery
     WHERE sequence = ?1 AND ordinal >= ?2 ORDER BY ordinal";

/// The connection that reads beside the writer.
pub(crate) struct Reader {
    connection: Mutex<Connection>,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            connection: Mutex::new(schema::open_reader(path)?),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What earlier runs left, as the beginning of a handoff with that room.
    pub(crate) fn backlog(&self, room: Room) -> Result<Handoff, rusqlite::Error> {
        let connection = self.lock();
        let waiting = waiting(&connection)?;
        let mut last_on_disk = [None; 3];
        for (line, severity) in last_on_disk.iter_mut().zip(Severity::BY_URGENCY) {
            *line = connection.query_row(
                "SELECT max(sequence) FROM open_alert WHERE severity = ?1",
                [severity.code()],
                |row| Ok(row.get::<_, Option<i64>>(0)?.map(|last| last as u64)),
            )?;
        }
        if last_on_disk.iter().any(Option::is_some) {
            tracing::info!(
                waiting = waiting.len(),
                "deliveries of an earlier run are taken up again"
            );
        }
        Ok(Handoff::new(waiting, last_on_disk, room))
    }

    /// Reads on where a line that is behind stopped.
    pub(crate) fn read(&self, from: ReadFrom) -> Result<(Vec<Lease>, ReadTo), rusqlite::Error> {
        let connection = self.lock();
        let mut leases = Vec::new();
        let mut cursor = from.cursor;
        let mut opened = from.opened;
        for _ in 0..ALERTS_A_READ {
            let mut current = match opened.take() {
                Some(current) => current,
                None => match open_next(&connection, from.severity, cursor, from.last)? {
                    Some(next) => next,
                    None => {
                        cursor = cursor.max(from.last);
                        break;
                    }
                },
            };
            take(&connection, &mut current, from.room, &mut leases)?;
            if current.next < current.deliveries.len() {
                opened = Some(current);
                break;
            }
            cursor = current.sequence;
            if leases.len() == from.room {
                break;
            }
        }
        Ok((leases, ReadTo { cursor, opened }))
    }

    /// Which lanes have parked deliveries.
    pub(crate) fn parked(&self) -> Result<Vec<ParkedLane>, rusqlite::Error> {
        let connection = self.lock();
        let mut statement = connection.prepare(PARKED)?;
        let rows = statement.query_map([], |row| {
            Ok(ParkedLane {
                destination: DestinationId(row.get::<_, i64>(0)? as u64),
                severity: severity(row, 1)?,
                count: row.get::<_, i64>(2)? as u64,
            })
        })?;
        rows.collect()
    }

    /// A lane's parked deliveries of one severity, in order.
    pub(crate) fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, rusqlite::Error> {
        let connection = self.lock();
        let after = after.map_or((-1, -1), |after| {
            (after.sequence as i64, i64::from(after.ordinal))
        });
        let mut statement = connection.prepare_cached(UNPARK)?;
        let found = statement.query_map(
            params![
                destination.0 as i64,
                severity.code(),
                after.0,
                after.1,
                room as i64
            ],
            |row| {
                Ok(Position {
                    sequence: row.get::<_, i64>(0)? as u64,
                    ordinal: row.get(1)?,
                })
            },
        )?;
        let positions = found.collect::<Result<Vec<_>, _>>()?;
        positions_to_leases(&connection, positions)
    }

    /// The sequence and time of acceptance of the oldest alert that has not ended.
    pub(crate) fn oldest_open(
        connection: &Connection,
    ) -> Result<Option<UtcMillis>, rusqlite::Error> {
        let mut oldest: Option<UtcMillis> = None;
        for severity in Severity::BY_URGENCY {
            let accepted = connection
                .prepare_cached(
                    "SELECT accepted_at FROM alert WHERE sequence =
                     (SELECT min(sequence) FROM open_alert WHERE severity = ?1)",
                )?
                .query_row([severity.code()], |row| row.get(0).map(UtcMillis))
                .optional()?;
            oldest = match (oldest, accepted) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        Ok(oldest)
    }
}

fn waiting(connection: &Connection) -> Result<Vec<Lease>, rusqlite::Error> {
    let mut statement = connection.prepare(WAITING)?;
    let found = statement.query_map([], |row| {
        Ok(Position {
            sequence: row.get::<_, i64>(0)? as u64,
            ordinal: row.get(1)?,
        })
    })?;
    let positions = found.collect::<Result<Vec<_>, _>>()?;
    positions_to_leases(connection, positions)
}

/// Leases of deliveries that have rows of their own.
pub(crate) fn positions_to_leases(
    connection: &Connection,
    positions: Vec<Position>,
) -> Result<Vec<Lease>, rusqlite::Error> {
    let mut leases = Vec::with_capacity(positions.len());
    let mut opened: Option<Opened> = None;
    for position in positions {
        if opened
            .as_ref()
            .is_none_or(|open| open.sequence != position.sequence)
        {
            opened = open_alert(connection, position.sequence)?;
        }
        let Some(open) = &opened else { continue };
        let Some(packed) = open.deliveries.get(position.ordinal as usize) else {
            continue;
        };
        let (progress, digest_id) = progress(connection, position)?;
        let mut lease = lease(connection, open, position, packed, progress)?;
        if let Some(id) = digest_id {
            lease.digest = digest(connection, position, id)?;
        }
        leases.push(lease);
    }
    Ok(leases)
}

/// Hands over the deliveries of `current` that nothing is known of yet: those
/// with rows have ended, wait or are parked.
fn take(
    connection: &Connection,
    current: &mut Opened,
    room: usize,
    leases: &mut Vec<Lease>,
) -> Result<(), rusqlite::Error> {
    let mut known = connection.prepare_cached(KNOWN)?;
    let mut known = known
        .query_map(
            params![current.sequence as i64, current.next as i64],
            |row| row.get::<_, i64>(0),
        )?
        .peekable();
    while current.next < current.deliveries.len() && leases.len() < room {
        let ordinal = current.next;
        current.next += 1;
        if let Some(row) =
            known.next_if(|row| row.as_ref().map_or(true, |known| *known == ordinal as i64))
        {
            row?;
            continue;
        }
        let position = Position {
            sequence: current.sequence,
            ordinal: ordinal as u32,
        };
        let packed = &current.deliveries[ordinal];
        leases.push(lease(
            connection,
            current,
            position,
            packed,
            Progress::default(),
        )?);
    }
    Ok(())
}

/// Opens the first alert of a severity after `cursor` and up to `last`.
fn open_next(
    connection: &Connection,
    severity: Severity,
    cursor: u64,
    last: u64,
) -> Result<Option<Opened>, rusqlite::Error> {
    let next = connection
        .prepare_cached(NEXT_OPEN)?
        .query_row(
            params![severity.code(), cursor as i64, last as i64],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    next.map_or(Ok(None), |sequence| open_alert(connection, sequence as u64))
}

pub(crate) fn open_alert(
    connection: &Connection,
    sequence: u64,
) -> Result<Option<Opened>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("{ALERT} WHERE sequence = ?1"))?
        .query_row([sequence as i64], |row| opened(row, sequence))
        .optional()
}

/// An alert of these columns: id, gtid, severity, accepted_at, message, targets,
/// recipients.
pub(crate) fn opened(row: &Row<'_>, sequence: u64) -> Result<Opened, rusqlite::Error> {
    let gtid: String = row.get(1)?;
    Ok(Opened {
        sequence,
        alert: Arc::new(Alert {
            id: AlertId(uuid(row, 0)?),
            gtid: Gtid::parse(&gtid).unwrap_or_else(Gtid::random),
            severity: severity(row, 2)?,
            accepted_at: UtcMillis(row.get(3)?),
            message: row.get::<_, String>(4)?.into(),
            // Messages of other producers are found in a shared queue, never here.
            verbatim: false,
            targets: unpack_targets(row.get_ref(5)?.as_blob()?).map_err(|e| damaged(5, e))?,
        }),
        deliveries: unpack_deliveries(row.get_ref(6)?.as_blob()?)
            .map_err(|e| damaged(6, e))?
            .into(),
        next: 0,
    })
}

fn lease(
    connection: &Connection,
    open: &Opened,
    position: Position,
    packed: &PackedDelivery,
    progress: Progress,
) -> Result<Lease, rusqlite::Error> {
    Ok(Lease {
        position,
        alert: open.alert.clone(),
        accepted_as: None,
        destination: Arc::new(destination(connection, packed.destination)?),
        credential: Arc::new(credential(connection, packed.credential)?),
        recipients: packed.recipients.clone(),
        progress,
        digest: None,
    })
}

/// The digest of that lead and id.
fn digest(
    connection: &Connection,
    lead: Position,
    id: Uuid,
) -> Result<Option<Arc<Digest>>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT text, low, normal, high FROM digest
             WHERE sequence = ?1 AND ordinal = ?2 AND id = ?3",
        )?
        .query_row(
            params![lead.sequence as i64, lead.ordinal, id.into_bytes()],
            |row| {
                Ok(Arc::new(Digest {
                    id: DigestId(id),
                    text: row.get::<_, String>(0)?.into(),
                    members: [row.get(1)?, row.get(2)?, row.get(3)?],
                }))
            },
        )
        .optional()
}

/// What has been tried of a delivery with a row of its own, and the digest that it
/// leads if it does.
fn progress(
    connection: &Connection,
    position: Position,
) -> Result<(Progress, Option<Uuid>), rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT attempts, parts_sent, wait_until, wait_fault, wait_asked, digest,
               replayed_at
             FROM delivery
             WHERE sequence = ?1 AND ordinal = ?2",
        )?
        .query_row(params![position.sequence as i64, position.ordinal], |row| {
            let wait = match (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<u8>>(3)?) {
                (Some(until), Some(fault)) => Some(Wait {
                    until: UtcMillis(until),
                    fault: fault_of_code(fault),
                    asked: row.get::<_, Option<bool>>(4)?.unwrap_or_default(),
                }),
                _ => None,
            };
            let progress = Progress {
                attempts: row.get(0)?,
                parts_sent: row.get(1)?,
                wait,
                replayed_at: row.get::<_, Option<i64>>(6)?.map(UtcMillis),
            };
            let digest = row.get::<_, Option<[u8; 16]>>(5)?;
            Ok((progress, digest.map(Uuid::from_bytes)))
        })
}

pub(crate) fn destination(
    connection: &Connection,
    id: DestinationId,
) -> Result<Destination, rusqlite::Error> {
    connection
        .prepare_cached("SELECT kind, base_url, address FROM destination WHERE id = ?1")?
        .query_row([id.0 as i64], |row| {
            Ok(Destination {
                id,
                kind: ChannelKind::new(row.get::<_, String>(0)?),
                base_url: row.get::<_, String>(1)?.into(),
                address: row.get::<_, String>(2)?.into(),
            })
        })
}

/// A credential; one with an empty secret where it was removed, as happens where a
/// delivery is replayed whose user has a newer one. That is what it is sent with.
pub(crate) fn credential(
    connection: &Connection,
    id: CredentialId,
) -> Result<Credential, rusqlite::Error> {
    let found = connection
        .prepare_cached("SELECT secret FROM credential WHERE id = ?1")?
        .query_row([id.0], |row| {
            let secret = std::str::from_utf8(row.get_ref(0)?.as_blob()?)
                .map_err(|error| damaged(0, error))
                .map(Secret::new)?;
            Ok(Credential { id, secret })
        })
        .optional()?;
    Ok(found.unwrap_or_else(|| Credential {
        id,
        secret: Secret::new(""),
    }))
}

/// The stored number of a fault. Durable; never renumber.
pub(crate) fn fault_code(fault: Fault) -> u8 {
    match fault {
        Fault::Destination => 1,
        Fault::Payload => 2,
        Fault::Credential => 3,
        Fault::Host => 4,
        Fault::Unclear => 5,
    }
}

fn fault_of_code(code: u8) -> Fault {
    match code {
        2 => Fault::Payload,
        3 => Fault::Credential,
        4 => Fault::Host,
        5 => Fault::Unclear,
        _ => Fault::Destination,
    }
}

pub(crate) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, rusqlite::Error> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

pub(crate) fn severity(row: &Row<'_>, column: usize) -> Result<Severity, rusqlite::Error> {
    let code = row.get::<_, u8>(column)?;
    Severity::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(
        column,
        i64::from(code),
    ))
}

pub(crate) fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
}

#[cfg(test)]
mod tests;
