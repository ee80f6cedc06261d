//! What a person types: the commands, their arguments, and what they print.

pub(crate) mod alert;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod dead_letter;
pub(crate) mod destination;
pub(crate) mod directory;
pub(crate) mod failure;
pub(crate) mod group;
pub(crate) mod health;
mod input;
mod offline;
pub(crate) mod secrets;
pub(crate) mod send;
mod table;
pub(crate) mod token;
pub(crate) mod user;
mod user_destination;
mod watch;

use std::io::Write;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::config::parse;
use crate::config::settings::{
    ConsumerSettings, DemoSettings, MigrateSettings, MockupSettings, ProducerSettings,
    ServeSettings,
};
use failure::Failure;

/// The program's name, as it is typed.
pub(crate) const PROGRAM: &str = "error-notifier";

const AFTER_HELP: &str = "\
Settings:
  Every flag that shows [env: …] is also a key of the TOML file that --config
  names: --data-dir is ERROR_NOTIFIER_DATA_DIR and data-dir = \"…\". The flag
  comes first, then the environment, then the file, then the default.

Exit codes:
  0 done   1 the server refused or was not reached
  2 a flag, a setting or an input is wrong   3 the alert reached nobody

Examples:
  error-notifier demo
  error-notifier serve --data-dir /var/lib/error-notifier
  error-notifier send -t @user_name1 -t @@group_name1 -s high \"node1 down\"";

/// Tells the right people about incidents, in real time
///
/// A service that takes alerts over HTTP, stores them safely, and delivers each
/// to everyone whom it concerns, through Slack and webhooks.
#[derive(Parser)]
#[command(name = PROGRAM, version = env!("ERROR_NOTIFIER_VERSION"), after_help = AFTER_HELP)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Try everything in one process: API, mockup, and a sample directory
    ///
    /// Starts the API and a stand-in for Slack, with users and groups to send
    /// to, and shows each message that arrives. Nothing leaves this machine.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Box<DemoSettings>),

    /// Run the service on this machine
    ///
    /// API, directory, durable queue and delivery in one process. The directory
    /// is empty at first: `error-notifier user add` fills it. With --database-url and
    /// --kafka-brokers the data is there instead of in a folder.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeSettings>),

    /// Run the API over PostgreSQL and Kafka, as one of several
    ///
    /// Takes alerts, keeps the directory and the history, and publishes to Kafka.
    /// `consumer` delivers. Waits for its servers as long as --wait says.
    #[command(after_help = PRODUCER_EXAMPLES)]
    Producer(Box<ProducerSettings>),

    /// Deliver what is in Kafka, as one of several
    ///
    /// Needs no database. Listens for health and metrics alone.
    #[command(after_help = CONSUMER_EXAMPLES)]
    Consumer(Box<ConsumerSettings>),

    /// Bring the schema of the PostgreSQL database up to date
    ///
    /// Producers do so too when they start; started by many at once it is done once.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(MigrateSettings),

    /// Run the mockup alone: a stand-in for Slack, for tests
    #[command(after_help = MOCKUP_EXAMPLES)]
    Mockup(MockupSettings),

    /// Send an alert through a running server
    #[command(after_help = send::EXAMPLES)]
    Send(send::Send),

    /// List, show, cancel and watch alerts
    #[command(after_help = alert::EXAMPLES)]
    Alert {
        #[command(subcommand)]
        command: alert::AlertCommand,
    },

    /// List, show, replay and discard deliveries that were given up
    #[command(after_help = dead_letter::EXAMPLES)]
    DeadLetter {
        #[command(subcommand)]
        command: dead_letter::DeadLetterCommand,
    },

    /// List destinations that wait or fail, and breakers
    #[command(after_help = destination::EXAMPLES)]
    Destination {
        #[command(subcommand)]
        command: destination::DestinationCommand,
    },

    /// List, show, add, change, remove and test users, and where they are told
    #[command(after_help = user::EXAMPLES)]
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },

    /// List, show, add, change and remove groups, and their members
    #[command(after_help = group::EXAMPLES)]
    Group {
        #[command(subcommand)]
        command: group::GroupCommand,
    },

    /// Export or import all users and groups as JSON Lines
    #[command(after_help = directory::EXAMPLES)]
    Directory {
        #[command(subcommand)]
        command: directory::DirectoryCommand,
    },

    /// Make, list and revoke API tokens
    #[command(after_help = token::EXAMPLES)]
    Token {
        #[command(subcommand)]
        command: token::TokenCommand,
    },

    /// Seal stored tokens with a new key
    #[command(after_help = secrets::EXAMPLES)]
    Secrets {
        #[command(subcommand)]
        command: secrets::SecretsCommand,
    },

    /// List who changed what
    #[command(after_help = audit::EXAMPLES)]
    Audit(audit::Audit),

    /// Copy a data folder to a file, consistent, while a server uses it
    #[command(after_help = backup::EXAMPLES)]
    Backup(backup::Backup),

    /// Ask a running server, or the mockup, whether it is ready
    #[command(after_help = health::EXAMPLES)]
    Health(health::Health),

    /// Print the completions of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const DEMO_EXAMPLES: &str = "\
Examples:
  error-notifier demo
  error-notifier demo --listen 127.0.0.1:9080 --mockup-listen 127.0.0.1:9082
  error-notifier demo --data-dir ./demo-data --slack-pace unlimited";

const SERVE_EXAMPLES: &str = "\
Examples:
  error-notifier serve
  error-notifier serve --listen 0.0.0.0:8080 --data-dir /var/lib/error-notifier
  error-notifier serve --config /etc/error-notifier.toml --print-config
  ERROR_NOTIFIER_SLACK_URL=http://127.0.0.1:8082 error-notifier serve";

const PRODUCER_EXAMPLES: &str = "\
Examples:
  error-notifier producer --config /etc/error-notifier.toml
  error-notifier producer --listen 0.0.0.0:8080 --kafka-brokers kafka1:9092,kafka2:9092 --kafka-key-file keys --database-url postgres://notifier@db/notifier";

const CONSUMER_EXAMPLES: &str = "\
Examples:
  error-notifier consumer --config /etc/error-notifier.toml
  error-notifier consumer --kafka-brokers kafka1:9092,kafka2:9092 --kafka-key-file keys";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  error-notifier migrate --database-url postgres://notifier@db/notifier";

const MOCKUP_EXAMPLES: &str = "\
Examples:
  error-notifier mockup
  error-notifier mockup --listen 127.0.0.1:9082 --keep 100
  curl localhost:8082/_mock/messages";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  error-notifier completions bash > ~/.local/share/bash-completion/completions/error-notifier
  error-notifier completions zsh > ~/.zfunc/_error-notifier
  error-notifier completions fish > ~/.config/fish/completions/error-notifier.fish";

/// Runs a client command, for which one thread is enough.
pub(crate) fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::BadInput(format!("cannot start: {error}")))?
        .block_on(command)
}

/// Prints the script that completes this program's commands in `shell`.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut parse::command::<Cli>(), PROGRAM, &mut script);
    write_out(&script)
}

/// Prints a text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    write_out(text.as_bytes())
}

/// Prints data as JSON, indented.
fn print_json(data: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{data:#}\n"))
}

/// Writes to standard output at once.
fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}
