//! What is to be handed over, and in which order.

use std::collections::VecDeque;

use common::{Severity, wire::Place};

use super::{Feed, entry::Entry};

/// Deliveries of one topic held in memory before they are handed over, at most; one
/// read may go above it.
const MOST: usize = 4_096;
/// The bytes of their messages, at most.
const MOST_BYTES: usize = 8 << 20;

/// The deliveries of a partition that the consumer does not have yet.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those that wait for another attempt since before the assignment.
    pub(super) waiting: VecDeque<Place>,
    /// Those that somebody has replayed.
    pub(super) again: VecDeque<Place>,
    /// All others, by urgency.
    fresh: [VecDeque<Place>; 3],
    /// Those of `fresh` that were there at the assignment.
    early: usize,
    buffered: [Buffered; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Buffered {
    count: usize,
    bytes: usize,
}

impl Line {
    /// Whether more of a topic should be read.
    pub(super) fn has_room(&self, feed: Feed) -> bool {
        let buffered = self.buffered[feed.index()];
        buffered.count < MOST && buffered.bytes < MOST_BYTES
    }

    /// Whether nothing is left that was there at the assignment.
    pub(super) fn is_past_the_early(&self) -> bool {
        self.waiting.is_empty() && self.early == 0
    }

    /// Adds one after all others of its severity.
    pub(super) fn push(&mut self, place: Place, severity: Severity, early: bool) {
        self.fresh[urgency(severity)].push_back(place);
        self.early += usize::from(early);
    }

    /// It came from a topic, and takes so much memory.
    pub(super) fn hold(&mut self, feed: Feed, weight: u32) {
        let buffered = &mut self.buffered[feed.index()];
        buffered.count += 1;
        buffered.bytes += weight as usize;
    }

    /// It is in the line no more.
    pub(super) fn let_go(&mut self, entry: &mut Entry) {
        if std::mem::take(&mut entry.early) {
            self.early = self.early.saturating_sub(1);
        }
        let weight = std::mem::take(&mut entry.weight);
        if let Some(feed) = entry.feed
            && weight > 0
        {
            let buffered = &mut self.buffered[feed.index()];
            buffered.count = buffered.count.saturating_sub(1);
            buffered.bytes = buffered.bytes.saturating_sub(weight as usize);
        }
    }

    /// The first of a severity.
    pub(super) fn pop(&mut self, severity: Severity) -> Option<Place> {
        self.fresh[urgency(severity)].pop_front()
    }

    /// Takes one out, wherever it stands.
    pub(super) fn remove(&mut self, place: Place, severity: Severity) {
        let of_severity = &mut self.fresh[urgency(severity)];
        for line in [&mut self.waiting, &mut self.again, of_severity] {
            line.retain(|other| *other != place);
        }
    }
}

/// The most urgent first.
fn urgency(severity: Severity) -> usize {
    match severity {
        Severity::High => 0,
        Severity::Normal => 1,
        Severity::Low => 2,
    }
}
