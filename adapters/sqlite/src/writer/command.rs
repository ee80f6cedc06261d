//! What the writer is asked for, and the way to ask.

use std::sync::{Arc, Mutex, PoisonError, mpsc::Sender};

use consumer::{
    domain::{Settlement, Unfolded},
    ports::QueueError,
};
use producer::{
    domain,
    ports::{
        AcceptError, Acceptance, AuditError, Executed, IdempotencyKey, Mode, RotationError,
        StoreError,
    },
};
use tokio::sync::oneshot;

use super::{Prepared, control};
use crate::{error::WriteFailure, secrets::Resealed};

/// About how many bytes a row makes the write-ahead log longer, beside what is in it.
const ROW: usize = 2 << 10;
/// About how many bytes a person's one request does, where it is of many deliveries.
const CONTROL: usize = 16 << 10;

/// About how many bytes a step of sealing anew does.
const RESEALED: usize = 256 << 10;

/// What the writer can be asked for. Each reply comes after the commit.
pub(crate) enum Command {
    Accept {
        alert: Prepared,
        key: Option<IdempotencyKey>,
        reply: oneshot::Sender<Result<Acceptance, AcceptError>>,
    },
    Settle {
        settlements: Vec<Settlement>,
        reply: oneshot::Sender<Result<Vec<Unfolded>, QueueError>>,
    },
    Directory {
        commands: Vec<domain::Command>,
        mode: Mode,
        by: domain::Caller,
        reply: oneshot::Sender<Result<Executed, StoreError>>,
    },
    Control(control::Task),
    Audit {
        record: domain::AuditRecord,
        reply: oneshot::Sender<Result<(), AuditError>>,
    },
    /// Seals some rows anew, after that one.
    Reseal {
        after: i64,
        reply: oneshot::Sender<Result<Resealed, RotationError>>,
    },
    Close,
}

impl Command {
    /// About how many bytes it makes the write-ahead log longer.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Accept { alert, .. } => ROW + alert.size(),
            Self::Settle { settlements, .. } => ROW * settlements.len(),
            Self::Directory { commands, .. } => ROW * commands.len(),
            Self::Control(_) => CONTROL,
            Self::Audit { .. } => ROW,
            Self::Reseal { .. } => RESEALED,
            Self::Close => 0,
        }
    }
}

/// Whether the writer can write; else why not.
pub(super) type Health = Arc<Mutex<Result<(), String>>>;

/// The way to the writer.
#[derive(Clone)]
pub(crate) struct Commands {
    pub(super) sender: Sender<Command>,
    pub(super) health: Health,
}

impl Commands {
    /// Sends a command; the answer is awaited from what it returns. `None` where
    /// the writer has ended.
    pub(crate) fn send<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<oneshot::Receiver<T>> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(command(reply)).ok().map(|()| answer)
    }

    pub(crate) fn health(&self) -> Result<(), String> {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Answers a command that could not be carried out.
pub(super) fn refuse(command: Command, failure: &WriteFailure) {
    let reason = failure.reason().to_owned();
    match command {
        Command::Accept { reply, alert, .. } => {
            let alert = alert.accepted.alert.id;
            let _ = reply.send(Err(match failure {
                WriteFailure::Unwritable(_) => AcceptError::Full(reason),
                WriteFailure::Unknown(_) => AcceptError::MaybeAccepted { alert, reason },
                WriteFailure::Failed(_) => AcceptError::Failed(reason),
            }));
        }
        Command::Settle { reply, .. } => {
            let _ = reply.send(Err(match failure {
                WriteFailure::Unwritable(_) => QueueError::Unwritable(reason),
                WriteFailure::Unknown(_) | WriteFailure::Failed(_) => QueueError::Failed(reason),
            }));
        }
        Command::Directory { reply, .. } => {
            let _ = reply.send(Err(match failure {
                WriteFailure::Unwritable(_) => StoreError::Unwritable(reason),
                WriteFailure::Unknown(_) => StoreError::MaybeDone(reason),
                WriteFailure::Failed(_) => StoreError::Failed(reason),
            }));
        }
        Command::Control(task) => control::refuse(task, failure),
        Command::Audit { reply, .. } => {
            let _ = reply.send(Err(match failure {
                WriteFailure::Unwritable(_) => AuditError::Unavailable(reason),
                WriteFailure::Unknown(_) => AuditError::MaybeDone(reason),
                WriteFailure::Failed(_) => AuditError::Failed(reason),
            }));
        }
        Command::Reseal { reply, .. } => {
            let _ = reply.send(Err(match failure {
                WriteFailure::Unwritable(_) => RotationError::Unwritable(reason),
                WriteFailure::Unknown(_) | WriteFailure::Failed(_) => RotationError::Failed(reason),
            }));
        }
        Command::Close => {}
    }
}
