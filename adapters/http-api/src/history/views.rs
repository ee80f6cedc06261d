//! Records as the API shows them.

use common::{Alert, UtcMillis};
use producer::{
    domain::Directory,
    ports::{AlertSummary, AttemptRecord, DeadLetter, DeliveryRecord, DeliveryState, StateCounts},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{redact, users::rfc3339};

/// In a list, of a message.
const SHORT_MESSAGE: usize = 1_000;
/// In a list, of an alert's targets.
const FEW_TARGETS: usize = 100;
/// Of a delivery's recipients.
const MOST_RECIPIENTS: usize = 1_000;

/// A part of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Part<T> {
    /// The last accepted first.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; null on the last. A page may have fewer items
    /// than asked for, even none, and yet not be the last: the search is bounded.
    pub(crate) next_cursor: Option<String>,
}

/// An alert.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertView {
    /// The alert's id.
    #[schema(example = "019ab5d6-1f3c-7c55-9c1e-4b0a6c1f5e11")]
    id: Uuid,
    /// `high`, `normal` or `low`.
    #[schema(example = "high")]
    severity: &'static str,
    /// The text; in a list, its first 1,000 characters.
    #[schema(example = "node1 down")]
    message: String,
    /// When it was accepted, RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T08:00:00.123Z")]
    accepted_at: String,
    /// The global transaction id of the request that brought it.
    gtid: String,
    /// The id of the API token that it was posted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_id: Option<Uuid>,
    /// Whom it named; in a list, the first 100.
    target: Vec<String>,
    /// Users whom it concerned.
    #[schema(example = 2)]
    user_count: usize,
    /// How many of its deliveries are in each state.
    states: StatesView,
}

/// How many deliveries are in each state.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatesView {
    queued: u64,
    sending: u64,
    waiting: u64,
    delivered: u64,
    digested: u64,
    dead: u64,
    cancelled: u64,
}

/// An alert with its deliveries.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AlertDetailView {
    #[serde(flatten)]
    pub(crate) alert: AlertView,
    /// A page of its deliveries.
    pub(crate) deliveries: Vec<DeliveryView>,
    /// Where the next page of deliveries begins; null on the last.
    pub(crate) next_cursor: Option<String>,
}

/// One message to one place.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    /// The delivery's id.
    id: Uuid,
    /// The kind of channel.
    #[schema(example = "slack")]
    channel: String,
    /// The place within the service: a Slack channel id.
    #[schema(example = "test_channel_id1")]
    address: String,
    /// Whom it tells; the first 1,000.
    recipients: Vec<RecipientView>,
    /// `queued`, `sending`, `waiting`, `delivered`, `digested`, `dead` or `cancelled`.
    #[schema(example = "delivered")]
    state: &'static str,
    /// The first attempt first; with its digest's, which have numbers of their own.
    attempts: Vec<AttemptView>,
    /// The digest that carries it or carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<DigestView>,
    /// While it or its digest waits: not before this, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// Why it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "refused for good: channel_not_found")]
    reason: Option<String>,
    /// When it was last replayed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    replayed_at: Option<String>,
    /// Whether it was replayed although the service had it already.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    repeated: bool,
    /// When it was cancelled, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    cancelled_at: Option<String>,
    /// When its dead letter was discarded, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    discarded_at: Option<String>,
}

/// A user whom a delivery tells.
#[derive(Serialize, ToSchema)]
struct RecipientView {
    /// The user's id.
    id: Uuid,
    /// The user's name, unless they were deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The first target that matched.
    target: String,
}

/// One message that carries several deliveries.
#[derive(Serialize, ToSchema)]
struct DigestView {
    /// The digest's id.
    id: Uuid,
    /// Where the digest itself stands, in the same words.
    #[schema(example = "delivered")]
    state: &'static str,
    /// How many deliveries it carries, unless that was trimmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 37)]
    deliveries: Option<u32>,
}

/// One request to the external service.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    /// From 1.
    number: u32,
    /// When the request began, RFC 3339.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long until its end, in milliseconds.
    took_ms: f64,
    /// `accepted`, `refused` or `maybe_accepted`.
    result: &'static str,
    /// The HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The service's error code, or what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The service's own id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_id: Option<String>,
}

/// A delivery with what it delivers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryDetailView {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Its alert's id.
    alert_id: Uuid,
    /// Its alert's severity.
    severity: &'static str,
    /// Its alert's text; in a list, its first 1,000 characters.
    message: String,
    /// When its alert was accepted, RFC 3339.
    #[schema(format = DateTime)]
    accepted_at: String,
}

pub(super) fn short(summary: &AlertSummary) -> AlertView {
    let alert = &summary.alert;
    let message = cut(&alert.message);
    view(summary, message, FEW_TARGETS)
}

pub(super) fn whole(summary: &AlertSummary) -> AlertView {
    view(summary, text(&summary.alert.message), usize::MAX)
}

pub(super) fn dead_letter(directory: &Directory, letter: &DeadLetter) -> DeliveryDetailView {
    let alert = &letter.detail.alert;
    let message = cut(&alert.message);
    detail(directory, alert, &letter.detail.delivery, message)
}

pub(super) fn detail(
    directory: &Directory,
    alert: &Alert,
    delivery: &DeliveryRecord,
    message: String,
) -> DeliveryDetailView {
    DeliveryDetailView {
        delivery: self::delivery(directory, alert, delivery),
        alert_id: alert.id.0,
        severity: alert.severity.as_str(),
        message,
        accepted_at: rfc3339(alert.accepted_at),
    }
}

pub(super) fn delivery(
    directory: &Directory,
    alert: &Alert,
    record: &DeliveryRecord,
) -> DeliveryView {
    let withdrawn = record.withdrawn_at.map(rfc3339);
    let recipients = record.recipients.iter().take(MOST_RECIPIENTS);
    DeliveryView {
        id: record.id.0,
        channel: record.destination.kind.to_string(),
        address: record.destination.shown(),
        recipients: recipients
            .map(|recipient| RecipientView {
                id: recipient.user.0,
                name: directory
                    .user(recipient.user)
                    .map(|user| user.name.to_string()),
                target: alert
                    .targets
                    .get(recipient.target as usize)
                    .map(|target| target.to_string())
                    .unwrap_or_default(),
            })
            .collect(),
        state: record.state.as_str(),
        attempts: record.attempts.iter().map(attempt).collect(),
        digest: record.digest.map(|digest| DigestView {
            id: digest.id,
            state: digest.state.as_str(),
            deliveries: digest.deliveries,
        }),
        next_attempt_at: record.next_attempt_at.map(rfc3339),
        reason: record.reason.clone(),
        replayed_at: record.replayed_at.map(rfc3339),
        repeated: record.repeated,
        cancelled_at: withdrawn
            .clone()
            .filter(|_| record.state != DeliveryState::Dead),
        discarded_at: withdrawn.filter(|_| record.state == DeliveryState::Dead),
    }
}

fn view(summary: &AlertSummary, message: String, targets: usize) -> AlertView {
    let alert = &summary.alert;
    AlertView {
        id: alert.id.0,
        severity: alert.severity.as_str(),
        message,
        accepted_at: rfc3339(alert.accepted_at),
        gtid: alert.gtid.as_str().to_owned(),
        caller_id: alert.caller.map(|token| token.0),
        target: alert
            .targets
            .iter()
            .take(targets)
            .map(|target| target.to_string())
            .collect(),
        user_count: summary.user_count,
        states: states(&summary.states),
    }
}

fn states(counts: &StateCounts) -> StatesView {
    StatesView {
        queued: counts.of(DeliveryState::Queued),
        sending: counts.of(DeliveryState::Sending),
        waiting: counts.of(DeliveryState::Waiting),
        delivered: counts.of(DeliveryState::Delivered),
        digested: counts.of(DeliveryState::Digested),
        dead: counts.of(DeliveryState::Dead),
        cancelled: counts.of(DeliveryState::Cancelled),
    }
}

fn attempt(record: &AttemptRecord) -> AttemptView {
    let micros = u32::try_from(record.took.as_micros()).unwrap_or(u32::MAX);
    AttemptView {
        number: record.number,
        started_at: rfc3339(record.started_at),
        took_ms: f64::from(micros) / 1000.0,
        result: record.result.as_str(),
        status: record.status,
        error: record.error.clone(),
        provider_id: record.provider_id.clone(),
    }
}

/// A message as people may see it later: a token that somebody sent in it went to
/// its recipients and to nobody else.
pub(super) fn text(message: &str) -> String {
    redact::tokens(message).into_owned()
}

fn cut(message: &str) -> String {
    redact::tokens(message)
        .chars()
        .take(SHORT_MESSAGE)
        .collect()
}

/// A time of an event.
pub(super) fn time(at: UtcMillis) -> String {
    rfc3339(at)
}
