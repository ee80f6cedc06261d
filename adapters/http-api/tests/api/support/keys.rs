//! Keys that nobody has put a new one to.

use async_trait::async_trait;
use producer::ports::{Rotation, RotationError, SecretRotation};

pub(crate) struct NoNewKeys;

#[async_trait]
impl SecretRotation for NoNewKeys {
    async fn rotate(&self, _keep_old: bool) -> Result<Rotation, RotationError> {
        Err(RotationError::NoNewKey)
    }
}
