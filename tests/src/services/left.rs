//! Processes that run on when their program has ended.

use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::harness::{Process, pid, started_at, wait_for};

/// A process that was left to run on.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Left {
    id: u32,
    /// Since a later process may get the same id.
    started_at: u64,
}

impl Left {
    pub(super) fn new(process: Process) -> Self {
        let id = process.leave();
        Self {
            id,
            started_at: started_at(id).unwrap_or_default(),
        }
    }

    /// Its process id.
    pub fn id(self) -> u32 {
        self.id
    }

    /// Whether it still runs.
    pub fn is_running(self) -> bool {
        started_at(self.id) == Some(self.started_at)
    }

    /// Sends it a signal, if it runs, and waits for its end.
    pub(super) fn end(self, signal: Signal, limit: Duration) {
        if self.is_running() {
            // An error means that it has ended meanwhile.
            let _ = kill_process(pid(self.id), signal);
        }
        wait_for("the end of a server", limit, || {
            (!self.is_running()).then_some(())
        });
    }
}
