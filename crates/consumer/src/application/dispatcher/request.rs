//! One request to an external service, as a task of its own.

use std::{sync::Arc, time::Duration};

use common::{Now, UtcMillis};
use tokio::sync::{mpsc::UnboundedSender, watch};

use crate::{
    application::engine::{Answered, Event, SendOrder, Ticket},
    domain::{Answer, AttemptResult, Fault, Refusal},
    ports::{Message, Part, Text},
};

use super::{Outside, limits::Permit};

/// What the task of a request tells.
#[derive(Debug)]
pub(super) enum Told {
    /// What happened.
    Event(Event),
    /// The request was not begun, since the dispatcher is ending or the queue is no
    /// longer this consumer's.
    NotBegun,
}

/// Begins the request that the engine ordered, as soon as the limits allow; its end is
/// reported, whatever happens. One that has to wait until `stopping` is not begun.
pub(super) fn spawn(
    outside: &Arc<Outside>,
    order: SendOrder,
    reports: UnboundedSender<Told>,
    stopping: watch::Receiver<bool>,
) {
    let outside = Arc::clone(outside);
    tokio::spawn(async move {
        let Some(_permit) = may_begin(&outside, &order, stopping).await else {
            // Nobody listens any more where the dispatcher has ended.
            let _ = reports.send(Told::NotBegun);
            return;
        };
        let begun = outside.clock.now();
        let report = Report {
            ticket: order.ticket,
            reports,
            started_at: begun.utc,
            ended: false,
        };
        if order.attempt == 1 {
            outside
                .metrics
                .first_sent(begun.utc.since(order.lease.alert.accepted_at));
        }
        let (answer, parts) = send(&outside, &order).await;
        let (result, fault) = match &answer {
            Answer::Accepted { .. } => (AttemptResult::Accepted, None),
            Answer::Refused(refusal) => (AttemptResult::Refused, Some(refusal.fault)),
            Answer::MaybeAccepted { .. } => (AttemptResult::MaybeAccepted, None),
        };
        outside
            .metrics
            .attempt_ended(&order.lease.destination.kind, result, fault);
        report.end(answer, parts, took(begun, outside.clock.now()));
    });
}

/// What the request holds while it is under way; `None` where it is not to begin.
async fn may_begin(
    outside: &Outside,
    order: &SendOrder,
    mut stopping: watch::Receiver<bool>,
) -> Option<Option<Permit>> {
    let permit = match &outside.limits {
        None => None,
        Some(limits) => {
            let severity = order.lease.alert.severity;
            let permit = limits.acquire(&order.lease.destination, severity);
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return None,
                permit = permit => Some(permit),
            }
        }
    };
    outside.queue.may_send().then_some(permit)
}

/// Answers what the service said and how many parts the text has.
async fn send(outside: &Outside, order: &SendOrder) -> (Answer, u16) {
    let lease = &*order.lease;
    let kind = &lease.destination.kind;
    let Some(channel) = outside
        .channels
        .iter()
        .find(|channel| channel.kind() == *kind)
    else {
        let reason = format!("no channel of the kind {kind} is configured");
        return (refused_for_good(reason), 1);
    };
    let mut parts = channel.parts(Text {
        text: &lease.text(),
        verbatim: lease.is_verbatim(),
    });
    let count = parts.len();
    // A channel that now cuts into fewer parts than are sent gets its last one
    // again: rather a repeated part than a lost one.
    let part = usize::from(order.part).min(count.saturating_sub(1));
    let text = if part < count {
        parts.swap_remove(part)
    } else {
        String::new()
    };
    let credential = outside.credentials.current(lease);
    let message = Message {
        destination: &lease.destination,
        credential: &credential,
        alert: &lease.alert,
        digest: lease.digest.as_deref(),
        delivery: lease.delivery_id(),
        text: &text,
        part: Part {
            number: small(part + 1),
            of: small(count),
        },
    };
    let answer = channel.send(message).await;
    (answer, small(count))
}

/// A number of parts: at least 1.
fn small(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX).max(1)
}

fn refused_for_good(reason: String) -> Answer {
    Answer::Refused(Refusal {
        fault: Fault::Destination,
        lasting: true,
        retry_after: None,
        status: None,
        reason,
    })
}

fn took(from: Now, to: Now) -> Duration {
    to.mono.saturating_sub(from.mono)
}

/// Owes the engine the end of a request. Dropped without it, since the task
/// panicked, it says that nobody knows how the request ended: the lane goes on.
struct Report {
    ticket: Ticket,
    reports: UnboundedSender<Told>,
    started_at: UtcMillis,
    ended: bool,
}

impl Report {
    fn end(mut self, answer: Answer, parts: u16, took: Duration) {
        self.tell(answer, parts, took);
    }

    fn tell(&mut self, answer: Answer, parts: u16, took: Duration) {
        self.ended = true;
        let answered = Answered {
            ticket: self.ticket,
            answer,
            parts,
            started_at: self.started_at,
            took,
        };
        // Nobody listens any more where the dispatcher has ended.
        let _ = self.reports.send(Told::Event(Event::Answered(answered)));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.ended {
            let reason = "the request was broken off by a fault in this program".into();
            self.tell(Answer::MaybeAccepted { reason }, 1, Duration::ZERO);
        }
    }
}
