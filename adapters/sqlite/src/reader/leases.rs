//! Making leases of what is stored.

use std::sync::Arc;

use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid,
    Secret, Severity, UtcMillis,
};
use consumer::domain::{Digest, DigestId, Fault, Lease, Position, Progress, Wait};
use producer::domain::Directory;
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{
    handoff::Opened,
    packed::{PackedDelivery, pick_deliveries, unpack_deliveries, unpack_targets},
    secrets::Secrets,
};

/// What leases are made of.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) connection: &'a Connection,
    /// What leases share with it need not be read, nor kept twice.
    pub(crate) directory: &'a Directory,
    pub(crate) secrets: &'a Secrets,
}

/// All of an alert; [`opened`] reads it. Its sequence number comes after that, then its caller.
pub(crate) const ALERT: &str =
    "SELECT id, gtid, severity, accepted_at, message, targets, recipients, sequence,
     caller FROM alert";

/// Which deliveries of an alert have rows, from one ordinal on.
pub(super) const KNOWN: &str = "SELECT ordinal FROM delivery
     WHERE sequence = ?1 AND ordinal >= ?2 ORDER BY ordinal";

/// Leases of deliveries that have rows of their own, in the same order. Those of one
/// alert that follow each other cost one reading of it.
pub(crate) fn positions_to_leases(
    sources: Sources<'_>,
    positions: &[Position],
) -> Result<Vec<Lease>, rusqlite::Error> {
    let mut leases = Vec::with_capacity(positions.len());
    for of_one in positions.chunk_by(|one, next| one.sequence == next.sequence) {
        let connection = sources.connection;
        let Some((alert, picked)) = pick(connection, of_one)? else {
            continue;
        };
        for (position, packed) in of_one.iter().zip(picked) {
            let Some(packed) = packed else { continue };
            let (progress, digest_id) = progress(connection, *position)?;
            let mut lease = lease(sources, &alert, *position, &packed, progress)?;
            if let Some(id) = digest_id {
                lease.digest = digest(connection, *position, id)?;
            }
            leases.push(lease);
        }
    }
    Ok(leases)
}

/// An alert and those of its deliveries that are asked for; `positions` are all of it.
type Picked = (Arc<Alert>, Vec<Option<PackedDelivery>>);

fn pick(
    connection: &Connection,
    positions: &[Position],
) -> Result<Option<Picked>, rusqlite::Error> {
    let Some(first) = positions.first() else {
        return Ok(None);
    };
    let ordinals: Vec<_> = positions.iter().map(|position| position.ordinal).collect();
    connection
        .prepare_cached(&format!("{ALERT} WHERE sequence = ?1"))?
        .query_row([first.sequence as i64], |row| {
            let packed = row.get_ref(6)?.as_blob()?;
            let picked = pick_deliveries(packed, &ordinals).map_err(|e| damaged(6, e))?;
            Ok((Arc::new(alert(row)?), picked))
        })
        .optional()
}

/// Hands over the deliveries of `current` that nothing is known of yet: those
/// with rows have ended, wait or are parked.
pub(super) fn take(
    sources: Sources<'_>,
    current: &mut Opened,
    room: usize,
    leases: &mut Vec<Lease>,
) -> Result<(), rusqlite::Error> {
    let mut known = sources.connection.prepare_cached(KNOWN)?;
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
            sources,
            &current.alert,
            position,
            packed,
            Progress::default(),
        )?);
    }
    Ok(())
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
/// recipients, sequence, caller.
pub(crate) fn opened(row: &Row<'_>, sequence: u64) -> Result<Opened, rusqlite::Error> {
    Ok(Opened {
        sequence,
        alert: Arc::new(alert(row)?),
        deliveries: unpack_deliveries(row.get_ref(6)?.as_blob()?)
            .map_err(|e| damaged(6, e))?
            .into(),
        next: 0,
    })
}

fn alert(row: &Row<'_>) -> Result<Alert, rusqlite::Error> {
    let gtid: String = row.get(1)?;
    Ok(Alert {
        // Messages of other producers are found in a shared queue, never here.
        verbatim: false,
        id: AlertId(uuid(row, 0)?),
        caller: row
            .get_ref(8)?
            .as_str_or_null()?
            .and_then(|token| token.parse().ok()),
        gtid: Gtid::parse(&gtid).unwrap_or_else(Gtid::random),
        severity: severity(row, 2)?,
        accepted_at: UtcMillis(row.get(3)?),
        message: row.get::<_, String>(4)?.into(),
        targets: unpack_targets(row.get_ref(5)?.as_blob()?).map_err(|e| damaged(5, e))?,
    })
}

/// A lease, which shares destination and credential with the directory where that has
/// them: most do, and reading them would cost more than all else.
fn lease(
    sources: Sources<'_>,
    alert: &Arc<Alert>,
    position: Position,
    packed: &PackedDelivery,
    progress: Progress,
) -> Result<Lease, rusqlite::Error> {
    let Sources {
        connection,
        directory,
        secrets,
    } = sources;
    let known = packed
        .recipients
        .iter()
        .filter_map(|recipient| directory.user(recipient.user))
        .flat_map(|user| user.destinations.iter())
        .find(|place| place.destination.id == packed.destination);
    let destination = match known {
        Some(place) => place.destination.clone(),
        None => Arc::new(destination(connection, packed.destination)?),
    };
    let credential = match known.filter(|place| place.credential.id == packed.credential) {
        Some(place) => place.credential.clone(),
        None => Arc::new(credential(connection, secrets, packed.credential)?),
    };
    Ok(Lease {
        accepted_as: None,
        position,
        alert: alert.clone(),
        destination,
        credential,
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

/// A destination. One for warnings has the row of its place.
pub(crate) fn destination(
    connection: &Connection,
    id: DestinationId,
) -> Result<Destination, rusqlite::Error> {
    connection
        .prepare_cached("SELECT kind, base_url, address FROM destination WHERE id = ?1")?
        .query_row([id.place().0 as i64], |row| {
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
fn credential(
    connection: &Connection,
    secrets: &Secrets,
    id: CredentialId,
) -> Result<Credential, rusqlite::Error> {
    let found = connection
        .prepare_cached("SELECT secret FROM credential WHERE id = ?1")?
        .query_row([id.0], |row| {
            let secret = secrets.of_row(id, row.get_ref(0)?.as_blob()?);
            let secret = secret.map_err(|unopened| damaged(0, unopened))?;
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
