//! What the use cases and ports report, as the errors of this API.

use producer::{
    application::{
        CreateTokenError,
        alerts::{NotAccepted, RefusedAlert},
        directory::ChangeError,
        transfer::ImportError,
    },
    domain::{ForbiddenTarget, Invalid},
    ports::{
        AcceptError, AuditError, ControlError, DestinationsError, HistoryError, ReplayError,
        RotationError, StoreError,
    },
};

use super::{AUDIT_AWAY, ApiError, HISTORY_AWAY};

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let Invalid { field, problem } = invalid;
        // A problem goes on from the field's name, except where the contract has
        // a whole sentence for it.
        let sentence = match problem.starts_with(char::is_uppercase) {
            true => problem,
            false => format!("{field} {problem}"),
        };
        Self::Field { field, sentence }
    }
}

impl From<NotAccepted> for ApiError {
    fn from(reason: NotAccepted) -> Self {
        match reason {
            NotAccepted::Forbidden(target) => target.into(),
            NotAccepted::Refused(refused) => refused.into(),
        }
    }
}

impl From<ForbiddenTarget> for ApiError {
    fn from(forbidden: ForbiddenTarget) -> Self {
        Self::TargetNotAllowed(forbidden)
    }
}

impl From<CreateTokenError> for ApiError {
    fn from(error: CreateTokenError) -> Self {
        match error {
            CreateTokenError::Invalid(invalid) => invalid.into(),
            CreateTokenError::Change(error) => error.into(),
        }
    }
}

impl From<RefusedAlert> for ApiError {
    fn from(refused: RefusedAlert) -> Self {
        let RefusedAlert { id, reason } = refused;
        match reason {
            AcceptError::KeyConflict => Self::KeyReused,
            AcceptError::Full(inside) => Self::QueueFull { id, inside },
            AcceptError::MaybeAccepted { alert, reason } => Self::MaybeAccepted {
                id: alert,
                inside: reason,
            },
            AcceptError::KeyUnknown(inside) => Self::NotNow {
                code: "IDEMPOTENCY_KEY_UNKNOWN",
                sentence: "Whether this Idempotency-Key was used before cannot be found out now, and the alert was not accepted; send it again later with the same key.",
                inside: Some(inside),
            },
            AcceptError::Failed(inside) => Self::Internal { inside },
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(error) => Self::Directory(error),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Lines(lines) => Self::Lines(lines),
            ImportError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unwritable(inside) => Self::DirectoryUnwritable { inside },
            StoreError::MaybeDone(inside) => Self::maybe_done(inside),
            StoreError::Failed(inside) => Self::Internal { inside },
            StoreError::Refused(_) => Self::Internal {
                inside: "the store's refusal was not expected here".into(),
            },
        }
    }
}

impl From<AuditError> for ApiError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Unavailable(inside) => Self::NotNow {
                code: "AUDIT_UNAVAILABLE",
                sentence: AUDIT_AWAY,
                inside: Some(inside),
            },
            AuditError::MaybeDone(_) | AuditError::Failed(_) => Self::Internal {
                inside: error.to_string(),
            },
        }
    }
}

impl From<HistoryError> for ApiError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Unavailable(inside) => Self::NotNow {
                code: "HISTORY_UNAVAILABLE",
                sentence: HISTORY_AWAY,
                inside: Some(inside),
            },
            HistoryError::Failed(_) | HistoryError::Closed => Self::Internal {
                inside: error.to_string(),
            },
        }
    }
}

impl From<DestinationsError> for ApiError {
    fn from(error: DestinationsError) -> Self {
        match error {
            DestinationsError::NobodyDelivers => Self::NotNow {
                code: "NOT_DELIVERING",
                sentence: "Nothing is delivered in this process; ask one that delivers.",
                inside: None,
            },
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Unwritable(inside) => Self::NotNow {
                code: "STORE_UNWRITABLE",
                sentence: "Nothing can be written now, and nothing was; try again later.",
                inside: Some(inside),
            },
            ControlError::MaybeDone(inside) => Self::maybe_done(inside),
            ControlError::Failed(inside) => Self::Internal { inside },
        }
    }
}

impl From<RotationError> for ApiError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::NoNewKey => Self::Conflict {
                code: "NO_NEW_KEY",
                sentence: "There is no new key: put one first among the keys of every process, keep the old one after it, and rotate again.",
            },
            RotationError::Unwritable(inside) => Self::NotNow {
                code: "STORE_UNWRITABLE",
                sentence: "Nothing can be written now, and nothing was; try again later.",
                inside: Some(inside),
            },
            RotationError::Keys(inside) => Self::NotNow {
                code: "KEYS_UNUSABLE",
                sentence: "The file with the keys cannot be read or replaced; the log says why.",
                inside: Some(inside),
            },
            RotationError::Failed(inside) => Self::Internal { inside },
        }
    }
}

impl From<ReplayError> for ApiError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::OnItsWay => Self::Conflict {
                code: "DELIVERY_ON_ITS_WAY",
                sentence: "The delivery is still on its way; replay it when it has ended.",
            },
            ReplayError::CredentialGone => Self::Conflict {
                code: "CREDENTIAL_GONE",
                sentence: "The delivery's users are deleted and so is the token: there is nothing to send it with.",
            },
            ReplayError::TooMany => Self::NotNow {
                code: "TOO_MANY_REPLAYS",
                sentence: "Too many replayed deliveries are on their way; try again when some have ended.",
                inside: None,
            },
            ReplayError::Store(error) => error.into(),
        }
    }
}
