//! The queue as a model: what is durable, and what this run has handed out. What has
//! ended is forgotten once its end was looked at, so that a long run needs no more
//! memory than what is on its way.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use common::{DestinationId, Severity};
use consumer::{
    domain::{Digest, Lease, LeaseKey, Outcome, Position, Progress, Settlement, Unfolded},
    ports::{ParkedLane, Received},
};

use crate::{service::Content, sparse::Sparse};

/// What is on disk about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not tried yet, or tried and sent in part.
    Open,
    /// Waits for another attempt.
    Waiting,
    /// Set aside.
    Parked,
    /// Part of a digest that another one leads.
    Digested,
    /// Ended well.
    Delivered,
    /// Ended as a dead letter.
    Dead,
    /// Somebody cancelled it; a request under way may still deliver it.
    Cancelled,
}

impl State {
    fn is_final(self) -> bool {
        matches!(self, State::Delivered | State::Dead | State::Cancelled)
    }
}

pub(crate) struct Row {
    pub(crate) lease: Lease,
    pub(crate) state: State,
    pub(crate) content: Content,
    /// In simulated time.
    pub(crate) accepted_at: Duration,
    /// Why it is dead.
    pub(crate) reason: String,
}

/// Survives a crash, but for what was handed out.
#[derive(Default)]
pub(crate) struct Queue {
    rows: Sparse<Row>,
    accepted: u64,
    unfinished: BTreeSet<u64>,
    parked: BTreeMap<(DestinationId, Severity), BTreeSet<u64>>,
    /// What each digest that has not ended carries, by its lead.
    digests: HashMap<u64, (Arc<Digest>, Box<[LeaseKey]>)>,
    pub(crate) folded: u64,
    pub(crate) taken_apart: u64,
    /// Of this run.
    waiting: VecDeque<u64>,
    fresh: [VecDeque<u64>; 3],
    begun_with: u64,
    caught_up: bool,
    /// This run is to be told of them.
    cancelled: Vec<LeaseKey>,
    /// Folds that were not made.
    unfolded: Vec<Unfolded>,
}

impl Queue {
    /// Stores a delivery.
    pub(crate) fn accept(&mut self, lease: Lease, content: Content, now: Duration) {
        let sequence = lease.position.sequence;
        assert_eq!(sequence, self.accepted);
        self.accepted += 1;
        self.fresh[usize::from(lease.alert.severity.code())].push_back(sequence);
        self.unfinished.insert(sequence);
        let row = Row {
            lease,
            state: State::Open,
            content,
            accepted_at: now,
            reason: String::new(),
        };
        self.rows.insert(sequence, row);
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.accepted
    }

    /// One that is not forgotten.
    pub(crate) fn row(&self, sequence: u64) -> &Row {
        let row = self.rows.get(&sequence);
        row.unwrap_or_else(|| panic!("{sequence} has ended and is still spoken of"))
    }

    fn row_mut(&mut self, sequence: u64) -> &mut Row {
        let row = self.rows.get_mut(&sequence);
        row.unwrap_or_else(|| panic!("{sequence} has ended and is still spoken of"))
    }

    /// Whether a wait is on record with it.
    pub(crate) fn waits(&self, sequence: u64) -> bool {
        self.row(sequence).lease.progress.wait.is_some()
    }

    /// Takes out one that has ended; `None` where it has not, or must be remembered:
    /// it leads a digest, or this run was not told that it is cancelled.
    pub(crate) fn forget(&mut self, sequence: u64) -> Option<Row> {
        let row = self.rows.get(&sequence)?;
        let key = row.lease.key();
        if !row.state.is_final()
            || self.digests.contains_key(&sequence)
            || self.cancelled.contains(&key)
        {
            return None;
        }
        self.rows.remove(&sequence)
    }

    /// Cancels a delivery, unless it has ended or is part of a digest. Answers the
    /// lane whose `Retry-After` was on record with it, and is no more; and whether
    /// this run has been handed it.
    pub(crate) fn cancel(&mut self, sequence: u64) -> Option<(DestinationId, bool)> {
        let row = self.rows.get(&sequence)?;
        let key = row.lease.key();
        let is_digest = self.digests.contains_key(&sequence);
        if row.state.is_final() || row.state == State::Digested || is_digest {
            return None;
        }
        let wait = row.lease.progress.wait;
        self.become_state(key, State::Cancelled);
        let before = self.waiting.len();
        self.waiting.retain(|other| *other != sequence);
        let is_known = self.waiting.len() == before;
        let line = &mut self.fresh[usize::from(key.severity.code())];
        if let Ok(place) = line.binary_search(&sequence) {
            line.remove(place);
        }
        self.row_mut(sequence).lease.progress.wait = None;
        self.cancelled.push(key);
        wait.filter(|wait| wait.asked)
            .map(|_| (key.destination, is_known))
    }

    /// Those cancelled that this run was not told of, and never will be.
    pub(crate) fn untold(&mut self) -> Vec<u64> {
        let untold = std::mem::take(&mut self.cancelled);
        untold.iter().map(|key| key.position.sequence).collect()
    }

    /// The first that has not ended, from there on.
    pub(crate) fn unfinished_from(&self, sequence: u64) -> Option<u64> {
        self.unfinished.range(sequence..).next().copied()
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Its severity, if it is not forgotten.
    #[allow(
        dead_code,
        reason = "asked where this model is held beside another queue"
    )]
    pub(crate) fn severity(&self, sequence: u64) -> Option<Severity> {
        Some(self.rows.get(&sequence)?.lease.alert.severity)
    }

    /// Another queue hands it over, in its own order.
    #[allow(
        dead_code,
        reason = "asked where this model is held beside another queue"
    )]
    pub(crate) fn hand_over(&mut self, sequence: u64) {
        let severity = self.row(sequence).lease.alert.severity;
        let lines = [
            &mut self.waiting,
            &mut self.fresh[usize::from(severity.code())],
        ];
        let stands = lines.into_iter().find_map(|line| {
            let place = line.iter().position(|other| *other == sequence)?;
            line.remove(place)
        });
        assert!(
            stands.is_some(),
            "{sequence} is handed over, and is not to be"
        );
    }

    /// Another queue has told this run of these.
    #[allow(
        dead_code,
        reason = "asked where this model is held beside another queue"
    )]
    pub(crate) fn told(&mut self, keys: &[LeaseKey]) {
        self.cancelled.retain(|key| !keys.contains(key));
    }

    /// Another queue says that everything from before this run has been handed over.
    #[allow(
        dead_code,
        reason = "asked where this model is held beside another queue"
    )]
    pub(crate) fn assert_caught_up(&self) {
        let early = |line: &VecDeque<u64>| line.front().is_some_and(|s| *s < self.begun_with);
        assert!(
            self.waiting.is_empty() && !self.fresh.iter().any(early),
            "it has not caught up"
        );
    }

    /// The folds that were not made and not taken.
    #[allow(
        dead_code,
        reason = "asked where this model is held beside another queue"
    )]
    pub(crate) fn unfolded(&self) -> &[Unfolded] {
        &self.unfolded
    }

    /// A new process begins.
    pub(crate) fn restart(&mut self) -> Vec<ParkedLane> {
        self.waiting.clear();
        self.fresh.iter_mut().for_each(VecDeque::clear);
        self.begun_with = self.next_sequence();
        self.caught_up = false;
        for sequence in &self.unfinished {
            let row = self.row(*sequence);
            match row.state {
                State::Waiting => self.waiting.push_back(*sequence),
                State::Open => {
                    let severity = row.lease.alert.severity;
                    self.fresh[usize::from(severity.code())].push_back(*sequence);
                }
                State::Parked
                | State::Digested
                | State::Delivered
                | State::Dead
                | State::Cancelled => {}
            }
        }
        self.parked
            .iter()
            .filter(|(_, parked)| !parked.is_empty())
            .map(|((destination, severity), parked)| ParkedLane {
                destination: *destination,
                severity: *severity,
                count: parked.len() as u64,
            })
            .collect()
    }

    /// `None` where the real one would wait.
    pub(crate) fn receive(&mut self, room: usize) -> Option<Received> {
        if !self.cancelled.is_empty() {
            return Some(Received::Cancelled(std::mem::take(&mut self.cancelled)));
        }
        let backlog = !self.waiting.is_empty()
            || self
                .fresh
                .iter()
                .any(|line| line.front().is_some_and(|s| *s < self.begun_with));
        if !backlog && !self.caught_up {
            self.caught_up = true;
            return Some(Received::CaughtUp);
        }
        let mut leases = Vec::new();
        while leases.len() < room {
            let next = self.waiting.pop_front().or_else(|| {
                [2, 1, 0]
                    .into_iter()
                    .find_map(|severity: usize| self.fresh[severity].pop_front())
            });
            let Some(sequence) = next else { break };
            leases.push(self.row(sequence).lease.clone());
        }
        (!leases.is_empty()).then_some(Received::Leases(leases))
    }

    pub(crate) fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Vec<Lease> {
        let from = after.map_or(0, |position| position.sequence + 1);
        let Some(parked) = self.parked.get(&(destination, severity)) else {
            return Vec::new();
        };
        parked
            .range(from..)
            .take(room)
            .map(|sequence| self.row(*sequence).lease.clone())
            .collect()
    }

    /// The digest on record that a delivery leads, and what it carries.
    pub(crate) fn digest(&self, lead: u64) -> Option<(&Arc<Digest>, &[LeaseKey])> {
        let (digest, members) = self.digests.get(&lead)?;
        Some((digest, members))
    }

    /// Records outcomes, all of them or, where the process dies of it, none or all:
    /// answers which, and what ended by each.
    pub(crate) fn write(&mut self, batch: &[Settlement], _dies: bool) -> Vec<(usize, Vec<u64>)> {
        let batch = batch.iter().enumerate();
        batch
            .map(|(index, settlement)| (index, self.settle(settlement)))
            .collect()
    }

    /// The folds that were not made since the last call.
    pub(crate) fn take_unfolded(&mut self) -> Vec<Unfolded> {
        std::mem::take(&mut self.unfolded)
    }

    /// A request begins, time passes, the process is no more: this queue need not know.
    pub(crate) fn begins(&mut self, _delivery: LeaseKey) {}
    pub(crate) fn tick(&mut self, _now: Duration) {}
    pub(crate) fn gone(&mut self) {}

    /// Records an outcome; answers what ended by it.
    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Vec<u64> {
        let sequence = settlement.lease.position.sequence;
        match &settlement.outcome {
            Outcome::Folded { digest, members } => {
                self.fold(settlement.lease, digest, members);
                return Vec::new();
            }
            Outcome::TakenApart => {
                // The request was the lead's, whatever it carried.
                if let Some(attempt) = &settlement.attempt {
                    self.row_mut(sequence).lease.progress.attempts = attempt.number;
                }
                return self.take_apart(sequence);
            }
            _ => {}
        }
        let outcome = &settlement.outcome;
        if outcome.is_final()
            && let Some((_, members)) = self.digests.remove(&sequence)
        {
            assert_ne!(*outcome, Outcome::Cancelled, "a digest is not cancelled");
            for member in &members {
                self.finish(*member, outcome);
            }
            return members.iter().map(|key| key.position.sequence).collect();
        }
        if self.row(sequence).state == State::Cancelled {
            if *outcome == Outcome::Delivered {
                self.finish(settlement.lease, outcome);
            }
            return match outcome.is_final() {
                true => vec![sequence],
                false => Vec::new(),
            };
        }
        assert!(
            !self.row(sequence).state.is_final(),
            "{sequence} is {:?} and becomes {outcome:?}",
            self.row(sequence).state
        );
        let mut wait = None;
        match outcome {
            Outcome::PartSent => self.become_state(settlement.lease, State::Open),
            Outcome::Waiting(until) => {
                wait = Some(*until);
                if !self.digests.contains_key(&sequence) {
                    self.become_state(settlement.lease, State::Waiting);
                }
            }
            Outcome::Parked => self.become_state(settlement.lease, State::Parked),
            outcome => self.finish(settlement.lease, outcome),
        }
        let attempts = settlement.attempt.as_ref().map(|attempt| attempt.number);
        let progress = &mut self.row_mut(sequence).lease.progress;
        *progress = Progress {
            attempts: attempts.unwrap_or(progress.attempts),
            parts_sent: settlement.parts_sent,
            wait,
            ..Progress::default()
        };
        match outcome.is_final() {
            true => vec![sequence],
            false => Vec::new(),
        }
    }

    /// Where one was cancelled meanwhile nothing is folded, and the others are parked.
    fn fold(&mut self, lead: LeaseKey, digest: &Arc<Digest>, members: &[LeaseKey]) {
        let is_cancelled = |member: &LeaseKey| {
            self.rows
                .get(&member.position.sequence)
                .is_none_or(|row| row.state == State::Cancelled)
        };
        if members.iter().any(is_cancelled) {
            let others = members.iter().filter(|member| !is_cancelled(member));
            let others: Vec<LeaseKey> = others.copied().collect();
            let mut parked = [0; 3];
            for member in others {
                parked[usize::from(member.severity.code())] += 1;
                self.set_aside(member);
            }
            self.unfolded.push(Unfolded { lead, parked });
            return;
        }
        for member in members {
            let state = self.row(member.position.sequence).state;
            assert!(
                matches!(state, State::Open | State::Waiting | State::Parked),
                "{member:?} is folded though {state:?}"
            );
            let state = match *member == lead {
                true => State::Waiting,
                false => State::Digested,
            };
            self.become_state(*member, state);
            self.row_mut(member.position.sequence).lease.progress.wait = None;
        }
        let sequence = lead.position.sequence;
        let lead = &mut self.row_mut(sequence).lease;
        lead.digest = Some(Arc::clone(digest));
        self.folded += members.len() as u64;
        let carried = (Arc::clone(digest), members.into());
        self.digests.insert(sequence, carried);
    }

    /// It is parked, since it was not folded.
    pub(crate) fn set_aside(&mut self, key: LeaseKey) {
        self.become_state(key, State::Parked);
        self.row_mut(key.position.sequence).lease.progress.wait = None;
    }

    fn take_apart(&mut self, lead: u64) -> Vec<u64> {
        let (_, members) = self.digests.remove(&lead).expect("it is a digest");
        self.taken_apart += 1;
        let lease = &mut self.row_mut(lead).lease;
        lease.digest = None;
        lease.progress.wait = None;
        for member in members {
            self.become_state(member, State::Parked);
        }
        Vec::new()
    }

    fn finish(&mut self, key: LeaseKey, outcome: &Outcome) {
        let state = match outcome {
            Outcome::Delivered => State::Delivered,
            Outcome::Cancelled => State::Cancelled,
            Outcome::Dead { reason } => {
                self.row_mut(key.position.sequence)
                    .reason
                    .clone_from(reason);
                State::Dead
            }
            other => panic!("{other:?} is no end"),
        };
        self.become_state(key, state);
    }

    fn become_state(&mut self, key: LeaseKey, state: State) {
        let sequence = key.position.sequence;
        let was = std::mem::replace(&mut self.row_mut(sequence).state, state);
        let lane = (key.destination, key.severity);
        if state == State::Parked {
            self.parked.entry(lane).or_default().insert(sequence);
        } else if was == State::Parked
            && let Some(parked) = self.parked.get_mut(&lane)
        {
            parked.remove(&sequence);
        }
        if state.is_final() {
            self.unfinished.remove(&sequence);
        }
    }
}
