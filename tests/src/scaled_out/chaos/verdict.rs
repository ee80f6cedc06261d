//! Whether what arrived is what was promised.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::Duration,
};

use jiff::Timestamp;

use super::Kind;
use crate::{
    crash::judge,
    harness::{Directory, Message, Outcome, Posted},
    scaled_out::{Sent, TopicReader},
};

/// A consumer or a broker stood still from then on, or a consumer found that another may
/// have what it had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// In milliseconds since 1970.
    pub(super) at: i64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How often what happened.
    pub counts: BTreeMap<Kind, usize>,
    /// Alerts answered 200.
    pub accepted: usize,
    /// Alerts refused for certain.
    pub refused: usize,
    /// Alerts without an answer, or one that leaves it open.
    pub unknown: usize,
    /// Deliveries that arrived, each counted once.
    pub delivered: usize,
    /// Messages that arrived again.
    pub twice: usize,
    /// At most so many may.
    pub cap: usize,
    /// Deliveries of accepted alerts that never arrived.
    pub lost: usize,
    /// The longest that a client waited for an answer.
    pub outlasted: Duration,
    /// What must not be.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.counts {
            writeln!(f, "{count:>6} {kind:?}")?;
        }
        write!(
            f,
            "{} alerts accepted, {} refused, {} without a certain answer (longest wait {:.1} s); \
             {} deliveries, lost {}, twice {} (cap {}), violations {}",
            self.accepted,
            self.refused,
            self.unknown,
            self.outlasted.as_secs_f64(),
            self.delivered,
            self.lost,
            self.twice,
            self.cap,
            self.violations.len()
        )
    }
}

/// Judges all of a run, once everything has ended.
pub(super) fn judge_all(
    directory: &Directory,
    sent: &[Sent],
    topics: &TopicReader,
    messages: &[Message],
    stops: &[Stop],
) -> Report {
    let posted: Vec<Posted> = sent.iter().map(Sent::as_certain).collect();
    let count = |is: fn(&Outcome) -> bool| posted.iter().filter(|one| is(&one.outcome)).count();
    let stored = topics.stored();
    let verdict = judge(directory, &posted, &stored, messages);
    let lost_answers = messages.iter().filter(|one| one.answer == "lost").count();
    let begun = begun_and_not_recorded(topics, messages, stops);
    let mut report = Report {
        counts: BTreeMap::new(),
        accepted: count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
        refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
        unknown: count(|outcome| *outcome == Outcome::Unanswered),
        delivered: verdict.delivered,
        twice: verdict.twice,
        cap: lost_answers + begun,
        lost: verdict.lost,
        outlasted: Duration::ZERO,
        violations: verdict.violations,
    };
    if report.twice > report.cap {
        report
            .violations
            .push(format!("{} came twice, cap {}", report.twice, report.cap));
        report
            .violations
            .extend(unexplained(topics, messages, stops));
    }
    report
}

/// What a destination got of a delivery: its text and its channel.
type Key = (String, String);

/// Requests that had been read before a stop and whose outcome was on record after it alone;
/// each counted once a stop.
fn begun_and_not_recorded(topics: &TopicReader, messages: &[Message], stops: &[Stop]) -> usize {
    let ends = ends(topics);
    let mut first = HashSet::new();
    let firsts: Vec<(i64, i64)> = messages
        .iter()
        .filter_map(|message| {
            let ended = ends.get(&key(message)).copied()?;
            first
                .insert(key(message))
                .then(|| (read_at(message), ended))
        })
        .collect();
    let at = |stop: &Stop| {
        let open = firsts.iter();
        open.filter(|(read, ended)| *read <= stop.at && *ended >= stop.at)
            .count()
    };
    stops.iter().map(at).sum()
}

/// The first of those that came again though nothing stood still between their arrival and
/// their record, with what stood still last before they came again.
fn unexplained(topics: &TopicReader, messages: &[Message], stops: &[Stop]) -> Vec<String> {
    const NAMED: usize = 20;
    let ends = ends(topics);
    let mut came: HashMap<Key, &Message> = HashMap::new();
    let mut lines = Vec::new();
    for message in messages {
        let Some(before) = came.insert(key(message), message) else {
            continue;
        };
        let (read, again) = (read_at(before), read_at(message));
        let ended = ends.get(&key(message)).copied().unwrap_or(i64::MAX);
        let excuses = |stop: &&Stop| read <= stop.at && stop.at <= ended;
        if before.answer != "lost" && !stops.iter().any(|stop| excuses(&stop)) {
            let last = stops.iter().rfind(|stop| stop.at <= again);
            lines.push(format!(
                "{:?} to {} at {}, answer {}: again {} ms later, on record {} ms later; {}",
                message.text,
                message.channel,
                before.received_at,
                before.answer,
                again - read,
                ended.saturating_sub(read),
                last.map_or("nothing stood still before".to_owned(), |stop| {
                    format!("the last stop {} ms before it came again", again - stop.at)
                }),
            ));
        }
    }
    lines.truncate(NAMED);
    lines
}

/// When the end of each delivery was put on record.
fn ends(topics: &TopicReader) -> HashMap<Key, i64> {
    let mut ends = HashMap::new();
    for alert in topics.stored() {
        for (ordinal, delivery) in (0..).zip(&alert.deliveries) {
            let recorded = topics.recorded(alert.sequence, ordinal);
            let end = recorded.iter().find(|one| one.is_end).map(|one| one.at);
            let key = (alert.text.clone(), delivery.channel.clone());
            ends.insert(key, end.unwrap_or(i64::MAX));
        }
    }
    ends
}

fn key(message: &Message) -> Key {
    (message.text.clone(), message.channel.clone())
}

/// When its request had been read, in milliseconds since 1970.
fn read_at(message: &Message) -> i64 {
    let read: Timestamp = message.received_at.parse().expect("a time by RFC 3339");
    read.as_millisecond()
}
