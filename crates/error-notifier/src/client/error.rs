//! Why a call to the server failed, told to the person at the terminal.

use std::time::Duration;

use hyper::StatusCode;

use super::envelope::Problem;

/// Why a call gave no answer to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No connection: not running, another address, a firewall, TLS.
    #[error("cannot reach the server at {url}: {reason}")]
    Unreachable { url: String, reason: String },

    /// Connected, but neither answer nor its next part came in time.
    #[error("the server at {url} did not answer within {waited:?} (--timeout)")]
    TimedOut { url: String, waited: Duration },

    /// The connection ended within the call: what was asked may have happened.
    #[error("the connection to {url} ended before the whole answer came: {reason}")]
    Broken { url: String, reason: String },

    /// What was given as an API token is none.
    #[error("the API token {0}")]
    Token(String),

    /// Something else than error-notifier answered.
    #[error("{url} answered {status}, but not as an error-notifier does; is --url right?")]
    Foreign { url: String, status: StatusCode },

    /// The server said no.
    #[error("{reason} ({status}{gtid})")]
    Refused {
        /// The envelope's `moreInformation`.
        reason: String,
        status: StatusCode,
        /// `, GTID …` where the server's log has more to say; else empty.
        gtid: String,
        /// What is wrong in detail, one line each.
        problems: Vec<Problem>,
    },

    /// A user or group was named that the server does not have.
    #[error("there is no {kind} named '{name}'")]
    NoSuch { kind: &'static str, name: String },

    /// `add --id` would have replaced what is there.
    #[error("a {kind} with the id {id} exists; `{kind} set` changes it")]
    Exists { kind: &'static str, id: String },
}
