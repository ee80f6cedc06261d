//! Why a data folder cannot be opened, and what a failed statement means.

use std::{io, path::PathBuf};

use rusqlite::{ErrorCode, ffi};
use sealing::{KeyError, Unopened};

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or written.
    #[error("the data folder {} cannot be used: {error}; choose another with --data-dir or mend its permissions", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process holds it.
    #[error("the data folder {} is in use by another process; stop that one or choose another folder with --data-dir", .0.display())]
    InUse(PathBuf),
    /// A later version has written it.
    #[error(
        "the data was written by a newer version of error-notifier (schema {found}, this one knows {known}); run that version"
    )]
    Newer {
        /// The schema found.
        found: i64,
        /// The last one known.
        known: i64,
    },
    /// The file is no database of this program.
    #[error("the database cannot be read: {0}; restore the data folder from a backup")]
    Damaged(String),
    /// The file with the keys cannot be used.
    #[error("the key of users' tokens: {0}")]
    Key(KeyError),
    /// The file with the keys is not there, and something is sealed with them.
    #[error(
        "users' tokens are sealed and their key {} is missing; put it back, or name the file that has it with --secret-key-file", .0.display()
    )]
    KeyMissing(PathBuf),
    /// The keys are others than the database was sealed with.
    #[error(
        "users' tokens in the database cannot be opened: {0}; name the file that has the key with --secret-key-file"
    )]
    Keys(Unopened),
    /// It was written before secrets were sealed.
    #[error(
        "the data was written by an older version of error-notifier; start the server on it once"
    )]
    NotSealed,
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        let rusqlite::Error::FromSqlConversionFailure(_, _, cause) = &error else {
            return OpenError::Damaged(error.to_string());
        };
        match cause.downcast_ref::<Unopened>() {
            Some(unopened) => OpenError::Keys(unopened.clone()),
            None => OpenError::Damaged(error.to_string()),
        }
    }
}

/// What a failed write means for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// There is no room, or the file cannot be written; nothing was.
    Unwritable(String),
    /// The sync failed: the disk may or may not have it.
    Unknown(String),
    /// Anything else; nothing was written.
    Failed(String),
}

impl WriteFailure {
    pub(crate) fn reason(&self) -> &str {
        match self {
            WriteFailure::Unwritable(reason)
            | WriteFailure::Unknown(reason)
            | WriteFailure::Failed(reason) => reason,
        }
    }
}

impl From<&rusqlite::Error> for WriteFailure {
    /// By SQLite's result codes: <https://www.sqlite.org/rescode.html>.
    fn from(error: &rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(failure) = error.sqlite_error() else {
            return WriteFailure::Failed(text);
        };
        match (failure.code, failure.extended_code) {
            (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
                WriteFailure::Unknown(text)
            }
            (
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied,
                _,
            ) => WriteFailure::Unwritable(text),
            _ => WriteFailure::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> WriteFailure {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        WriteFailure::from(&error)
    }

    #[test]
    fn no_room_and_no_way_to_write_are_unwritable() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_PERM,
        ] {
            let failure = failure(code);
            assert!(
                matches!(failure, WriteFailure::Unwritable(_)),
                "{code}: {failure:?}"
            );
        }
    }

    #[test]
    fn after_a_failed_sync_nobody_knows() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
            let failure = failure(code);
            assert!(
                matches!(failure, WriteFailure::Unknown(_)),
                "{code}: {failure:?}"
            );
        }
    }

    #[test]
    fn anything_else_has_failed_for_itself() {
        for code in [
            ffi::SQLITE_CONSTRAINT_UNIQUE,
            ffi::SQLITE_TOOBIG,
            ffi::SQLITE_CORRUPT,
        ] {
            let failure = failure(code);
            assert!(
                matches!(failure, WriteFailure::Failed(_)),
                "{code}: {failure:?}"
            );
        }
        let failure = WriteFailure::from(&rusqlite::Error::QueryReturnedNoRows);
        assert!(matches!(failure, WriteFailure::Failed(_)));
    }

    #[test]
    fn the_reason_is_sqlites_own() {
        let said = Some("database or disk is full".to_owned());
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), said);
        let failure = WriteFailure::from(&error);
        assert_eq!(failure.reason(), "database or disk is full");
    }
}
