//! What became of alerts, for those who ask.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use async_trait::async_trait;
use common::{Alert, AlertId, DeliveryId, Destination, Recipients, Severity, UserId, UtcMillis};
use uuid::Uuid;

/// The record of alerts and deliveries.
///
/// Every call only reads, changes nothing, and may be repeated. Each is bounded
/// in work: a page may hold fewer items than asked for, even none, and still not
/// be the last. Nothing here slows accepting or settling down.
#[async_trait]
pub trait History: Send + Sync {
    /// Alerts that match, the last accepted first, up to `limit` (at least 1);
    /// only those accepted before the sequence number `before`, where given.
    async fn alerts(
        &self,
        filter: AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AlertPage, HistoryError>;

    /// An alert and its deliveries from the place `from` on, up to `limit` (at
    /// least 1), in their order; `None` where there is none of that id.
    async fn alert(
        &self,
        id: AlertId,
        from: u32,
        limit: usize,
    ) -> Result<Option<AlertDetail>, HistoryError>;

    /// A delivery and its alert; `None` where there is none of that id.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, HistoryError>;

    /// Dead letters that match, of the last accepted alert first, up to `limit`
    /// (at least 1); only those before `before`, where given.
    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<DeadLetterPage, HistoryError>;

    /// Where the feed stands now; its next event follows this.
    fn now(&self) -> EventId;

    /// What has happened after `after`, in order, up to about `room`: waits until
    /// there is something. A call that is dropped has missed nothing.
    async fn events(&self, after: EventId, room: usize) -> Result<Events, HistoryError>;
}

/// Which alerts to show: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Accepted at this time or later.
    pub since: Option<UtcMillis>,
    /// Accepted at this time or earlier.
    pub until: Option<UtcMillis>,
    /// That concerned this user.
    pub user: Option<UserId>,
    /// That named this target, such as `@@operators`.
    pub target: Option<Box<str>>,
    /// With at least one delivery in this state.
    pub state: Option<DeliveryState>,
    /// Whose message holds this text, whatever the letter case.
    pub text: Option<Box<str>>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryState {
    /// It waits for its turn.
    Queued,
    /// A request is under way, or some parts of the text are there and others not.
    Sending,
    /// It waits for another attempt.
    Waiting,
    /// The service has it.
    Delivered,
    /// A digest carries it, or carried it and the service has that.
    Digested,
    /// Given up.
    Dead,
    /// Somebody cancelled it before it was sent.
    Cancelled,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [DeliveryState; 7] = [
        DeliveryState::Queued,
        DeliveryState::Sending,
        DeliveryState::Waiting,
        DeliveryState::Delivered,
        DeliveryState::Digested,
        DeliveryState::Dead,
        DeliveryState::Cancelled,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Queued => "queued",
            DeliveryState::Sending => "sending",
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Digested => "digested",
            DeliveryState::Dead => "dead",
            DeliveryState::Cancelled => "cancelled",
        }
    }
}

/// How many of an alert's deliveries are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts([u64; 7]);

impl StateCounts {
    /// How many are in `state`.
    pub fn of(&self, state: DeliveryState) -> u64 {
        self.0[state as usize]
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, state: DeliveryState) -> &mut u64 {
        &mut self.0[state as usize]
    }
}

/// An alert in a list.
#[derive(Clone, Debug)]
pub struct AlertSummary {
    /// Its place in the order of acceptance.
    pub sequence: u64,
    /// The alert.
    pub alert: Arc<Alert>,
    /// Users whom it concerned.
    pub user_count: usize,
    /// What became of its deliveries.
    pub states: StateCounts,
}

/// A part of the list of alerts.
#[derive(Clone, Debug)]
pub struct AlertPage {
    /// The last accepted first.
    pub items: Vec<AlertSummary>,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<u64>,
}

/// An alert with deliveries.
#[derive(Clone, Debug)]
pub struct AlertDetail {
    /// The alert.
    pub summary: AlertSummary,
    /// A part of its deliveries.
    pub deliveries: Vec<DeliveryRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<u32>,
}

/// A delivery with its alert.
#[derive(Clone, Debug)]
pub struct DeliveryDetail {
    /// Its alert.
    pub alert: Arc<Alert>,
    /// The delivery.
    pub delivery: DeliveryRecord,
}

/// What is known of a delivery.
#[derive(Clone, Debug)]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// Where to.
    pub destination: Destination,
    /// For whom.
    pub recipients: Recipients,
    /// Where it stands.
    pub state: DeliveryState,
    /// What was tried, the first attempt first; with its digest's attempts, which
    /// have numbers of their own.
    pub attempts: Vec<AttemptRecord>,
    /// The digest that carries it or carried it.
    pub digest: Option<DigestRecord>,
    /// When it, or its digest, is tried again, while it waits.
    pub next_attempt_at: Option<UtcMillis>,
    /// Why it is dead.
    pub reason: Option<String>,
    /// When it was last replayed.
    pub replayed_at: Option<UtcMillis>,
    /// Whether the service had it already when it was replayed.
    pub repeated: bool,
    /// When it was cancelled, or its dead letter discarded.
    pub withdrawn_at: Option<UtcMillis>,
}

/// What is known of the digest of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestRecord {
    /// Its id.
    pub id: Uuid,
    /// Where the digest itself stands.
    pub state: DeliveryState,
    /// How many deliveries it carries; `None` where that was trimmed.
    pub deliveries: Option<u32>,
}

/// What is known of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// From 1.
    pub number: u32,
    /// When the request began.
    pub started_at: UtcMillis,
    /// How long until its end.
    pub took: Duration,
    /// How it ended.
    pub result: AttemptResult,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// The service's error code, or a short description.
    pub error: Option<String>,
    /// The service's own id of the message.
    pub provider_id: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// The service took the message.
    Accepted,
    /// The service did not take it.
    Refused,
    /// It may have.
    MaybeAccepted,
}

impl AttemptResult {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AttemptResult::Accepted => "accepted",
            AttemptResult::Refused => "refused",
            AttemptResult::MaybeAccepted => "maybe_accepted",
        }
    }
}

/// Which dead letters to show: those that meet all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// To a channel of this kind, such as `slack`.
    pub channel: Option<Box<str>>,
    /// Whose reason holds this text.
    pub reason: Option<Box<str>>,
    /// Of alerts accepted at this time or later.
    pub since: Option<UtcMillis>,
}

/// A delivery's place in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryPlace {
    /// The alert's sequence number.
    pub sequence: u64,
    /// The delivery's place within the alert.
    pub ordinal: u32,
}

/// A dead letter in a list.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its place.
    pub place: DeliveryPlace,
    /// The delivery and its alert.
    pub detail: DeliveryDetail,
}

/// A part of the list of dead letters.
#[derive(Clone, Debug)]
pub struct DeadLetterPage {
    /// Of the last accepted alert first.
    pub items: Vec<DeadLetter>,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<DeliveryPlace>,
}

/// Names an event for ever, in the order in which they happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Grows by one with each commit that changes what is known of deliveries.
    pub commit: u64,
    /// Its place among what has happened since the commit before.
    pub place: u32,
}

impl EventId {
    /// Follows every event of that commit.
    pub fn end_of(commit: u64) -> Self {
        Self {
            commit,
            place: u32::MAX,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.commit, self.place)
    }
}

/// The text does not name an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's id is two numbers such as 1234-5")]
pub struct MalformedEventId;

impl FromStr for EventId {
    type Err = MalformedEventId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (commit, place) = text.split_once('-').ok_or(MalformedEventId)?;
        let id = Self {
            commit: commit.parse().map_err(|_| MalformedEventId)?,
            place: place.parse().map_err(|_| MalformedEventId)?,
        };
        // One text for one id: no signs and no leading zeros.
        if id.to_string() == text {
            Ok(id)
        } else {
            Err(MalformedEventId)
        }
    }
}

/// What has happened.
#[derive(Clone, Debug)]
pub struct Events {
    /// Whether some after the id asked for are no longer known, or the id is one
    /// that this store never gave out.
    pub gap: bool,
    /// In order; may be empty.
    pub items: Vec<Event>,
    /// Ask for what follows this.
    pub next: EventId,
}

/// One thing that has happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// When.
    pub at: UtcMillis,
    /// The alert that it is about.
    pub alert: Arc<Alert>,
    /// What.
    pub happening: Happening,
}

/// What has happened to an alert.
#[derive(Clone, Debug)]
pub enum Happening {
    /// It was accepted.
    Accepted {
        /// Users whom it concerns.
        user_count: usize,
    },
    /// One of its deliveries changed its state.
    Delivery {
        /// The delivery.
        id: DeliveryId,
        /// Where to.
        destination: Destination,
        /// Its state then.
        state: DeliveryState,
    },
}

/// Why the history cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The store is away; try again later.
    #[error("the history cannot be read now: {0}")]
    Unavailable(String),
    /// The store failed.
    #[error("the history failed: {0}")]
    Failed(String),
    /// The store was closed, since the process is ending.
    #[error("the history is closed")]
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_reads_back_as_it_was_written() {
        for id in [EventId::default(), EventId::end_of(u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_event_id_is_refused() {
        for text in [
            "",
            "1",
            "-",
            "1-",
            "-1",
            "01-1",
            "+1-1",
            "1-1-1",
            "a-b",
            "1-4294967296",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(MalformedEventId), "{text:?}");
        }
    }
}
