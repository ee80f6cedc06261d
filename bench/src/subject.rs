//! The program that is measured, as a process with the defaults of `serve`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tests::{
    figures::machine::peak_mib,
    harness::{Alert, Directory, Mockup, Scratch, Server, ServerOptions, program},
};

use crate::load::post_request;

/// What a run of the scenarios is given.
pub(crate) struct Run {
    pub(crate) programs: Programs,
    /// So many deliveries wait where many are to.
    pub(crate) deliveries: usize,
}

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

/// A running server, and where it sends to.
pub(crate) struct Subject {
    pub(crate) server: Server,
    pub(crate) mockup: Mockup,
    _scratch: Scratch,
}

/// A server's options on a folder in `scratch`: the defaults, but for no pace.
pub(crate) fn options(program: &Path, scratch: &Scratch, mockup: &Mockup) -> ServerOptions {
    ServerOptions::new(&scratch.join("data"), mockup)
        .with("--log-format", "text")
        .running(program)
}

/// The same with the pace that is the default.
pub(crate) fn paced(options: ServerOptions) -> ServerOptions {
    options.with("--slack-pace", "1")
}

impl Subject {
    /// Starts it with `users`; `set` changes its options.
    pub(crate) fn start(
        program: &Path,
        users: usize,
        set: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        Self::with(program, &Directory::of_users(users), set)
    }

    /// The same with that directory.
    pub(crate) fn with(
        program: &Path,
        directory: &Directory,
        set: impl FnOnce(ServerOptions) -> ServerOptions,
    ) -> Self {
        let scratch = Scratch::new("bench");
        let mockup = Mockup::start(&scratch);
        let server = set(options(program, &scratch, &mockup)).start();
        directory.import(&server);
        Self {
            server,
            mockup,
            _scratch: scratch,
        }
    }

    /// The most memory that the server had, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        peak_mib(self.server.process.id())
    }
}

/// Requests that post alerts, to be sent over and over: so many recipients each, no two
/// neighbours to the same users.
pub(crate) fn requests(recipients: usize) -> Arc<[Vec<u8>]> {
    let count = (USERS / recipients).clamp(7, 200);
    requests_to(USERS, recipients, count)
}

/// So many requests, which go through the first `users` again and again.
pub(crate) fn requests_to(users: usize, recipients: usize, count: usize) -> Arc<[Vec<u8>]> {
    let alerts = (0..count).map(|number| Alert {
        targets: (0..recipients)
            .map(|place| format!("@user{}", (number * 7 * recipients + place) % users + 1))
            .collect(),
        severity: "normal",
        message: format!("node{number} down: the disk /dev/sda1 is full"),
    });
    alerts
        .map(|alert| post_request("/v1/alerts", &alert.body()))
        .collect()
}
