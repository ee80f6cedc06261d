//! What settlements write.

use std::{collections::HashSet, sync::Arc};

use common::wire::OutcomePart;
use consumer::domain::{Attempt, Digest, LeaseKey, Outcome, Progress, Settlement, Unfolded, Wait};

use super::{
    Ledger,
    entry::{Content, Fold, Stage},
    place_of,
    plan::{Kind, Plan},
    writes::{DeadLetter, OutcomeWrite, RowState, RowWrite, Write, attempt_part, outcome_part},
};

/// A delivery that has not ended.
struct Subject {
    key: LeaseKey,
    content: Content,
    progress: Progress,
    fold: Option<Arc<Fold>>,
}

impl Ledger {
    /// What is to be written for the first of `settlements`, and how many these are: no
    /// delivery occurs twice among them.
    ///
    /// What has ended is left as it is, unless it was cancelled while its request was
    /// under way: that becomes delivered, or stays cancelled with its attempt.
    pub fn plan(&self, settlements: &[Settlement]) -> (Plan, usize) {
        let mut plan = Plan::default();
        let mut places = HashSet::new();
        for (index, settlement) in settlements.iter().enumerate() {
            let own = [settlement.lease];
            let keys = match &settlement.outcome {
                Outcome::Folded { members, .. } => members,
                _ => &own[..],
            };
            if !keys.iter().all(|key| places.insert(place_of(*key))) {
                return (plan, index);
            }
            self.plan_one(settlement, &mut plan);
        }
        (plan, settlements.len())
    }

    fn plan_one(&self, settlement: &Settlement, plan: &mut Plan) {
        let before = plan.changes.len();
        match (&settlement.outcome, self.subject(settlement.lease)) {
            (Outcome::Folded { digest, members }, _) => {
                self.plan_fold(settlement.lease, digest, members, plan);
            }
            (_, None) => self.plan_late(settlement, plan),
            (Outcome::TakenApart, Some(subject)) => subject.take_apart(settlement, plan),
            (Outcome::Parked, Some(subject)) => subject.park(settlement, plan),
            (Outcome::PartSent | Outcome::Waiting(_), Some(subject)) => {
                subject.keep(settlement, plan);
            }
            (Outcome::Delivered | Outcome::Dead { .. } | Outcome::Cancelled, Some(subject)) => {
                subject.end(self, settlement, plan);
            }
        }
        if settlement.attempt.is_some() {
            let ended = place_of(settlement.lease);
            match plan.changes.get_mut(before) {
                Some(change) => change.request = Some(ended),
                None => {
                    plan.add(Kind::Nothing, [], []);
                    if let Some(change) = plan.changes.last_mut() {
                        change.request = Some(ended);
                    }
                }
            }
        }
    }

    fn subject(&self, key: LeaseKey) -> Option<Subject> {
        if let Some(entry) = self.live.get(&place_of(key)) {
            return match &entry.stage {
                Stage::Line | Stage::Out | Stage::Leads { .. } => Some(Subject {
                    key,
                    content: entry.content.clone(),
                    progress: entry.progress,
                    fold: entry.fold().cloned(),
                }),
                Stage::Locked(_) | Stage::Doomed | Stage::Withdrawn => None,
            };
        }
        let shelved = self.parked.get(key)?;
        Some(Subject {
            key,
            content: Content::Disk(shelved.slot),
            progress: Progress::default(),
            fold: None,
        })
    }

    /// The end of a request of what was cancelled.
    fn plan_late(&self, settlement: &Settlement, plan: &mut Plan) {
        let place = place_of(settlement.lease);
        let Some(entry) = self.live.get(&place) else {
            return;
        };
        if !matches!(entry.stage, Stage::Withdrawn) || settlement.attempt.is_none() {
            return;
        }
        let outcome = match settlement.outcome {
            Outcome::Delivered => OutcomePart::Delivered,
            _ => OutcomePart::Cancelled,
        };
        let write = OutcomeWrite {
            key: settlement.lease,
            content: entry.content.clone(),
            attempt: settlement.attempt.as_ref().map(attempt_part),
            parts_sent: settlement.parts_sent,
            outcome,
            digest: None,
        };
        plan.add(Kind::EndsLate(place), [Write::Outcome(write)], []);
    }

    /// Folds, or parks those that have not ended where one has: the digest's text names
    /// them all, and what was cancelled is not to be sent.
    fn plan_fold(
        &self,
        lead: LeaseKey,
        digest: &Arc<Digest>,
        members: &[LeaseKey],
        plan: &mut Plan,
    ) {
        let leads = self
            .live
            .get(&place_of(lead))
            .and_then(|entry| entry.fold());
        if leads.is_some_and(|fold| fold.digest.id == digest.id) {
            return;
        }
        let subjects: Vec<_> = members
            .iter()
            .filter_map(|key| self.subject(*key))
            .filter(|subject| subject.fold.is_none())
            .collect();
        if subjects.len() < members.len() {
            let mut parked = [0; 3];
            for subject in subjects {
                parked[usize::from(subject.key.severity.code())] += 1;
                subject.set_aside(plan);
            }
            plan.unfolded.push(Unfolded { lead, parked });
            return;
        }
        let fold = Arc::new(Fold {
            digest: Arc::clone(digest),
            members: members.iter().map(|key| place_of(*key)).collect(),
        });
        let state = RowState::Folded {
            lead: place_of(lead),
            digest: digest.id,
        };
        let (mut rows, mut others, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for subject in subjects {
            if subject.key == lead {
                let leading = Subject {
                    fold: Some(Arc::clone(&fold)),
                    ..subject
                };
                last.push(leading.row(leading.leading_state(None)));
                last.push(leading.outcome(None, 0, OutcomePart::Folded));
            } else {
                rows.push(subject.row(state.clone()));
                others.push(subject.key);
            }
        }
        plan.add(Kind::Folds { lead, others, fold }, rows, last);
    }
}

impl Subject {
    fn end(self, ledger: &Ledger, settlement: &Settlement, plan: &mut Plan) {
        let mut writes = vec![self.outcome_of(settlement)];
        if let Outcome::Dead { reason } = &settlement.outcome {
            let others = self.fold.iter().flat_map(|fold| fold.members.iter());
            let others = others.filter_map(|member| ledger.folded.get(member));
            let others = others.map(|member| Content::Disk(member.shelved.slot));
            for content in std::iter::once(self.content.clone()).chain(others) {
                let reason = reason.clone();
                writes.push(Write::DeadLetter(DeadLetter { content, reason }));
            }
        }
        plan.add(Kind::Ends(self.key), writes, []);
    }

    fn keep(self, settlement: &Settlement, plan: &mut Plan) {
        let wait = match settlement.outcome {
            Outcome::Waiting(wait) => Some(wait),
            _ => None,
        };
        let subject = self.progressed(settlement);
        let progress = Progress {
            wait,
            ..subject.progress
        };
        let state = match (&subject.fold, wait) {
            (Some(_), _) => subject.leading_state(wait),
            (None, Some(wait)) => RowState::Waiting(wait),
            (None, None) => RowState::Queued,
        };
        let writes = [subject.row(state), subject.outcome_of(settlement)];
        let key = subject.key;
        plan.add(Kind::Keeps { key, progress }, writes, []);
    }

    fn park(self, settlement: &Settlement, plan: &mut Plan) {
        let subject = self.progressed(settlement);
        let writes = [
            subject.row(RowState::Parked),
            subject.outcome_of(settlement),
        ];
        plan.add(Kind::Parks(subject.key), writes, []);
    }

    /// It would have been folded.
    fn set_aside(self, plan: &mut Plan) {
        let parts_sent = self.progress.parts_sent;
        let writes = [
            self.row(RowState::Parked),
            self.outcome(None, parts_sent, OutcomePart::Parked),
        ];
        plan.add(Kind::Parks(self.key), writes, []);
    }

    fn take_apart(self, settlement: &Settlement, plan: &mut Plan) {
        if self.fold.is_none() {
            // It was taken apart before.
            return;
        }
        let subject = self.progressed(settlement);
        let writes = [
            subject.row(RowState::Parked),
            subject.outcome_of(settlement),
        ];
        plan.add(Kind::TakesApart(subject.key), writes, []);
    }

    fn progressed(self, settlement: &Settlement) -> Self {
        let number = settlement.attempt.as_ref().map_or(0, |one| one.number);
        Self {
            progress: Progress {
                attempts: self.progress.attempts.max(number),
                parts_sent: self.progress.parts_sent.max(settlement.parts_sent),
                ..self.progress
            },
            ..self
        }
    }

    fn leading_state(&self, wait: Option<Wait>) -> RowState {
        match &self.fold {
            Some(fold) => RowState::Leads {
                digest: Arc::clone(&fold.digest),
                members: Arc::clone(&fold.members),
                wait,
            },
            None => RowState::Queued,
        }
    }

    fn row(&self, state: RowState) -> Write {
        Write::Row(RowWrite {
            key: self.key,
            content: self.content.clone(),
            attempts: self.progress.attempts,
            parts_sent: self.progress.parts_sent,
            replayed_at: self.progress.replayed_at,
            state,
        })
    }

    fn outcome_of(&self, settlement: &Settlement) -> Write {
        self.outcome(
            settlement.attempt.as_ref(),
            settlement.parts_sent,
            outcome_part(&settlement.outcome),
        )
    }

    fn outcome(&self, attempt: Option<&Attempt>, parts_sent: u16, outcome: OutcomePart) -> Write {
        Write::Outcome(OutcomeWrite {
            key: self.key,
            content: self.content.clone(),
            attempt: attempt.map(attempt_part),
            parts_sent,
            outcome,
            digest: self.fold.clone(),
        })
    }
}
