//! A server, a mockup and a directory: where most tests begin.

use super::{Directory, LONG, Message, Mockup, Scratch, Server, ServerOptions, wait_for};

/// A running server with users, and the mockup that it sends to.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub server: Server,
    /// The mockup.
    pub mockup: Mockup,
    /// Who is in the directory.
    pub directory: Directory,
    /// Where data and logs are.
    pub scratch: Scratch,
}

impl Site {
    /// A site of so many users.
    pub fn new(users: usize) -> Self {
        Self::with(Directory::of_users(users), |options| options)
    }

    /// A site of that directory, whose server is started as `adapt` says.
    pub fn with(directory: Directory, adapt: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let scratch = Scratch::new("site");
        let mockup = Mockup::start(&scratch);
        let server = adapt(ServerOptions::new(&scratch.join("data"), &mockup)).start();
        directory.import(&server);
        Self {
            server,
            mockup,
            directory,
            scratch,
        }
    }

    /// Posts an alert that must be accepted; gives its id.
    pub fn accepted(&self, targets: &[&str], severity: &str, message: &str) -> String {
        let answer = self.server.alert(targets, severity, message);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.json()["data"]["alertId"].as_str().map(str::to_owned);
        id.expect("a 200 has an alertId")
    }

    /// Waits until so many messages came to a channel; gives those.
    pub fn wait_for(&self, channel: &str, count: usize) -> Vec<Message> {
        wait_for("messages in a channel", LONG, || {
            let mut messages = self.mockup.messages();
            messages.retain(|message| message.channel == channel);
            (messages.len() >= count).then_some(messages)
        })
    }

    /// Waits until so many posts were answered with an error.
    pub fn wait_for_failures(&self, count: u64) {
        wait_for("failures at the mockup", LONG, || {
            let stats = self.mockup.stats();
            (stats.failed + stats.rate_limited >= count).then_some(())
        });
    }

    /// Starts the server again on the same data, once its process has ended.
    pub fn start_again(&mut self) {
        self.server = self.server.options.clone().start();
    }
}
