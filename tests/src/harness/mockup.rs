//! `error-notifier mockup` as a process.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{
    LONG, MovableClock, Process, Scratch, command, free_address, program, request, wait_for,
};

/// A message that the mockup has accepted.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its number among all accepted, from 1.
    pub seq: u64,
    /// The channel that it was posted to.
    pub channel: String,
    /// Its text.
    pub text: String,
    /// The token that it was posted with.
    pub token: String,
    /// When its request had been read, RFC 3339.
    pub received_at: String,
    /// How far the answer came: `pending`, `sent`, `lost` or `clientGone`.
    pub answer: String,
    /// What came along, where it is a webhook.
    pub webhook: Option<Value>,
}

/// A post that the mockup has answered with an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Its number among all refused, from 1.
    pub seq: u64,
    /// The channel that it was posted to.
    pub channel: String,
    /// Its text.
    pub text: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Its `Retry-After`, in seconds.
    pub retry_after: Option<i64>,
    /// When its request had been read, RFC 3339.
    pub received_at: String,
    /// When it was answered, if it was.
    pub answered_at: Option<String>,
}

/// What the mockup counts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Posts that were read.
    pub received: u64,
    /// Messages recorded.
    pub accepted: u64,
    /// Posts answered 429.
    pub rate_limited: u64,
    /// Posts refused otherwise, and connections closed on purpose.
    pub failed: u64,
    /// Posts received and not answered yet.
    pub in_progress: u64,
}

/// A running mockup.
#[derive(Debug)]
pub struct Mockup {
    /// Its process.
    pub process: Process,
    address: SocketAddr,
    log: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

impl Mockup {
    /// Starts one that keeps all messages, with its log in `scratch`.
    pub fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, Vec::new())
    }

    /// The same with that clock.
    pub fn start_by(clock: &MovableClock, scratch: &Scratch) -> Self {
        Self::start_with(scratch, clock.variables().into())
    }

    fn start_with(scratch: &Scratch, environment: Vec<(&'static str, OsString)>) -> Self {
        let address = free_address();
        let log = scratch.join("mockup.log");
        Self {
            process: run(address, &log, &environment),
            address,
            log,
            environment,
        }
    }

    /// Ends it: nobody listens at its address.
    pub fn go_away(&mut self) {
        self.process.kill();
    }

    /// Starts it again at its address, with no message and no fault.
    pub fn come_back(&mut self) {
        self.process = run(self.address, &self.log, &self.environment);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All messages, in the order of their arrival.
    pub fn messages(&self) -> Vec<Message> {
        serde_json::from_slice(&self.ask("GET", "/_mock/messages", "")).expect("a list of messages")
    }

    /// All refusals, in their order.
    pub fn refusals(&self) -> Vec<Refusal> {
        serde_json::from_slice(&self.ask("GET", "/_mock/refusals", "")).expect("a list of refusals")
    }

    /// The texts that came to a channel, in the order of their arrival.
    pub fn texts(&self, channel: &str) -> Vec<String> {
        let messages = self.messages().into_iter();
        messages
            .filter(|message| message.channel == channel)
            .map(|message| message.text)
            .collect()
    }

    /// Waits until so many messages are there, and gives them all.
    pub fn wait_for(&self, count: usize) -> Vec<Message> {
        wait_for("messages at the mockup", LONG, || {
            (self.stats().accepted >= count as u64).then(|| self.messages())
        })
    }

    /// Its counts.
    pub fn stats(&self) -> Stats {
        serde_json::from_slice(&self.ask("GET", "/_mock/stats", "")).expect("counts")
    }

    /// Waits until what was on its way to it has arrived and is answered, once
    /// its only client is gone.
    pub fn settle(&self) {
        let mut last = self.stats();
        wait_for("a quiet mockup", LONG, || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let earlier = std::mem::replace(&mut last, self.stats());
            (last.in_progress == 0 && earlier == last).then_some(())
        });
    }

    /// Replaces what is to go wrong.
    pub fn set_faults(&self, faults: &Value) {
        self.ask("PUT", "/_mock/faults", &faults.to_string());
    }

    /// Gives the receiver of webhooks of that name a secret.
    pub fn give_hook(&self, name: &str, secret: &str) {
        let body = serde_json::json!({ "secret": secret }).to_string();
        self.ask("PUT", &format!("/_mock/hooks/{name}"), &body);
    }

    /// Forgets messages and refusals.
    pub fn forget(&self) {
        self.ask("DELETE", "/_mock/messages", "");
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let answer =
            request(self.address, method, path, body.as_bytes()).expect("the mockup answers");
        assert!(
            matches!(answer.status, 200 | 204),
            "{method} {path}: {}",
            answer.text()
        );
        answer.body
    }
}

/// Starts the process and waits until it answers.
fn run(address: SocketAddr, log: &Path, environment: &[(&str, OsString)]) -> Process {
    let mut command = command(program());
    command
        .args(["mockup", "--listen", &address.to_string()])
        .args(["--keep", "1000000", "--keep-bytes", "1GiB"])
        .env_remove("RUST_LOG")
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let mut process = Process::start(&mut command, log);
    wait_for("a mockup", LONG, || {
        assert!(
            process.is_running(),
            "the mockup has ended:\n{}",
            process.output()
        );
        request(address, "GET", "/_mock/stats", b"").ok()
    });
    process
}
