//! `secrets`: the keys that stored tokens are sealed with.

use std::sync::Arc;

use clap::{Args, Subcommand};
use common::{Clock, SystemClock};
use hyper::Method;
use producer::domain::Caller;
use producer::ports::{Rotation, RotationError};
use serde_json::{Value, json};

use super::failure::Failure;
use super::offline::{Offline, Opened};
use super::{print, print_json};
use crate::client::http::{Call, Client};
use crate::config::settings::{OutputSettings, ServerSettings};

pub(super) const EXAMPLES: &str = "\
Users' tokens and webhooks' secrets are sealed where they are kept. `rotate` seals them
all with a new key while alerts go on. With a data folder the key is made and put first
in the file of keys, and the old ones are taken out at the end: backups from before need
them, so keep a copy, or use --keep-old. Where several producers share a database, put a
new key first in the file of each, then rotate once, then take the old ones out.

One that ended too soon is gone on with by the next. With --offline the command works on
the data folder, whose server must not be running, or on the database of --database-url.

Examples:
  error-notifier secrets rotate
  error-notifier secrets rotate --keep-old
  error-notifier secrets rotate --offline --data-dir /var/lib/error-notifier";

/// What `secrets` can do.
#[derive(Subcommand)]
pub(crate) enum SecretsCommand {
    /// Seal all that is stored with a new key, while it is in use
    Rotate(Rotate),
}

/// Arguments of `secrets rotate`.
#[derive(Args)]
pub(crate) struct Rotate {
    /// Leave the old keys in the file
    #[arg(long)]
    keep_old: bool,
    #[command(flatten)]
    output: OutputSettings,
    #[command(flatten)]
    store: Offline,
    #[command(flatten)]
    server: ServerSettings,
}

/// Runs one of the `secrets` commands.
pub(crate) async fn run(command: SecretsCommand) -> Result<(), Failure> {
    let SecretsCommand::Rotate(arguments) = command;
    let Rotate {
        keep_old,
        output,
        store,
        server,
    } = arguments;
    let rotated = match store.offline {
        true => shown(offline(&store, keep_old).await?),
        false => {
            let path = format!("/v1/secrets/rotate?keepOld={keep_old}");
            Client::new(server)?
                .call(Call::bare(Method::POST, path))
                .await?
        }
    };
    match output.json {
        true => print_json(&rotated),
        false => print(&told(&rotated)),
    }
}

async fn offline(store: &Offline, keep_old: bool) -> Result<Rotation, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let opened = Opened::open(store, clock).await?;
    let rotated = opened.secrets().rotate(keep_old, &Caller::LOCAL).await;
    opened.close();
    rotated.map_err(|error: RotationError| Failure::BadInput(error.to_string()))
}

/// What the API would answer.
fn shown(rotation: Rotation) -> Value {
    json!({
        "keyId": rotation.key_id,
        "resealed": rotation.resealed,
        "dropped": rotation.dropped,
    })
}

fn told(rotated: &Value) -> String {
    let key = rotated["keyId"].as_str().unwrap_or_default();
    let dropped = rotated["dropped"].as_array().into_iter().flatten();
    let dropped: Vec<_> = dropped.filter_map(Value::as_str).collect();
    let old = match dropped.is_empty() {
        true => "old keys are no longer needed but for old backups".to_owned(),
        false => format!("dropped {}", dropped.join(", ")),
    };
    format!("sealed {} with {key}; {old}\n", rotated["resealed"])
}
