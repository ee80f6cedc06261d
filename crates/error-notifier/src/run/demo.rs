//! `demo`: API, mockup and a sample directory in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use mockup::{Arrival, Mockup, ReceivedMessage, Subscription};
use producer::application::transfer;
use producer::domain::Caller;
use producer::ports::{DirectoryStore, Mode};

use super::{bind, embedded::Service, run, shutdown::Shutdown};
use crate::cli::{PROGRAM, failure::Failure, print};
use crate::config::settings::{DemoSettings, EmbeddedSettings, WebhookSettings};
use crate::config::values::BaseUrl;

/// Two groups and two users, the first of each joined: the directory that the
/// README's lines speak of.
const SAMPLE: &str = include_str!("sample.jsonl");

/// Serves until a signal ends it.
pub(crate) fn demo(settings: DemoSettings) -> Result<(), Failure> {
    run(&settings.log.clone(), |logging| {
        let dropped = logging.dropped.clone();
        async move {
            let shutdown = Shutdown::on_signals()?;
            let mockup_listener = bind(settings.mockup_listen, "--mockup-listen").await?;
            let mockup_address = mockup_listener
                .local_addr()
                .unwrap_or(settings.mockup_listen);
            let folder = DataFolder::of(&settings)?;
            let service =
                Service::open(serve_settings(&settings, &folder, mockup_address)?, dropped).await?;
            fill(service.directory()).await?;

            let mockup = Mockup::new(mockup::Settings::default());
            let shown = tokio::spawn(show_arrivals(mockup.subscribe()));
            let mockup_ended = tokio::spawn(mockup.serve(mockup_listener, shutdown.begun()));
            print(&banner(service.address(), mockup_address, &folder))?;
            let outcome = service.run(shutdown).await;
            // The mockup gives the last requests their answers, then ends too.
            let _ = mockup_ended.await;
            shown.abort();
            outcome
        }
    })
}

/// The data folder: the one asked for, or one that goes with the process.
enum DataFolder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl DataFolder {
    fn of(settings: &DemoSettings) -> Result<Self, Failure> {
        match &settings.data_dir {
            Some(path) => Ok(Self::Kept(path.clone())),
            None => tempfile::Builder::new()
                .prefix(PROGRAM)
                .tempdir()
                .map(Self::Temporary)
                .map_err(|error| {
                    Failure::BadInput(format!("cannot make a temporary folder: {error}"))
                }),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Temporary(folder) => folder.path().to_owned(),
        }
    }
}

fn serve_settings(
    settings: &DemoSettings,
    folder: &DataFolder,
    mockup: SocketAddr,
) -> Result<EmbeddedSettings, Failure> {
    let slack_url: BaseUrl = format!("http://{mockup}")
        .parse()
        .map_err(Failure::BadInput)?;
    let DemoSettings {
        listen,
        log_http,
        delivery,
        webhooks,
        history,
        http,
        access,
        secrets,
        digests,
        warnings,
        log,
        ..
    } = settings.clone();
    // So that the mockup's receivers can be tried.
    let webhooks = WebhookSettings {
        webhook_allow: webhooks.webhook_allow.or_host(mockup),
        ..webhooks
    };
    Ok(EmbeddedSettings {
        listen,
        data_dir: folder.path(),
        slack_url,
        log_http,
        delivery,
        webhooks,
        digests,
        warnings,
        history,
        http,
        access,
        secrets,
        log,
    })
}

/// Writes the sample directory, unless there is a directory already.
async fn fill(directory: &dyn DirectoryStore) -> Result<(), Failure> {
    if directory.snapshot().user_count() > 0 {
        return Ok(());
    }
    let filled = transfer::import(directory, SAMPLE, Mode::Commit, &Caller::LOCAL).await;
    filled
        .map(drop)
        .map_err(|error| Failure::BadInput(format!("the sample directory: {error}")))
}

fn banner(api: SocketAddr, mockup: SocketAddr, folder: &DataFolder) -> String {
    let program = std::env::current_exe().map_or(PROGRAM.into(), |path| path.display().to_string());
    let kept = match folder {
        DataFolder::Kept(_) => "",
        DataFolder::Temporary(_) => " (removed at the end)",
    };
    format!(
        "
{PROGRAM} {version}: demo, with users user_name1 and user_name2, groups group_name1 and group_name2

  API          http://{api}
  Swagger UI   http://{api}/swagger-ui/index.html
  mockup       http://{mockup}/_mock/messages
  data         {path}{kept}

Try, in another terminal:

  curl -i {api}/v1/alerts -H 'Content-Type: application/json' -d '{{\"target\":[\"@all\",\"@user_name1\"],\"severity\":\"low\",\"message\":\"node1 down\"}}'
  curl {mockup}/_mock/messages
  {program} send --url http://{api} -t @@group_name1 -s high \"disk full on node2\"

What reaches the mockup is shown here; Ctrl-C ends.

",
        version = env!("ERROR_NOTIFIER_VERSION"),
        path = folder.path().display(),
    )
}

/// Shows each message that reaches the mockup.
async fn show_arrivals(mut arrivals: Subscription) {
    while let Some(arrival) = arrivals.next().await {
        let line = match arrival {
            Arrival::Message(message) => arrival_line(&message),
            Arrival::Missed(count) => format!("… and {count} more messages\n"),
        };
        if print(&line).is_err() {
            // Nobody watches any more.
            return;
        }
    }
}

fn arrival_line(message: &ReceivedMessage) -> String {
    // Control characters of a text are not the terminal's to obey.
    let text: String = message
        .text()
        .chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    format!("→ {}  {text}\n", message.channel().escape_debug())
}
