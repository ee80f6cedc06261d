//! Reading the queue from disk: what earlier runs left, what did not fit into
//! memory, what lanes have parked.

mod leases;
mod readings;
mod unparking;

use std::{path::Path, sync::Arc};

use common::{Destination, DestinationId, Severity, UtcMillis};
use consumer::{
    domain::{Lease, Position},
    ports::ParkedLane,
};
use producer::domain::Directory;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    directory::Published,
    handoff::{Handoff, Opened, ReadFrom, ReadTo, Room},
    schema,
    secrets::Secrets,
};

use leases::take;
pub(crate) use leases::{
    ALERT, Sources, damaged, destination, fault_code, open_alert, opened, positions_to_leases,
    severity, uuid,
};
pub(crate) use readings::Readings;
pub(crate) use unparking::{Unparking, Wanted};

/// The most alerts opened by one read, so that no read holds the connection long.
const ALERTS_A_READ: usize = 1_000;
/// The most sequence numbers passed over by one read, for the same reason.
const PASSED_A_READ: u64 = 20_000;

/// The first alert of a severity, after one sequence number and up to another, of which
/// more deliveries are open than wait, are parked or are in a digest: all others have
/// nothing to hand over, and of a backlog that is parked those are many.
const NEXT_OPEN: &str = "SELECT sequence FROM open_alert AS waiting
     WHERE severity = ?1 AND sequence > ?2 AND sequence <= ?3
       AND open > (SELECT count(*) FROM delivery
                   WHERE delivery.sequence = waiting.sequence AND state IN (1, 2, 6))
     ORDER BY sequence LIMIT 1";

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

/// The connection that reads beside the writer.
pub(crate) struct Reader {
    connection: Connection,
    directory: Arc<Published>,
    secrets: Arc<Secrets>,
}

impl Reader {
    pub(crate) fn open(
        path: &Path,
        directory: Arc<Published>,
        secrets: Arc<Secrets>,
    ) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            connection: schema::open_reader(path)?,
            directory,
            secrets,
        })
    }

    fn sources<'a>(&'a self, directory: &'a Directory) -> Sources<'a> {
        Sources {
            connection: &self.connection,
            directory,
            secrets: &self.secrets,
        }
    }

    /// What earlier runs left, as the beginning of a handoff with that room.
    pub(crate) fn backlog(&self, room: Room) -> Result<Handoff, rusqlite::Error> {
        let connection = &self.connection;
        let positions = waiting(connection)?;
        let waiting = positions_to_leases(self.sources(&self.directory.load()), &positions)?;
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

    /// Reads on where a line that is behind stopped. Where it answers nothing there may
    /// be more all the same: it has passed over what has nothing to hand over.
    pub(crate) fn read(&self, from: ReadFrom) -> Result<(Vec<Lease>, ReadTo), rusqlite::Error> {
        let connection = &self.connection;
        let directory = self.directory.load();
        let mut leases = Vec::new();
        let mut cursor = from.cursor;
        let mut opened = from.opened;
        let last = from.last.min(cursor.saturating_add(PASSED_A_READ));
        for _ in 0..ALERTS_A_READ {
            let mut current = match opened.take() {
                Some(current) => current,
                None => match open_next(connection, from.severity, cursor, last)? {
                    Some(next) => next,
                    None => {
                        cursor = cursor.max(last);
                        break;
                    }
                },
            };
            take(
                self.sources(&directory),
                &mut current,
                from.room,
                &mut leases,
            )?;
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
        let connection = &self.connection;
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

    /// What each of `wanted` asks for, in order of acceptance. Each alert is read once,
    /// however many of its deliveries are among them.
    pub(crate) fn unpark(&self, wanted: &[Wanted]) -> Result<Vec<Vec<Lease>>, rusqlite::Error> {
        let connection = &self.connection;
        let mut places = Vec::new();
        for (place, wanted) in wanted.iter().enumerate() {
            let positions = parked_positions(connection, wanted)?;
            places.extend(positions.into_iter().map(|position| (position, place)));
        }
        // A delivery is parked in one lane, so none is asked for twice but by a caller
        // who asks twice.
        places.sort_unstable();
        let positions: Vec<_> = places.iter().map(|(position, _)| *position).collect();
        let leases = positions_to_leases(self.sources(&self.directory.load()), &positions)?;
        let mut answers: Vec<Vec<Lease>> = wanted.iter().map(|_| Vec::new()).collect();
        for ((_, place), lease) in places.into_iter().zip(leases) {
            answers[place].push(lease);
        }
        Ok(answers)
    }

    /// Those of these destinations that there are.
    pub(crate) fn destinations(
        &self,
        ids: &[DestinationId],
    ) -> Result<Vec<Destination>, rusqlite::Error> {
        let connection = &self.connection;
        let found = ids.iter().map(|id| destination(connection, *id).optional());
        found.filter_map(Result::transpose).collect()
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

fn waiting(connection: &Connection) -> Result<Vec<Position>, rusqlite::Error> {
    let mut statement = connection.prepare(WAITING)?;
    let found = statement.query_map([], position)?;
    found.collect()
}

fn parked_positions(
    connection: &Connection,
    wanted: &Wanted,
) -> Result<Vec<Position>, rusqlite::Error> {
    let after = wanted.after.map_or((-1, -1), |after| {
        (after.sequence as i64, i64::from(after.ordinal))
    });
    let mut statement = connection.prepare_cached(UNPARK)?;
    let lane = (wanted.destination.0 as i64, wanted.severity.code());
    let found = statement.query_map(
        params![lane.0, lane.1, after.0, after.1, wanted.room as i64],
        position,
    )?;
    found.collect()
}

fn position(row: &Row<'_>) -> Result<Position, rusqlite::Error> {
    Ok(Position {
        sequence: row.get::<_, i64>(0)? as u64,
        ordinal: row.get(1)?,
    })
}

/// Opens the first alert of a severity after `cursor` and up to `last` that has
/// something to hand over.
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

#[cfg(test)]
mod tests;
