//! What an answer means for the delivery it was given to.

use std::time::Duration;

use crate::domain::{Answer, Attempt, AttemptResult, Fault};

use super::{event::Answered, held::Held, settings::EngineSettings};

/// What follows for the delivery.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The service has all of it.
    Delivered,
    /// The next part goes next.
    PartSent,
    /// Its lane waits, and it with it.
    Waits(Fault),
    /// It waits alone.
    StepsAside,
    /// It is a digest, and what it carries goes one by one.
    TakenApart,
    /// It is given up.
    Dead(String),
    /// It was cancelled meanwhile.
    Cancelled,
}

/// Judges the end of an attempt, `held` counting it already.
///
/// The first delivery whose credential is refused for good is dead at once, so that
/// someone sees it. Those that find a credential refused that was known to be
/// (`credential_was_refused`) wait for its replacement.
pub(super) fn judge(
    held: &Held,
    answered: &Answered,
    expired_at: Option<Duration>,
    credential_was_refused: bool,
    settings: &EngineSettings,
) -> Verdict {
    let is_digest = held.lease.digest.is_some();
    let (fault, reason) = match &answered.answer {
        Answer::Accepted { .. } if held.parts_sent < answered.parts => return Verdict::PartSent,
        Answer::Accepted { .. } => return Verdict::Delivered,
        Answer::Refused(refusal) if is_digest && refusal.fault == Fault::Payload => {
            return Verdict::TakenApart;
        }
        // Of many deliveries none dies that could wait.
        Answer::Refused(refusal)
            if refusal.lasting
                && !credential_was_refused
                && !(is_digest && refusal.fault == Fault::Credential) =>
        {
            return Verdict::Dead(format!("refused for good: {}", refusal.reason));
        }
        Answer::Refused(refusal) => (refusal.fault, &refusal.reason),
        Answer::MaybeAccepted { reason } => (Fault::Destination, reason),
    };
    if let Some(age) = expired_at {
        return Verdict::Dead(too_old(held.attempts, age, reason));
    }
    match fault {
        Fault::Payload if held.refusals >= settings.payload_attempts => Verdict::Dead(format!(
            "refused {} times because of its content: {reason}",
            held.refusals
        )),
        Fault::Payload => Verdict::StepsAside,
        Fault::Destination | Fault::Credential | Fault::Host | Fault::Unclear => {
            Verdict::Waits(fault)
        }
    }
}

/// The reason of a delivery given up for its age.
pub(super) fn too_old(attempts: u32, age: Duration, error: &str) -> String {
    let hours = age.as_secs() / 3600;
    format!("given up after {hours} h and {attempts} attempts; the last error was: {error}")
}

/// The attempt for the record.
pub(super) fn record(number: u32, answered: Answered) -> Attempt {
    let (result, status, error, provider_id) = match answered.answer {
        Answer::Accepted {
            status,
            provider_id,
        } => (AttemptResult::Accepted, Some(status), None, provider_id),
        Answer::Refused(refusal) => (
            AttemptResult::Refused,
            refusal.status,
            Some(refusal.reason),
            None,
        ),
        Answer::MaybeAccepted { reason } => {
            (AttemptResult::MaybeAccepted, None, Some(reason), None)
        }
    };
    Attempt {
        number,
        started_at: answered.started_at,
        took: answered.took,
        result,
        status,
        error,
        provider_id,
    }
}
