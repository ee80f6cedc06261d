//! The queue as a model: what is durable, and what this run has handed out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use common::{DestinationId, Severity};
use consumer::{
    domain::{Digest, Lease, LeaseKey, Outcome, Position, Progress, Settlement},
    ports::{ParkedLane, Received},
};

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
}

struct Row {
    lease: Lease,
    state: State,
}

/// Survives a crash, but for what was handed out.
#[derive(Default)]
pub(crate) struct Queue {
    rows: Vec<Row>,
    unfinished: BTreeSet<u64>,
    parked: BTreeMap<(DestinationId, Severity), BTreeSet<u64>>,
    /// What each digest that has not ended carries, by its lead.
    digests: HashMap<u64, Box<[LeaseKey]>>,
    pub(crate) folded: u64,
    pub(crate) taken_apart: u64,
    /// Of this run.
    waiting: VecDeque<u64>,
    fresh: [VecDeque<u64>; 3],
    begun_with: u64,
    caught_up: bool,
}

impl Queue {
    /// Stores a delivery; its sequence number is its index.
    pub(crate) fn accept(&mut self, lease: Lease) {
        let sequence = lease.position.sequence;
        assert_eq!(sequence, self.next_sequence());
        self.fresh[usize::from(lease.alert.severity.code())].push_back(sequence);
        self.unfinished.insert(sequence);
        self.rows.push(Row {
            lease,
            state: State::Open,
        });
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(crate) fn state(&self, sequence: u64) -> State {
        self.row(sequence).state
    }

    pub(crate) fn lease(&self, sequence: u64) -> &Lease {
        &self.row(sequence).lease
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// A new process begins.
    pub(crate) fn restart(&mut self) -> Vec<ParkedLane> {
        self.waiting.clear();
        self.fresh.iter_mut().for_each(VecDeque::clear);
        self.begun_with = self.next_sequence();
        self.caught_up = false;
        for sequence in &self.unfinished {
            let row = &self.rows[*sequence as usize];
            match row.state {
                State::Waiting => self.waiting.push_back(*sequence),
                State::Open => {
                    let severity = row.lease.alert.severity;
                    self.fresh[usize::from(severity.code())].push_back(*sequence);
                }
                State::Parked | State::Digested | State::Delivered | State::Dead => {}
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
        let digest = self.row(lead).lease.digest.as_ref()?;
        Some((digest, &self.digests[&lead]))
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) {
        let sequence = settlement.lease.position.sequence;
        if matches!(self.state(sequence), State::Delivered | State::Dead) {
            return;
        }
        match &settlement.outcome {
            Outcome::Folded { digest, members } => {
                for member in members {
                    let state = self.state(member.position.sequence);
                    assert!(
                        matches!(state, State::Open | State::Waiting | State::Parked),
                        "{member:?} is folded though {state:?}"
                    );
                    self.become_state(*member, State::Digested);
                }
                self.become_state(settlement.lease, State::Waiting);
                let lead = &mut self.rows[sequence as usize].lease;
                lead.digest = Some(Arc::clone(digest));
                lead.progress.wait = None;
                self.digests.insert(sequence, members.clone());
                self.folded += members.len() as u64;
                return;
            }
            Outcome::TakenApart => {
                let members = self.digests.remove(&sequence).expect("it is a digest");
                self.taken_apart += 1;
                self.rows[sequence as usize].lease.digest = None;
                for member in members {
                    self.become_state(member, State::Parked);
                }
                return;
            }
            outcome @ (Outcome::Delivered | Outcome::Dead { .. } | Outcome::Cancelled)
                if let Some(members) = self.digests.remove(&sequence) =>
            {
                for member in members {
                    self.become_state(member, ended(outcome));
                }
            }
            Outcome::Delivered
            | Outcome::Dead { .. }
            | Outcome::Cancelled
            | Outcome::PartSent
            | Outcome::Waiting(_)
            | Outcome::Parked => {}
        }
        let mut wait = None;
        let state = match &settlement.outcome {
            Outcome::PartSent => State::Open,
            Outcome::Waiting(until) => {
                wait = Some(*until);
                State::Waiting
            }
            Outcome::Parked => State::Parked,
            outcome => ended(outcome),
        };
        self.become_state(settlement.lease, state);
        let progress = &mut self.rows[sequence as usize].lease.progress;
        let attempts = settlement.attempt.as_ref().map(|attempt| attempt.number);
        *progress = Progress {
            attempts: attempts.unwrap_or(progress.attempts),
            parts_sent: settlement.parts_sent,
            wait,
            ..Progress::default()
        };
    }

    fn become_state(&mut self, key: LeaseKey, state: State) {
        let sequence = key.position.sequence;
        self.rows[sequence as usize].state = state;
        let lane = (key.destination, key.severity);
        let parked = self.parked.entry(lane).or_default();
        if state == State::Parked {
            parked.insert(sequence);
        } else {
            parked.remove(&sequence);
        }
        if matches!(state, State::Delivered | State::Dead) {
            self.unfinished.remove(&sequence);
        }
    }

    fn row(&self, sequence: u64) -> &Row {
        &self.rows[sequence as usize]
    }
}

fn ended(outcome: &Outcome) -> State {
    match outcome {
        Outcome::Delivered => State::Delivered,
        Outcome::Dead { .. } => State::Dead,
        other => panic!("{other:?} is no end"),
    }
}
