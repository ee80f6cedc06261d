//! The servers, put together.

mod access;
mod delivery;
mod demo;
mod destinations;
mod embedded;
pub(crate) mod keys;
mod listening;
mod mockup;
mod panics;
mod scaled;
mod serve;
mod shutdown;
mod warning;

use std::net::SocketAddr;

use rustix::process::{DumpableBehavior, Resource, getrlimit, set_dumpable_behavior, setrlimit};
use tokio::net::TcpListener;

use crate::cli::failure::Failure;
use crate::config::settings::LogSettings;
use crate::logging::{self, Logging};

pub(crate) use demo::demo;
pub(crate) use mockup::mockup;
pub(crate) use scaled::{consumer, database_url, migrate, producer};
pub(crate) use serve::serve;

/// Starts the log and a runtime on all cores, and runs `server` to its end.
fn run<F>(log: &LogSettings, server: impl FnOnce(&Logging) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let logging = logging::start(log).map_err(Failure::BadInput)?;
    panics::tell_where();
    keep_memory_private();
    raise_file_limit();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::BadInput(format!("cannot start: {error}")))
        .and_then(|runtime| runtime.block_on(server(&logging)));
    logging.finish();
    outcome
}

/// Keeps the process's memory, which holds tokens, out of core dumps and from other
/// processes of its user (`PR_SET_DUMPABLE`).
/// <https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html>
fn keep_memory_private() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a core dump of this process would hold tokens");
    }
}

/// Lets the process open as many files as it may: many systems begin with 1,024,
/// and each connection takes one.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Takes an address to listen on.
async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let line = format!("cannot listen on {address}: {error}; choose another with {flag}");
        Failure::BadInput(line)
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn the_memory_is_in_no_core_dump() {
        keep_memory_private();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
