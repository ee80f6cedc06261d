//! From the writer to the consumer, in memory while there is room.
//!
//! Each severity is a line of its own. A line hands over what the writer has just
//! committed; once memory is full, what is committed stays on disk, and the line
//! is *behind*: it reads from there, from its cursor on, until it has caught up
//! with the last commit, and only then takes from the writer again. So within a
//! severity each destination sees the order of acceptance throughout.

mod line;

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{AcceptedAlert, Alert, Severity};
use consumer::domain::{Lease, LeaseKey};
use tokio::sync::Notify;

use crate::packed::PackedDelivery;
use line::Committed;

pub(crate) struct Handoff {
    state: Mutex<State>,
    /// Wakes the one receiver.
    arrival: Notify,
}

struct State {
    /// Deliveries that waited for another attempt when the process started.
    waiting: VecDeque<Lease>,
    /// Deliveries that somebody has replayed.
    again: VecDeque<Lease>,
    /// Deliveries that somebody has cancelled, to be told of.
    cancelled: Vec<LeaseKey>,
    lines: [Line; 3],
    /// For each line, the last sequence that was on disk when the process started.
    before_start: [u64; 3],
    has_said_caught_up: bool,
    room: Room,
    closed: bool,
}

/// How much is held and handed over at once.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// Deliveries kept in memory before lines fall behind: so many of alerts that
    /// are not long, and so many of long ones. One alert may go above it.
    pub(crate) in_memory: usize,
    /// Deliveries handed over at once, at most: what is received at once keeps the
    /// consumer from all else. An alert to more than these is long.
    pub(crate) slice: usize,
}

#[derive(Default)]
struct Line {
    committed: Committed,
    behind: Option<Behind>,
}

/// A line that reads from disk.
struct Behind {
    /// Everything up to here has been handed over.
    cursor: u64,
    /// The last commit that stayed on disk.
    last: u64,
    /// The alert after the cursor, where some of it has been handed over.
    opened: Option<Opened>,
}

/// An alert read from disk, of which deliveries up to `next` were handed over.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) sequence: u64,
    pub(crate) alert: Arc<Alert>,
    pub(crate) deliveries: Arc<[PackedDelivery]>,
    pub(crate) next: usize,
}

/// What to do for the receiver.
pub(crate) enum Next {
    /// Hand these over.
    Leases(Vec<Lease>),
    /// Say that these were cancelled.
    Cancelled(Vec<LeaseKey>),
    /// Say that everything from before the start has been handed over.
    CaughtUp,
    /// Read from disk and [`resume`](Handoff::resume).
    Read(ReadFrom),
    /// Wait for [`arrival`](Handoff::arrival).
    Wait,
    /// The process is ending.
    Closed,
}

/// Where a line that is behind goes on.
pub(crate) struct ReadFrom {
    pub(crate) severity: Severity,
    pub(crate) cursor: u64,
    /// The last commit that this line reads: what follows may be on its way here
    /// from the writer, and must not be read as well.
    pub(crate) last: u64,
    pub(crate) opened: Option<Opened>,
    /// The most to hand over.
    pub(crate) room: usize,
}

/// Where a line stands after reading.
pub(crate) struct ReadTo {
    pub(crate) cursor: u64,
    pub(crate) opened: Option<Opened>,
}

impl Handoff {
    /// A handoff that begins with those that `waiting`, most urgent first, then
    /// reads each severity's line up to its last sequence on disk, if it has any.
    pub(crate) fn new(waiting: Vec<Lease>, last_on_disk: [Option<u64>; 3], room: Room) -> Self {
        let lines = last_on_disk.map(|last| Line {
            committed: Committed::default(),
            behind: last.map(|last| Behind {
                cursor: 0,
                last,
                opened: None,
            }),
        });
        let state = State {
            waiting: waiting.into(),
            again: VecDeque::new(),
            cancelled: Vec::new(),
            lines,
            before_start: last_on_disk.map(Option::unwrap_or_default),
            has_said_caught_up: false,
            room,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            arrival: Notify::new(),
        }
    }

    /// Takes over an alert that has just been committed.
    pub(crate) fn push(&self, sequence: u64, accepted: AcceptedAlert) {
        let mut state = self.lock();
        let is_long = accepted.deliveries.len() > state.room.slice;
        let has_room = state.held(is_long) < state.room.in_memory;
        let line = &mut state.lines[line_of(accepted.alert.severity)];
        match &mut line.behind {
            Some(behind) => behind.last = sequence,
            None if has_room => {
                line.committed.push(sequence, accepted, is_long);
            }
            None => {
                let cursor = sequence.saturating_sub(1);
                line.behind = Some(Behind {
                    cursor,
                    last: sequence,
                    opened: None,
                });
            }
        }
        drop(state);
        self.arrival.notify_one();
    }

    /// Drops `cancelled`, of one alert, and has them told of. Of that alert nothing
    /// before the ordinal `ended` is left to be handed over.
    pub(crate) fn cancel(&self, sequence: u64, ended: u32, cancelled: &[LeaseKey]) {
        if cancelled.is_empty() {
            return;
        }
        let mut state = self.lock();
        let keys: HashSet<_> = cancelled.iter().map(|key| key.position).collect();
        state
            .waiting
            .retain(|lease| !keys.contains(&lease.position));
        state.again.retain(|lease| !keys.contains(&lease.position));
        for line in &mut state.lines {
            line.committed.drop_before(sequence, ended as usize);
        }
        state.cancelled.extend_from_slice(cancelled);
        drop(state);
        self.arrival.notify_one();
    }

    /// Takes over deliveries that were replayed.
    pub(crate) fn push_again(&self, leases: Vec<Lease>) {
        self.lock().again.extend(leases);
        self.arrival.notify_one();
    }

    /// What is at hand, up to `room` and no more than a slice, the most urgent first.
    pub(crate) fn next(&self, room: usize) -> Next {
        let mut state = self.lock();
        let room = room.min(state.room.slice);
        if state.closed {
            return Next::Closed;
        }
        if !state.cancelled.is_empty() {
            return Next::Cancelled(std::mem::take(&mut state.cancelled));
        }
        if !state.waiting.is_empty() {
            let count = room.min(state.waiting.len());
            return Next::Leases(state.waiting.drain(..count).collect());
        }
        if !state.has_said_caught_up && state.is_caught_up() {
            state.has_said_caught_up = true;
            return Next::CaughtUp;
        }
        if !state.again.is_empty() {
            let count = room.min(state.again.len());
            return Next::Leases(state.again.drain(..count).collect());
        }
        for severity in Severity::BY_URGENCY {
            let line = &mut state.lines[line_of(severity)];
            if !line.committed.is_empty() {
                return Next::Leases(state.take_committed(room));
            }
            if let Some(behind) = &line.behind {
                return Next::Read(ReadFrom {
                    severity,
                    cursor: behind.cursor,
                    last: behind.last,
                    opened: behind.opened.clone(),
                    room,
                });
            }
        }
        Next::Wait
    }

    /// Notes how far the line of `severity` has been read.
    pub(crate) fn resume(&self, severity: Severity, to: ReadTo) {
        let mut state = self.lock();
        let line = &mut state.lines[line_of(severity)];
        if let Some(behind) = &mut line.behind {
            behind.cursor = to.cursor;
            behind.opened = to.opened;
            if behind.opened.is_none() && behind.cursor >= behind.last {
                line.behind = None;
            }
        }
    }

    /// Resolves once something may have arrived since the last call.
    pub(crate) async fn arrival(&self) {
        self.arrival.notified().await;
    }

    /// Makes every later [`next`](Self::next) answer that the queue is closed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrival.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_caught_up(&self) -> bool {
        self.lines
            .iter()
            .zip(self.before_start)
            .all(|(line, last)| {
                line.behind
                    .as_ref()
                    .is_none_or(|behind| behind.is_past(last))
            })
    }

    /// Deliveries in memory, of long alerts or of the others.
    fn held(&self, long: bool) -> usize {
        let held = self.lines.iter().map(|line| line.committed.held());
        held.map(|held| held[usize::from(long)]).sum()
    }

    /// Committed deliveries up to `room`; stops before a line that has to read.
    fn take_committed(&mut self, room: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        for line in &mut self.lines {
            line.committed.take(room, &mut leases);
            if leases.len() >= room || line.behind.is_some() {
                break;
            }
        }
        leases
    }
}

impl Behind {
    /// Whether everything up to `sequence` has been handed over.
    fn is_past(&self, sequence: u64) -> bool {
        let opened = self.opened.as_ref();
        self.cursor >= sequence || opened.is_some_and(|opened| opened.sequence > sequence)
    }
}

/// The index of a severity's line: the most urgent first.
fn line_of(severity: Severity) -> usize {
    match severity {
        Severity::High => 0,
        Severity::Normal => 1,
        Severity::Low => 2,
    }
}

#[cfg(test)]
mod tests;
