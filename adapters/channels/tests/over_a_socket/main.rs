//! The channels against servers on the loopback interface.
#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

mod guard;
mod server;
mod slack;
mod webhook;

use common::{Alert, AlertId, Gtid, Severity, UtcMillis};
use consumer::domain::{Answer, Fault, Refusal};

/// 2026-11-23T08:00:00.123Z.
const ACCEPTED: UtcMillis = UtcMillis(1_795_420_800_123);

fn alert() -> Alert {
    Alert {
        id: AlertId::at(ACCEPTED),
        caller: None,
        gtid: Gtid::parse("G1").unwrap(),
        severity: Severity::High,
        message: "node1 down".into(),
        targets: ["@ann".into()].into(),
        accepted_at: ACCEPTED,
        verbatim: false,
    }
}

/// The refusal that `answer` has to be.
fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The reason of an answer that has to be [`Answer::MaybeAccepted`].
fn maybe(answer: Answer) -> String {
    match answer {
        Answer::MaybeAccepted { reason } => reason,
        other => panic!("not open: {other:?}"),
    }
}

/// A refusal that passes.
fn passing(fault: Fault, status: u16, reason: &str) -> Refusal {
    Refusal {
        fault,
        lasting: false,
        retry_after: None,
        status: Some(status),
        reason: reason.to_owned(),
    }
}
