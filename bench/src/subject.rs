//! The program that is measured, as a process with the defaults of `serve`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tests::{
    figures::machine::{cpu_time, peak_mib},
    harness::{Directory, Mockup, Scratch, Server, ServerOptions, program},
};

/// The programs that are measured by turns: ours, and perhaps another one.
pub(crate) struct Programs {
    programs: Vec<PathBuf>,
}

impl Programs {
    pub(crate) fn new(against: Option<PathBuf>) -> Self {
        let programs = std::iter::once(program().to_owned()).chain(against);
        Self {
            programs: programs.collect(),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.programs.iter().map(PathBuf::as_path)
    }

    /// What rows call the program at that place.
    pub(crate) fn name(place: usize) -> &'static str {
        match place {
            0 => "",
            _ => " (the other program)",
        }
    }
}

/// Users that an alert goes to: each has a channel of their own.
pub(crate) const USERS: usize = 1_000;

/// A running server with [`USERS`] users, and where it sends to.
pub(crate) struct Subject {
    pub(crate) server: Server,
    pub(crate) mockup: Mockup,
    _scratch: Scratch,
}

/// What a span of work has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Processor time of the server, and of the mockup.
    pub(crate) server: Duration,
    pub(crate) mockup: Duration,
}

impl Subject {
    /// Starts it with `users`; `set` changes its options.
    pub(crate) fn start(
        program: &Path,
        users: usize,
        set: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        let scratch = Scratch::new("bench");
        let mockup = Mockup::start(&scratch);
        let options = ServerOptions::new(&scratch.join("data"), &mockup)
            .with("--log-format", "text")
            .running(program);
        let server = set(options).start();
        Directory::of_users(users).import(&server);
        Self {
            server,
            mockup,
            _scratch: scratch,
        }
    }

    /// Processor time used so far.
    pub(crate) fn cost(&self) -> Cost {
        Cost {
            server: cpu_time(self.server.process.id()),
            mockup: cpu_time(self.mockup.process.id()),
        }
    }

    /// The most memory that the server had, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        peak_mib(self.server.process.id())
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            server: self.server - earlier.server,
            mockup: self.mockup - earlier.mockup,
        }
    }
}

/// The body of an alert to so many users, the first of them at that place.
pub(crate) fn alert_body(first: usize, recipients: usize, message: &str) -> String {
    let targets: Vec<String> = (0..recipients)
        .map(|place| format!("@user{}", (first + place) % USERS + 1))
        .collect();
    serde_json::json!({ "target": targets, "severity": "normal", "message": message }).to_string()
}

/// Alerts to be posted over and over: so many recipients each, no two neighbours to the
/// same users.
pub(crate) fn alerts(recipients: usize) -> Vec<String> {
    let count = (USERS / recipients).clamp(7, 200);
    (0..count)
        .map(|number| {
            let message = format!("node{number} down: the disk /dev/sda1 is full");
            alert_body(number * 7 * recipients, recipients, &message)
        })
        .collect()
}
