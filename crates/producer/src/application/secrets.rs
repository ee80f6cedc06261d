//! Rotating the keys of stored secrets, on record.

use std::sync::Arc;

use crate::{
    domain::{Action, AuditRecord, Caller, Deed},
    ports::{AuditError, AuditLog, Rotation, RotationError, SecretRotation},
};

/// The use case. A rotation is in the audit log before it begins, so none is carried out
/// unrecorded; one that fails is there all the same.
pub struct Secrets {
    rotation: Arc<dyn SecretRotation>,
    audit: Arc<dyn AuditLog>,
}

impl Secrets {
    /// The use case over these ports.
    pub fn new(rotation: Arc<dyn SecretRotation>, audit: Arc<dyn AuditLog>) -> Self {
        Self { rotation, audit }
    }

    /// As [`SecretRotation::rotate`].
    ///
    /// # Errors
    /// As there, and where it could not be recorded.
    pub async fn rotate(&self, keep_old: bool, by: &Caller) -> Result<Rotation, RotationError> {
        let detail = match keep_old {
            true => "old keys are kept",
            false => "",
        };
        let record = AuditRecord {
            by: by.clone(),
            deed: Deed::new(Action::SecretsRotated, None, detail.to_owned()),
        };
        self.audit.append(record).await.map_err(unrecorded)?;
        self.rotation.rotate(keep_old).await
    }
}

/// Nothing was done: the rotation itself comes after.
fn unrecorded(error: AuditError) -> RotationError {
    match error {
        AuditError::Unavailable(reason) | AuditError::MaybeDone(reason) => {
            RotationError::Unwritable(reason)
        }
        AuditError::Failed(reason) => RotationError::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::{domain::AuditEntry, ports::AuditFilter};

    /// Both ports, and in which order they were called.
    #[derive(Default)]
    struct Called {
        calls: Mutex<Vec<String>>,
        is_full: bool,
    }

    #[async_trait]
    impl SecretRotation for Called {
        async fn rotate(&self, keep_old: bool) -> Result<Rotation, RotationError> {
            let call = format!("rotated, keep_old {keep_old}");
            self.calls.lock().unwrap().push(call);
            Ok(Rotation {
                key_id: "k2".into(),
                resealed: 3,
                dropped: Vec::new(),
            })
        }
    }

    #[async_trait]
    impl AuditLog for Called {
        async fn append(&self, record: AuditRecord) -> Result<(), AuditError> {
            if self.is_full {
                return Err(AuditError::Unavailable("full".into()));
            }
            let deed = record.deed;
            let call = format!("recorded {} {}", deed.action.as_str(), deed.detail);
            self.calls.lock().unwrap().push(call);
            Ok(())
        }

        async fn entries(
            &self,
            _filter: AuditFilter,
            _before: Option<u64>,
            _limit: usize,
        ) -> Result<Vec<AuditEntry>, AuditError> {
            Ok(Vec::new())
        }
    }

    fn over(ports: &Arc<Called>) -> Secrets {
        Secrets::new(ports.clone(), ports.clone())
    }

    #[tokio::test]
    async fn a_rotation_is_on_record_before_it_begins() {
        let ports = Arc::new(Called::default());
        let rotated = over(&ports).rotate(true, &Caller::LOCAL).await;
        assert_eq!(rotated.unwrap().key_id, "k2");
        assert_eq!(
            *ports.calls.lock().unwrap(),
            [
                "recorded secrets.rotated old keys are kept",
                "rotated, keep_old true"
            ]
        );
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_done() {
        let ports = Arc::new(Called {
            is_full: true,
            ..Called::default()
        });
        let refused = over(&ports).rotate(false, &Caller::LOCAL).await;
        assert_eq!(
            refused.unwrap_err(),
            RotationError::Unwritable("full".into())
        );
        assert!(ports.calls.lock().unwrap().is_empty());
    }
}
