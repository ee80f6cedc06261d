//! Which credential a delivery uses when it is sent.

use std::sync::Arc;

use common::Credential;

use crate::domain::Lease;

/// Knows users' current credentials.
pub trait Credentials: Send + Sync {
    /// The current credential, for the lease's destination, of the first of its
    /// users who still has one; the credential of acceptance where none has.
    ///
    /// Called before every attempt, so it answers from memory.
    fn current(&self, lease: &Lease) -> Arc<Credential>;
}
