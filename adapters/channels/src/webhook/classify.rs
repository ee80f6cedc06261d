//! What a webhook's answer means: its status alone says it.

use std::time::SystemTime;

use consumer::domain::{Answer, Refusal};

use super::statuses;
use crate::http::{HttpAnswer, retry_after};

/// What `answer`, which came at `now`, means. Its body may say anything, or never end:
/// nothing of it is kept.
pub(super) fn classify(answer: &HttpAnswer, now: SystemTime) -> Answer {
    let status = answer.status;
    if status.is_success() {
        return Answer::Accepted {
            status: status.as_u16(),
            provider_id: None,
        };
    }
    let found = statuses::find(status.as_u16());
    let reason = match found.note {
        "" => status.to_string(),
        note => format!("{status}: {note}"),
    };
    Answer::Refused(Refusal {
        fault: found.fault,
        lasting: found.lasting,
        retry_after: retry_after(&answer.headers, now),
        status: Some(status.as_u16()),
        reason,
    })
}
