//! Where it is written down who did what.

use async_trait::async_trait;
use common::UtcMillis;

use crate::domain::{AuditEntry, AuditRecord};

/// The audit log: lines are added, in order, and never changed or removed.
///
/// Changes of the directory are written by its store, with the change itself
/// ([`DirectoryStore::execute`](super::DirectoryStore::execute)). What else is to be on
/// record is appended before it is done, so that nothing is done unrecorded.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Adds a line, with the time; it is durable when this answers `Ok`. A repeated call
    /// adds another.
    ///
    /// # Errors
    /// [`AuditError`]; where it fails with [`MaybeDone`](AuditError::MaybeDone) the line may
    /// be there.
    async fn append(&self, record: AuditRecord) -> Result<(), AuditError>;

    /// The lines before the one of that number, the last first, at most `limit`.
    ///
    /// # Errors
    /// [`AuditError`].
    async fn entries(
        &self,
        filter: AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, AuditError>;
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Written at this time or later.
    pub since: Option<UtcMillis>,
    /// Written at this time or earlier.
    pub until: Option<UtcMillis>,
    /// By this one: a token's id, `local` or `anybody`.
    pub who: Option<Box<str>>,
}

/// Why the log could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The store cannot be used now; nothing was written.
    #[error("the audit log cannot be used now: {0}")]
    Unavailable(String),
    /// The store failed at a point where the line may have been written.
    #[error("the audit log may have been written: {0}")]
    MaybeDone(String),
    /// Anything else.
    #[error("the audit log failed: {0}")]
    Failed(String),
}
