//! What the queue holds, and what becomes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{AcceptedAlert, Alert, Delivery, DeliveryId, DestinationId, Severity, UtcMillis};
use consumer::{
    domain::{Digest, Lease, LeaseKey, Outcome, Position, Progress, Settlement, Unfolded},
    ports::{ParkedLane, Received},
};
use producer::ports::{Batch, OutcomeEntry, ReplayRequest};

use super::{PARTITIONS, records};

/// The first sequence number: an offset may be any.
const FIRST: u64 = 1_000;

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: Batch,
    /// How many of the alerts and of the outcomes were taken.
    taken: (usize, usize),
    /// How many outcomes each log has.
    lengths: [u64; PARTITIONS as usize],
    deliveries: BTreeMap<Position, Held>,
    /// To be told of.
    cancelled: Vec<LeaseKey>,
    /// What this process must hand over before it has caught up: all up to there.
    before_start: u64,
    has_said_caught_up: bool,
}

/// A delivery.
struct Held {
    alert: Arc<Alert>,
    delivery: Delivery,
    progress: Progress,
    stage: Stage,
    /// This process has it.
    is_handed: bool,
    /// A request of it has begun and is not settled.
    is_sending: bool,
    digest: Option<(Arc<Digest>, Box<[LeaseKey]>)>,
    /// Its id, once it was replayed.
    accepted_as: Option<DeliveryId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Parked,
    /// A digest carries it that another leads.
    Carried,
    Ended,
    Cancelled,
}

impl Held {
    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Cancelled)
    }

    fn lease(&self, position: Position) -> Lease {
        Lease {
            position,
            alert: self.alert.clone(),
            accepted_as: self.accepted_as,
            destination: self.delivery.destination.clone(),
            credential: self.delivery.credential.clone(),
            recipients: self.delivery.recipients.clone(),
            progress: self.progress,
            digest: self.digest.as_ref().map(|(digest, _)| digest.clone()),
        }
    }

    fn key(&self, position: Position) -> LeaseKey {
        LeaseKey {
            position,
            destination: self.delivery.destination.id,
            severity: self.alert.severity,
        }
    }
}

impl State {
    pub(super) fn new_records(&mut self) -> Batch {
        let (alerts, outcomes) = self.taken;
        self.taken = (self.logs.alerts.len(), self.logs.outcomes.len());
        Batch {
            alerts: self.logs.alerts[alerts..].to_vec(),
            outcomes: self.logs.outcomes[outcomes..].to_vec(),
        }
    }

    pub(super) fn start(&mut self) {
        self.has_said_caught_up = false;
        self.before_start = FIRST + self.logs.alerts.len() as u64;
        self.cancelled.clear();
        for held in self.deliveries.values_mut() {
            held.is_handed = false;
            held.is_sending = false;
        }
    }

    pub(super) fn accept(&mut self, accepted: AcceptedAlert) {
        let sequence = FIRST + self.logs.alerts.len() as u64;
        self.logs.alerts.push(records::alert(sequence, &accepted));
        let AcceptedAlert { alert, deliveries } = accepted;
        for (ordinal, delivery) in deliveries.into_iter().enumerate() {
            let position = Position {
                sequence,
                ordinal: ordinal as u32,
            };
            let held = Held {
                alert: alert.clone(),
                delivery,
                progress: Progress::default(),
                stage: Stage::Open,
                is_handed: false,
                is_sending: false,
                digest: None,
                accepted_as: None,
            };
            self.deliveries.insert(position, held);
        }
    }

    pub(super) fn receive(&mut self, room: usize) -> Option<Received> {
        if !self.cancelled.is_empty() {
            let cancelled = std::mem::take(&mut self.cancelled);
            return Some(Received::Cancelled(cancelled));
        }
        let mut at_hand: Vec<_> = self
            .deliveries
            .iter()
            .filter(|(_, held)| held.stage == Stage::Open && !held.is_handed)
            .map(|(position, held)| {
                let waits = held.progress.wait.is_some() || held.digest.is_some();
                (!waits, std::cmp::Reverse(held.alert.severity), *position)
            })
            .collect();
        at_hand.sort_unstable();
        let is_behind = |place: &Position| place.sequence < self.before_start;
        if !self.has_said_caught_up && !at_hand.iter().any(|(.., place)| is_behind(place)) {
            self.has_said_caught_up = true;
            return Some(Received::CaughtUp);
        }
        at_hand.truncate(room);
        if at_hand.is_empty() {
            return None;
        }
        let leases = at_hand.into_iter().map(|(.., position)| {
            let held = self.deliveries.get_mut(&position).unwrap();
            held.is_handed = true;
            held.lease(position)
        });
        Some(Received::Leases(leases.collect()))
    }

    pub(super) fn parked(&self) -> Vec<ParkedLane> {
        let mut lanes: BTreeMap<(DestinationId, Severity), u64> = BTreeMap::new();
        let parked = self.deliveries.values();
        for held in parked.filter(|held| held.stage == Stage::Parked) {
            let lane = (held.delivery.destination.id, held.alert.severity);
            *lanes.entry(lane).or_default() += 1;
        }
        let lane = |((destination, severity), count)| ParkedLane {
            destination,
            severity,
            count,
        };
        lanes.into_iter().map(lane).collect()
    }

    pub(super) fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Vec<Lease> {
        let is_of = |(position, held): &(&Position, &Held)| {
            held.stage == Stage::Parked
                && held.delivery.destination.id == destination
                && held.alert.severity == severity
                && after.is_none_or(|after| **position > after)
        };
        let parked = self.deliveries.iter().filter(is_of).take(room);
        parked.map(|(at, held)| held.lease(*at)).collect()
    }

    pub(super) fn begins(&mut self, position: Position) {
        self.deliveries.get_mut(&position).unwrap().is_sending = true;
    }

    /// Takes a settlement in; tells of the fold that was not made.
    pub(super) fn settle(&mut self, settlement: &Settlement, now: UtcMillis) -> Option<Unfolded> {
        let position = settlement.lease.position;
        if let Outcome::Folded { members, .. } = &settlement.outcome
            && members
                .iter()
                .any(|key| self.deliveries[&key.position].has_ended())
        {
            return Some(self.part(settlement, now));
        }
        let held = self.deliveries.get_mut(&position).unwrap();
        let was_sending = std::mem::take(&mut held.is_sending);
        if held.has_ended() {
            if held.stage == Stage::Cancelled && settlement.attempt.is_some() && was_sending {
                self.tell(settlement, now);
            }
            return None;
        }
        self.tell(settlement, now);
        let held = self.deliveries.get_mut(&position).unwrap();
        if let Some(attempt) = &settlement.attempt {
            held.progress.attempts = held.progress.attempts.max(attempt.number);
        }
        held.progress.parts_sent = held.progress.parts_sent.max(settlement.parts_sent);
        held.progress.wait = None;
        match &settlement.outcome {
            Outcome::Delivered | Outcome::Dead { .. } | Outcome::Cancelled => {
                held.stage = Stage::Ended;
                self.end_members(position, Stage::Ended);
            }
            Outcome::Waiting(wait) => held.progress.wait = Some(*wait),
            Outcome::PartSent => {}
            Outcome::Parked => held.stage = Stage::Parked,
            Outcome::Folded { digest, members } => {
                for key in members {
                    let member = self.deliveries.get_mut(&key.position).unwrap();
                    member.stage = Stage::Carried;
                    member.progress.wait = None;
                }
                let lead = self.deliveries.get_mut(&position).unwrap();
                lead.stage = Stage::Open;
                lead.is_handed = true;
                lead.digest = Some((digest.clone(), members.clone()));
            }
            Outcome::TakenApart => {
                held.stage = Stage::Parked;
                self.end_members(position, Stage::Parked);
            }
        }
        None
    }

    fn end_members(&mut self, lead: Position, stage: Stage) {
        let digest = self.deliveries.get_mut(&lead).unwrap().digest.take();
        for key in digest.iter().flat_map(|(_, members)| members) {
            let member = self.deliveries.get_mut(&key.position).unwrap();
            if member.stage == Stage::Carried {
                member.stage = stage;
            }
        }
    }

    /// Parks what was to be folded and has not ended.
    fn part(&mut self, settlement: &Settlement, now: UtcMillis) -> Unfolded {
        let mut parked = [0; 3];
        let Outcome::Folded { members, .. } = &settlement.outcome else {
            unreachable!("it was to be folded");
        };
        for key in members {
            if self.deliveries[&key.position].has_ended() {
                continue;
            }
            parked[usize::from(key.severity.code())] += 1;
            let settlement = Settlement {
                lease: *key,
                attempt: None,
                parts_sent: 0,
                outcome: Outcome::Parked,
            };
            self.settle(&settlement, now);
        }
        Unfolded {
            lead: settlement.lease,
            parked,
        }
    }

    pub(super) fn cancel(&mut self, sequence: u64, now: UtcMillis) {
        let place = |ordinal| Position { sequence, ordinal };
        let open: Vec<_> = self
            .deliveries
            .range(place(0)..=place(u32::MAX))
            .filter(|(_, held)| {
                matches!(held.stage, Stage::Open | Stage::Parked) && held.digest.is_none()
            })
            .map(|(position, held)| held.key(*position))
            .collect();
        for key in open {
            let settlement = Settlement {
                lease: key,
                attempt: None,
                parts_sent: 0,
                outcome: Outcome::Cancelled,
            };
            self.tell(&settlement, now);
            let held = self.deliveries.get_mut(&key.position).unwrap();
            held.stage = Stage::Cancelled;
            held.progress.wait = None;
            if held.is_handed {
                self.cancelled.push(key);
            }
        }
    }

    /// Passed over where it has not ended, or its request has not.
    pub(super) fn replay(&mut self, request: ReplayRequest) {
        let position = Position {
            sequence: request.place.sequence,
            ordinal: request.place.ordinal,
        };
        let held = self.deliveries.get_mut(&position).unwrap();
        if !held.has_ended() || held.is_sending {
            return;
        }
        assert_eq!(*held.alert.message, *request.alert.message);
        assert_eq!(*held.delivery.destination, request.destination);
        held.delivery.credential = request.credential.clone();
        held.accepted_as = Some(request.id);
        if request.repeated {
            held.progress.parts_sent = 0;
        }
        held.progress.attempts = request.attempts;
        held.progress.replayed_at = Some(request.asked_at);
        held.stage = Stage::Open;
        held.is_handed = false;
        held.digest = None;
        let key = held.key(position);
        let record = records::replayed(key, held.alert.id, &request);
        self.push(key.destination, record);
    }

    fn tell(&mut self, settlement: &Settlement, now: UtcMillis) {
        let held = &self.deliveries[&settlement.lease.position];
        let digest = held.digest.as_ref();
        let record = records::outcome(settlement, held.alert.id, digest, now);
        self.push(settlement.lease.destination, record);
    }

    fn push(&mut self, destination: DestinationId, record: common::wire::OutcomeRecord) {
        let log = (destination.0 % PARTITIONS) as usize;
        self.logs.outcomes.push(OutcomeEntry {
            log: log as u32,
            position: self.lengths[log],
            record,
        });
        self.lengths[log] += 1;
    }
}
