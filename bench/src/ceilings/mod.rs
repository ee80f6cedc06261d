//! Bare programs that do a part of the work and nothing else, each in a process of its own:
//! this program, called with [`COMMAND`].

mod client;
mod server;
mod writer;

use std::{
    net::SocketAddr,
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tests::harness::{LONG, Process, Scratch, command, free_address, wait_for};

/// The first argument of a process that is a ceiling.
pub(crate) const COMMAND: &str = "ceiling";

/// What a ceiling has done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) took: Duration,
    /// Processor time of all of it.
    pub(crate) cpu: Duration,
}

/// Is a ceiling; `arguments` are what the functions below have passed.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["server", address] => server::serve(number(address)),
        ["client", to, connections, millis] => client::post(
            number(to),
            number(connections),
            Duration::from_millis(number(millis)),
        ),
        ["writer", folder, alerts, recipients, millis] => writer::write(
            folder.as_ref(),
            number(alerts),
            number(recipients),
            Duration::from_millis(number(millis)),
        ),
        _ => return ExitCode::from(2),
    };
    println!("{}", serde_json::to_string(&done).expect("numbers"));
    ExitCode::SUCCESS
}

/// (a) A bare axum that parses the same request and answers the same body.
pub(crate) struct BareServer {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    _scratch: Scratch,
}

impl BareServer {
    pub(crate) fn start() -> Self {
        let address = free_address();
        let scratch = Scratch::new("bench-server");
        let mut line = command(this());
        line.args([COMMAND, "server", &address.to_string()]);
        let process = Process::start(&mut line, &scratch.join("log"));
        wait_for("a bare server", LONG, || {
            std::net::TcpStream::connect(address).ok().map(drop)
        });
        Self {
            address,
            process,
            _scratch: scratch,
        }
    }
}

/// (b) A bare hyper client that posts the same messages there.
pub(crate) fn bare_client(to: SocketAddr, connections: usize, span: Duration) -> Done {
    child(&[
        "client",
        &to.to_string(),
        &connections.to_string(),
        &span.as_millis().to_string(),
    ])
}

/// (c) One SQLite writer that stores as much, settles it and writes it into a log: so many
/// alerts a commit, to so many recipients each. Counts alerts.
pub(crate) fn bare_writer(alerts: usize, recipients: usize, span: Duration) -> Done {
    let scratch = Scratch::new("bench-writer");
    child(&[
        "writer",
        &scratch.join("").display().to_string(),
        &alerts.to_string(),
        &recipients.to_string(),
        &span.as_millis().to_string(),
    ])
}

fn child<T: DeserializeOwned>(arguments: &[&str]) -> T {
    let output = Command::new(this())
        .arg(COMMAND)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "a ceiling has failed");
    serde_json::from_slice(&output.stdout).expect("what a ceiling says")
}

fn this() -> std::path::PathBuf {
    std::env::current_exe().expect("a running program has a path")
}

fn number<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("what this program passes itself")
}
