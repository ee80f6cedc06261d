//! What the tests of both halves begin with.

use std::sync::Arc;

use common::{
    Alert, AlertId, Credential, CredentialId, Destination, Gtid, Recipients, Secret, Severity,
    UtcMillis,
};

use crate::domain::{Lease, Position, Progress};

/// When everything was accepted, in milliseconds of the Unix epoch.
pub(super) const START: i64 = 1_800_000_000_000;

/// The delivery of an alert to one, not tried yet.
pub(super) fn lease(
    sequence: u64,
    severity: Severity,
    message: &str,
    destination: Destination,
) -> Lease {
    Lease {
        position: Position {
            sequence,
            ordinal: 0,
        },
        alert: Arc::new(Alert {
            id: AlertId::generate(),
            caller: None,
            gtid: Gtid::random(),
            severity,
            message: message.into(),
            verbatim: false,
            targets: Box::default(),
            accepted_at: UtcMillis(START),
        }),
        accepted_as: None,
        destination: Arc::new(destination),
        credential: Arc::new(Credential {
            id: CredentialId(1),
            secret: Secret::new("token"),
        }),
        recipients: Recipients::new(),
        progress: Progress::default(),
        digest: None,
    }
}
