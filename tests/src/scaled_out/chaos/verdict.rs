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

/// A consumer or a broker stood still from then on.
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
    }
    report
}

/// Requests that had been read before a stop and whose outcome was on record after it alone;
/// each counted once a stop.
fn begun_and_not_recorded(topics: &TopicReader, messages: &[Message], stops: &[Stop]) -> usize {
    let mut ends: HashMap<(String, String), i64> = HashMap::new();
    for alert in topics.stored() {
        for (ordinal, delivery) in (0..).zip(&alert.deliveries) {
            let recorded = topics.recorded(alert.sequence, ordinal);
            let end = recorded.iter().find(|one| one.is_end).map(|one| one.at);
            let key = (alert.text.clone(), delivery.channel.clone());
            ends.insert(key, end.unwrap_or(i64::MAX));
        }
    }
    let mut first = HashSet::new();
    let firsts: Vec<(i64, i64)> = messages
        .iter()
        .filter_map(|message| {
            let key = (message.text.clone(), message.channel.clone());
            let ended = ends.get(&key).copied()?;
            let read: Timestamp = message.received_at.parse().ok()?;
            first.insert(key).then(|| (read.as_millisecond(), ended))
        })
        .collect();
    let at = |stop: &Stop| {
        let open = firsts.iter();
        open.filter(|(read, ended)| *read <= stop.at && *ended >= stop.at)
            .count()
    };
    stops.iter().map(at).sum()
}
