//! A producer or a consumer as a process.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::harness::{Answer, LONG, Process, command, free_address, program, request, wait_for};

/// Longer than a process takes until it is ready where brokers are busy or just gone.
const READY: Duration = Duration::from_secs(120);

/// A process of the scaled-out form, which may be ended and started again.
#[derive(Debug)]
pub struct Member {
    role: &'static str,
    address: SocketAddr,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    log: PathBuf,
    process: Option<Process>,
}

impl Member {
    /// One of that role, not started, with its log in `log`.
    pub(super) fn new(
        role: &'static str,
        environment: Vec<(String, String)>,
        log: PathBuf,
    ) -> Self {
        Self {
            role,
            address: free_address(),
            arguments: Vec::new(),
            environment,
            log,
            process: None,
        }
    }

    /// The same with a flag, from its next start on.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// The same with its settings in that file, and none in its environment.
    #[must_use]
    pub fn by_file(mut self, path: &str) -> Self {
        self.environment.clear();
        self.with("--config", path)
    }

    /// Where it listens, the same after each start.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) {
        let mut command = command(program());
        command
            .args([self.role, "--listen", &self.address.to_string()])
            .args(["--log-format", "json"])
            .args(&self.arguments)
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&mut command, &self.log));
    }

    /// Starts it and waits until it is ready; answers how long that took.
    pub fn start(&mut self) -> Duration {
        let begun = Instant::now();
        self.spawn();
        self.await_ready();
        begun.elapsed()
    }

    /// Waits until it says that it is ready.
    pub fn await_ready(&mut self) {
        let address = self.address;
        wait_for("a process that is ready", READY, || {
            let process = self.process.as_mut().expect("it was started");
            assert!(process.is_running(), "it has ended:\n{}", process.tail());
            let answer = request(address, "GET", "/health/ready", b"").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Whether it was started and not ended since.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// Asks it to end, without waiting.
    pub fn terminate(&self) {
        self.process.as_ref().expect("it runs").terminate();
    }

    /// Ends it in order; answers how long that took.
    pub fn stop(&mut self) -> Duration {
        let begun = Instant::now();
        let mut process = self.process.take().expect("it runs");
        process.terminate();
        let status = process.wait(LONG);
        assert_eq!(status.code(), Some(0), "{}", process.tail());
        begun.elapsed()
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        let answer = request(self.address, method, path, body.as_bytes());
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// Posts an alert and gives the answer.
    pub fn alert(&self, targets: &[&str], severity: &str, message: &str) -> Answer {
        let body =
            serde_json::json!({ "target": targets, "severity": severity, "message": message });
        self.request("POST", "/v1/alerts", &body.to_string())
    }

    /// The value of a metric, `None` where it is not there. `name` is all before
    /// the value, with labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.request("GET", "/metrics", "").text();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}
