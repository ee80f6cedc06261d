//! Why a database cannot be used, and what a failed statement means.

use std::{error::Error as _, fmt, io};

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::{Error, error::SqlState};

use crate::url::UrlError;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none.
    #[error("--database-url {0}")]
    Url(#[from] UrlError),
    /// It does not answer, and did not until the wait was over.
    #[error(
        "PostgreSQL at {place} cannot be reached: {reason}; start it, correct --database-url, or \
         give it more time with --wait"
    )]
    Unreachable {
        /// Host, port and database.
        place: String,
        /// What was the matter at last.
        reason: String,
    },
    /// It answers, and refuses the user, the password or the database.
    #[error("PostgreSQL at {place} refuses --database-url: {reason}")]
    Refused {
        /// Host, port and database.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// The connection cannot be secured as the URL asks for.
    #[error(
        "the connection to PostgreSQL at {place} cannot be secured as the sslmode of --database-url asks for: {reason}"
    )]
    Tls {
        /// Host, port and database.
        place: String,
        /// What is the matter.
        reason: String,
    },
    /// A later version has written it.
    #[error(
        "the database {place} was written by a newer version of error-notifier (schema {found}, \
         this one knows {known}); run that version"
    )]
    Newer {
        /// Host, port and database.
        place: String,
        /// The schema found.
        found: i32,
        /// The last one known.
        known: i32,
    },
    /// The keys are others than the database's secrets are sealed with.
    #[error(
        "users' tokens in the database {place} cannot be opened: {reason}; give every producer \
         the same keys"
    )]
    Keys {
        /// Host, port and database.
        place: String,
        /// Why.
        reason: sealing::Unopened,
    },
    /// The schema cannot be brought up to date.
    #[error("the schema of the database {place} cannot be brought up to date: {reason}")]
    Schema {
        /// Host, port and database.
        place: String,
        /// What is the matter, and what to do.
        reason: String,
    },
}

/// What is said where all connections stay in use.
const NO_CONNECTION: &str = "no connection to the database became free";
/// What is said of a database that says nothing.
pub(crate) const NO_ANSWER: &str = "the database does not answer";

/// What a failed statement means for those who wait for it. Nothing of it was done,
/// unless it was the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The database is away, busy or full: another time it may work.
    Away(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Away(reason) | Failure::Failed(reason) => f.write_str(reason),
        }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let reason = describe(error);
        match error.code() {
            // No code: the connection failed, or what came over it was not understood.
            None if is_of_the_connection(error) => Failure::Away(reason),
            Some(code) if is_passing(code) => Failure::Away(reason),
            _ => Failure::Failed(reason),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from(&error),
            PoolError::Timeout(TimeoutType::Wait) => Failure::Away(NO_CONNECTION.into()),
            PoolError::Timeout(_) => Failure::Away(NO_ANSWER.into()),
            other => Failure::Away(other.to_string()),
        }
    }
}

/// Whether what the server says may be otherwise another time
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_passing(code: &SqlState) -> bool {
    let busy = [
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        // While it is away somebody may have changed its users or renamed it.
        SqlState::INVALID_CATALOG_NAME,
    ];
    // Connection, authorization, resources, operator intervention, system.
    let classes = ["08", "28", "53", "57", "58"];
    busy.contains(code) || classes.contains(&&code.code()[..2])
}

fn is_of_the_connection(error: &Error) -> bool {
    error.is_closed()
        || find_source::<io::Error>(error).is_some()
        || error.to_string() == "timeout waiting for server"
}

/// What kept a connection from being made.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// Another time it may work.
    Unreachable(String),
    /// The server does not want it.
    Refused(String),
    /// It cannot be secured.
    Tls(String),
}

impl From<&Error> for NoConnection {
    fn from(error: &Error) -> Self {
        let reason = describe(error);
        if let Some(code) = error.code() {
            let starts_or_is_full = ["08", "53", "57", "58"].contains(&&code.code()[..2]);
            return match starts_or_is_full {
                true => NoConnection::Unreachable(reason),
                false => NoConnection::Refused(reason),
            };
        }
        // What the client itself says has no code.
        match error.to_string().as_str() {
            "error performing TLS handshake" => NoConnection::Tls(reason),
            "authentication error" => NoConnection::Refused(reason),
            "invalid configuration" => NoConnection::Refused(reason),
            _ => NoConnection::Unreachable(reason),
        }
    }
}

/// An error in one line. Never with the server's details, which can hold whole rows and
/// so secrets.
pub(crate) fn describe(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn find_source<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_busy_full_or_no_longer_writable_is_another_times() {
        for code in [
            "08006", "28P01", "3D000", "25006", "40P01", "53100", "53300", "55P03", "57014",
            "57P01", "57P03", "58030",
        ] {
            assert!(is_passing(&SqlState::from_code(code)), "{code}");
        }
    }

    #[test]
    fn what_the_statement_itself_is_guilty_of_is_not() {
        for code in ["23505", "23503", "42P01", "42501", "22021", "XX000"] {
            assert!(!is_passing(&SqlState::from_code(code)), "{code}");
        }
    }
}
