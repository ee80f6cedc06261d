//! The keys that stored secrets are sealed with.

use async_trait::async_trait;

/// Sealing what is stored with a new key, while it is in use.
#[async_trait]
pub trait SecretRotation: Send + Sync {
    /// Seals every stored secret with a new key: one that somebody has put first among the
    /// keys, or one that is made and put there. When it is done, the old keys are taken from
    /// the file that the process has the keys in, unless they are to be kept or the file is
    /// not the process's own.
    ///
    /// Secrets stay what they are, and can be used all the while. A call that ended too soon,
    /// by a failure or with its process, is gone on with by the next one: until the last
    /// secret is sealed anew, old keys and new are all there. A repeated call rotates once
    /// more.
    ///
    /// # Errors
    /// [`RotationError`]; what was sealed anew before stays so.
    async fn rotate(&self, keep_old: bool) -> Result<Rotation, RotationError>;
}

/// What a rotation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the key that everything is sealed with now.
    pub key_id: String,
    /// How many secrets were sealed anew; fewer than there are where an earlier rotation
    /// is gone on with.
    pub resealed: usize,
    /// The ids of the keys that were taken from the file.
    pub dropped: Vec<String>,
}

/// Why secrets were not sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// All is sealed with the first key, and this process may not make another.
    #[error(
        "there is no new key: put one first among the keys of every process (--secret-key-file or \
         ERROR_NOTIFIER_SECRET_KEYS), keep the old one after it, and rotate again"
    )]
    NoNewKey,
    /// The keys cannot be read or replaced.
    #[error("{0}")]
    Keys(String),
    /// The store cannot be written now.
    #[error("the store cannot be written now: {0}")]
    Unwritable(String),
    /// Anything else.
    #[error("the rotation failed: {0}")]
    Failed(String),
}
