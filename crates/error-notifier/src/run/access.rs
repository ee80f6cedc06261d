//! Whether a server may be open, and how.

use std::net::SocketAddr;
use std::path::Path;

use http_api::{Access, OpenTo};
use producer::ports::DirectoryStore;

use crate::cli::failure::Failure;
use crate::config::settings::AccessSettings;

/// How the API at `listen` is open while there is no token.
///
/// # Errors
/// Where it would be refused to everybody: others reach it, there is no token, and nobody
/// said that it may be open.
pub(super) fn of_api(
    listen: SocketAddr,
    settings: &AccessSettings,
    directory: &dyn DirectoryStore,
) -> Result<Access, Failure> {
    let access = of_operations(listen, settings);
    let has_tokens = directory.snapshot().has_api_tokens();
    match access.open_to {
        OpenTo::Nobody if !has_tokens => return Err(no_token(listen)),
        OpenTo::ThisMachine if !has_tokens => tracing::info!(
            address = %listen,
            "there is no API token yet, so the API is open to every program on this machine; `error-notifier token create` closes it"
        ),
        OpenTo::Everybody if !has_tokens => tracing::warn!(
            address = %listen,
            "--insecure-open: there is no API token, so the API is open to whoever reaches it"
        ),
        _ => {}
    }
    Ok(access)
}

/// How health, metrics and destinations at `listen` are open, in a process that keeps no
/// tokens.
pub(super) fn of_operations(listen: SocketAddr, settings: &AccessSettings) -> Access {
    let open_to = match (settings.insecure_open, listen.ip().to_canonical()) {
        (true, _) => OpenTo::Everybody,
        (false, address) if address.is_loopback() => OpenTo::ThisMachine,
        (false, _) => OpenTo::Nobody,
    };
    Access {
        open_to,
        open_metrics: settings.open_metrics,
    }
}

/// The same refusal where there is no data folder yet: then none is made.
pub(super) fn before_opening(
    listen: SocketAddr,
    settings: &AccessSettings,
    data_dir: &Path,
) -> Result<(), Failure> {
    match of_operations(listen, settings).open_to {
        OpenTo::Nobody if !data_dir.exists() => Err(no_token(listen)),
        _ => Ok(()),
    }
}

fn no_token(listen: SocketAddr) -> Failure {
    Failure::BadInput(format!(
        "others can reach {listen}, and there is no API token yet: make one with `error-notifier token create NAME --scope admin --offline`, or listen on 127.0.0.1, or pass --insecure-open"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_to(listen: &str, insecure_open: bool) -> OpenTo {
        let settings = AccessSettings {
            insecure_open,
            open_metrics: true,
        };
        of_operations(listen.parse().unwrap(), &settings).open_to
    }

    #[test]
    fn without_tokens_a_loopback_address_alone_is_open() {
        for listen in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(open_to(listen, false), OpenTo::ThisMachine, "{listen}");
        }
        for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "192.0.2.1:1"] {
            assert_eq!(open_to(listen, false), OpenTo::Nobody, "{listen}");
            assert_eq!(open_to(listen, true), OpenTo::Everybody, "{listen}");
        }
    }
}
