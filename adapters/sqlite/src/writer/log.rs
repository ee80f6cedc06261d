//! The write-ahead log, kept short.
//!
//! SQLite begins it anew when a write finds all of it in the database file and nobody
//! reading from it. While one reading follows the other without a gap, as when a backlog
//! is fetched, that never comes about by itself, and the log would grow without bound:
//! on the disk, and in the time that the next start takes to go through it
//! (<https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files>).

use std::{fs, path::PathBuf, time::Duration};

use rusqlite::Connection;

/// From this size on, in bytes, the log is emptied: four times what it has where SQLite
/// finds the gap.
pub(crate) const LIMIT: u64 = 16 << 20;
/// Its size is asked for each time that about so many bytes were written, not with each
/// commit. Where the file system has fine timestamps (Linux 6.13 on), asking makes the
/// next write change the inode, and without a journal its sync writes that to the disk as
/// well: a tenth of a commit.
const LOOK_EVERY: usize = 1 << 20;
/// About how many bytes every turn writes, whatever it was asked for: what belongs to each
/// commit, and what is trimmed.
const TURN: usize = 16 << 10;
/// How long writing may wait for those who read. New readings meanwhile do not count:
/// they find everything in the database file.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a statement waits for another connection; rusqlite's own setting.
const USUAL: Duration = Duration::from_secs(5);

pub(super) struct Log {
    path: PathBuf,
    /// Nothing is done below this size.
    empty_at: u64,
    /// About how many bytes were written since its size was asked for.
    written: usize,
}

impl Log {
    /// That of the database at `database`.
    pub(super) fn of(database: PathBuf) -> Self {
        let mut path = database.into_os_string();
        path.push("-wal");
        Self {
            path: path.into(),
            empty_at: LIMIT,
            written: 0,
        }
    }

    /// Empties it where it has grown, after a turn that was asked to write about `written`
    /// bytes. For between two transactions.
    pub(super) fn keep_short(&mut self, connection: &Connection, written: usize) {
        self.written += TURN + written;
        if self.written < LOOK_EVERY {
            return;
        }
        self.written = 0;
        let length = fs::metadata(&self.path).map_or(0, |file| file.len());
        if length < self.empty_at {
            return;
        }
        self.empty_at = match empty(connection) {
            Ok(true) => LIMIT,
            // Somebody reads for long: not again with each commit.
            Ok(false) => length + LIMIT / 4,
            Err(error) => {
                tracing::debug!(%error, "the write-ahead log could not be emptied");
                length + LIMIT / 4
            }
        };
    }
}

/// Moves all of it into the database file and truncates it; answers whether it did.
fn empty(connection: &Connection) -> Result<bool, rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
        row.get::<_, i64>(0).map(|busy| busy == 0)
    });
    connection.busy_timeout(USUAL)?;
    emptied
}
