//! What waits for a commit.

use std::collections::VecDeque;

use super::Command;

/// The most commands that share a commit.
const BATCH: usize = 1_024;
/// An alert to more deliveries than this is large: writing it takes milliseconds.
const LARGE: usize = 5_000;

/// The commands that wait for a commit. At most one large alert goes into each, so
/// that many at once do not hold up everybody else's.
#[derive(Default)]
pub(super) struct Waiting {
    small: Vec<Command>,
    large: VecDeque<Command>,
    is_closing: bool,
}

impl Waiting {
    pub(super) fn add(&mut self, command: Command) {
        match &command {
            Command::Close => self.is_closing = true,
            Command::Accept { alert, .. } if alert.accepted.deliveries.len() > LARGE => {
                self.large.push_back(command);
            }
            _ => self.small.push(command),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.large.is_empty()
    }

    /// Whether no more fit into the next commit.
    pub(super) fn is_enough(&self) -> bool {
        self.small.len() >= BATCH
    }

    /// Whether the writer was told to end and has carried out all that came before.
    pub(super) fn is_over(&self) -> bool {
        self.is_closing && self.is_empty()
    }

    /// What goes into the next commit.
    pub(super) fn next_batch(&mut self) -> Vec<Command> {
        let mut batch = std::mem::take(&mut self.small);
        batch.extend(self.large.pop_front());
        batch
    }
}
