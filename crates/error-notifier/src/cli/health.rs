//! `health`: whether a server should be sent requests.

use clap::Args;
use hyper::Method;

use super::failure::Failure;
use super::print;
use crate::client::http::{Call, Client};
use crate::config::settings::ServerSettings;

pub(super) const EXAMPLES: &str = "\
For health checks where there is no curl, as in a container without a shell.

Examples:
  error-notifier health
  error-notifier health --url http://127.0.0.1:8082 --timeout 5s

Exit codes:
  0 ready   1 not ready, or no server   2 bad arguments";

/// Arguments of `health`.
#[derive(Args)]
pub(crate) struct Health {
    #[command(flatten)]
    server: ServerSettings,
}

/// Asks the server, and says so where it is ready.
pub(crate) async fn run(arguments: Health) -> Result<(), Failure> {
    let client = Client::new(arguments.server)?;
    client
        .call(Call::bare(Method::GET, "/health/ready"))
        .await?;
    print("ready\n")
}
