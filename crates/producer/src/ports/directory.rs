//! Where users and groups are kept.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{Caller, Command, Directory, DirectoryError, Effect};

/// Where the directory is kept.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// The directory as of now, from memory.
    fn snapshot(&self) -> Arc<Directory>;

    /// Carries out `commands` in order, durably, all or none. When it answers
    /// `Ok`, [`snapshot`](Self::snapshot) has it, except in a [`Mode::DryRun`].
    ///
    /// What they change is in the [audit log](super::AuditLog) as done by `by`, one line a
    /// call, with the same commit.
    ///
    /// A repeated call is judged by the directory as it then is: a put finds
    /// everything unchanged, a creation finds its id or name taken.
    async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
        by: &Caller,
    ) -> Result<Executed, StoreError>;
}

/// Whether commands are carried out or only judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Carry them out.
    Commit,
    /// Judge them and change nothing.
    DryRun,
}

/// What commands came to.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The directory right after them.
    pub directory: Arc<Directory>,
    /// One for each command.
    pub effects: Vec<Effect>,
}

/// Why commands were not carried out. None of them was, except where it says that they
/// may have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The directory's rules forbid some: each one's place in the list, and why.
    #[error("{} of the changes cannot be made", .0.len())]
    Refused(Vec<(usize, DirectoryError)>),
    /// The store cannot be written now.
    #[error("the directory cannot be written: {0}")]
    Unwritable(String),
    /// The store failed at a point where all of them may have been carried out.
    #[error("the directory may have been changed: {0}")]
    MaybeDone(String),
    /// Anything else.
    #[error("the directory failed: {0}")]
    Failed(String),
}
