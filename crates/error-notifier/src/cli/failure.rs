//! Why a command ends with another exit code than 0.

use std::io::{self, Write};
use std::process::ExitCode;

use super::table::printable;
use crate::client::error::ClientError;

/// A command's end that is not success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was typed, configured or piped in is wrong: exit code 2.
    #[error("{0}")]
    BadInput(String),

    /// The server refused, or was not there: exit code 1.
    #[error(transparent)]
    Client(#[from] ClientError),

    /// The alert was accepted, and nobody was told: exit code 3.
    #[error("the alert reached nobody")]
    Nobody,

    /// What came could not be written: exit code 1.
    #[error("cannot write {0}: {1}")]
    Output(String, io::Error),
}

impl Failure {
    /// Standard output could not be written.
    pub(crate) fn stdout(error: io::Error) -> Self {
        Self::Output("to standard output".to_owned(), error)
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // Who closed the pipe (`… | head`) knows it.
        if !self.is_closed_pipe() {
            let mut stderr = io::stderr().lock();
            if let Self::Client(ClientError::Refused {
                reason, problems, ..
            }) = self
            {
                // The one problem of a request is its reason, and is said below.
                for problem in problems.iter().filter(|one| one.message != *reason) {
                    // Nobody is left to tell where standard error is closed.
                    let _ = writeln!(stderr, "{}", printable(&problem.to_string()));
                }
            }
            let _ = writeln!(stderr, "error: {}", printable(&self.to_string()));
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::BadInput(_) | Self::Client(ClientError::Token(_)) => 2,
            Self::Client(_) | Self::Output(..) => 1,
            Self::Nobody => 3,
        }
    }

    fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(_, error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
