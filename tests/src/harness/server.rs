//! `error-notifier serve` as a process.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Answer, LONG, Mockup, MovableClock, Process, command, free_address, program, request, wait_for,
};

/// How a server is to be started; each start is a new process with these.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    listen: SocketAddr,
    data: PathBuf,
    logs: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    wrapper: Vec<OsString>,
    program: Option<PathBuf>,
}

impl ServerOptions {
    /// A server on the folder `data`, its log beside it, that sends to `mockup`,
    /// without a pace and with a log in JSON; `with` overrides.
    pub fn new(data: &Path, mockup: &Mockup) -> Self {
        let options = Self {
            listen: free_address(),
            data: data.into(),
            logs: data.parent().expect("a data folder is in a folder").into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            program: None,
        };
        options
            .with("--slack-url", &mockup.url())
            .with("--slack-pace", "unlimited")
            .with("--log-format", "json")
    }

    /// The same with the flag set so, whatever it was.
    #[must_use]
    pub fn with(mut self, flag: &str, value: &str) -> Self {
        if let Some(place) = self
            .arguments
            .iter()
            .position(|argument| *argument == *flag)
        {
            self.arguments.drain(place..place + 2);
        }
        self.arguments.extend([flag.into(), value.into()]);
        self
    }

    /// The same with the switch.
    #[must_use]
    pub fn switched(mut self, switch: &str) -> Self {
        self.arguments.push(switch.into());
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().into()));
        self
    }

    /// The same with that clock.
    #[must_use]
    pub fn by(self, clock: &MovableClock) -> Self {
        let variables = clock.variables().into_iter();
        variables.fold(self, |options, (name, value)| {
            options.with_variable(name, value)
        })
    }

    /// The same, run by another program: `strace -D -o FILE`.
    #[must_use]
    pub fn run_by<I: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = I>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// The same with another program than the one under test.
    #[must_use]
    pub fn running(mut self, program: &Path) -> Self {
        self.program = Some(program.into());
        self
    }

    /// The same on another folder; the log stays where it was.
    #[must_use]
    pub fn on(mut self, data: &Path) -> Self {
        self.data = data.into();
        self
    }

    /// The same on that address.
    #[must_use]
    pub fn listening(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Where it will listen.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(&self) -> Process {
        static STARTED: AtomicU32 = AtomicU32::new(1);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let output = self.logs.join(format!("server-{number}.log"));
        let mut line = self.wrapper.clone();
        let program = self.program.as_deref().unwrap_or_else(|| program());
        line.push(program.into());
        let mut command = command(&line[0]);
        command
            .args(&line[1..])
            .args(["serve", "--listen", &self.listen.to_string(), "--data-dir"])
            .arg(&self.data)
            .args(&self.arguments)
            .env_remove("RUST_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start(&mut command, &output)
    }

    /// Starts the process and waits until it is ready.
    pub fn start(&self) -> Server {
        let begun = Instant::now();
        let mut process = self.spawn();
        wait_for("a server that is ready", LONG, || {
            assert!(
                process.is_running(),
                "the server has ended:\n{}",
                process.output()
            );
            // The socket listens before the server serves: this waits for it.
            let answer = request(self.listen, "GET", "/health/ready", b"").ok()?;
            (answer.status == 200).then_some(())
        });
        Server {
            process,
            options: self.clone(),
            ready_after: begun.elapsed(),
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub process: Process,
    /// How it was started.
    pub options: ServerOptions,
    /// How long it took from its start to the answer that it is ready.
    pub ready_after: Duration,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.options.listen
    }

    /// One request on a connection of its own.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Answer {
        let answer = request(self.address(), method, path, body.as_bytes());
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.process.output()))
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

    /// Waits until every accepted delivery has ended and is recorded.
    pub fn drain(&self, limit: Duration) {
        wait_for("every delivery to end", limit, || {
            let depth = self
                .metric("error_notifier_queue_depth")
                .expect("the metric is there");
            (depth == 0.0).then_some(())
        });
    }

    /// Ends it in order.
    pub fn stop(mut self) {
        self.process.terminate();
        let status = self.process.wait(LONG);
        assert_eq!(status.code(), Some(0), "{}", self.process.output());
    }

    /// The lines of its log so far, each a JSON object.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.process.output();
        lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }
}
