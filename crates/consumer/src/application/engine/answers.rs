//! What follows from the end of a request.

use std::time::Duration;

use common::{DestinationId, Now};

use super::{
    Engine,
    event::Answered,
    lane::Held,
    verdict::{self, Verdict},
};
use crate::domain::{Answer, Attempt, Fault, Outcome, Wait};

impl Engine {
    pub(super) fn answered(&mut self, now: Now, answered: Answered) {
        let id = answered.ticket.destination;
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        if !lane.in_flight || lane.serial != answered.ticket.serial {
            return;
        }
        let Some(mut held) = lane.current.take() else {
            return;
        };
        lane.in_flight = false;
        self.schedule.end(lane.sends_tail);
        self.in_flight -= 1;
        held.tried(now.mono);

        let retry_after = retry_after(&answered.answer, self.settings.longest_wait);
        if let Some(span) = retry_after {
            lane.rest(now.mono + span, true);
        }
        let mut wait = retry_after.unwrap_or_default();
        match blame(&answered.answer) {
            Blame::Nobody => {
                held.parts_sent = held.parts_sent.saturating_add(1);
                lane.recover(now.mono);
            }
            Blame::Payload => {
                held.refusals = held.refusals.saturating_add(1);
                let failures = u32::from(held.refusals);
                wait = wait.max(self.backoff.draw(failures, &mut self.rng));
            }
            Blame::Lane(error) => {
                let failures = lane.count_failure(error);
                wait = wait.max(self.backoff.draw(failures, &mut self.rng));
                lane.rest(now.mono + wait, false);
            }
            Blame::Final => {}
        }

        let age = held.age_at(now.mono);
        let verdict = verdict::judge(&held, &answered, age, &self.settings);
        let attempt = Some(verdict::record(held.attempts, answered));
        let waiting = |fault| {
            let until = now.utc.plus(wait + Duration::from_millis(1));
            Outcome::Waiting(Wait {
                until,
                fault,
                asked: retry_after.is_some(),
            })
        };
        match verdict {
            Verdict::Delivered => self.end(&held, attempt, Outcome::Delivered),
            Verdict::Dead(reason) => self.end(&held, attempt, Outcome::Dead { reason }),
            Verdict::PartSent => {
                self.outbox.settle(&held, attempt, Outcome::PartSent);
                lane.insert(held);
            }
            Verdict::Waits(fault) => {
                self.outbox.settle(&held, attempt, waiting(fault));
                lane.insert(held);
            }
            Verdict::StepsAside => {
                self.outbox.settle(&held, attempt, waiting(Fault::Payload));
                lane.set_aside(held, now.mono + wait);
            }
        }
        self.bury_expired(id, now);
        self.consider_fetching(id);
        self.place(id, now);
    }

    /// Gives up what is too old in a lane whose destination fails, tried or not:
    /// one attempt each, with a backoff between them, could take days.
    pub(super) fn bury_expired(&mut self, id: DestinationId, now: Now) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        let Some(trouble) = lane.trouble.as_ref().filter(|trouble| trouble.failures > 0) else {
            return;
        };
        if trouble.error.is_empty() {
            // Only taken over from an earlier run: not seen to fail in this one.
            return;
        }
        let error = trouble.error.clone();
        for held in lane.take_expired(now.mono, self.settings.max_age) {
            let reason = verdict::too_old(held.attempts, held.age_at(now.mono), &error);
            self.end(&held, None, Outcome::Dead { reason });
        }
    }

    fn end(&mut self, held: &Held, attempt: Option<Attempt>, outcome: Outcome) {
        self.held -= 1;
        self.ages.remove(held.lease.alert.accepted_at);
        self.outbox.settle(held, attempt, outcome);
    }
}

/// Who has to wait because of an answer.
enum Blame<'a> {
    Nobody,
    Payload,
    Lane(&'a str),
    /// The delivery dies of it, and nothing else follows.
    Final,
}

fn blame(answer: &Answer) -> Blame<'_> {
    match answer {
        Answer::Accepted { .. } => Blame::Nobody,
        Answer::MaybeAccepted { reason } => Blame::Lane(reason),
        Answer::Refused(refusal) if refusal.lasting => Blame::Final,
        Answer::Refused(refusal) => match refusal.fault {
            Fault::Payload => Blame::Payload,
            Fault::Destination | Fault::Credential | Fault::Host | Fault::Unclear => {
                Blame::Lane(&refusal.reason)
            }
        },
    }
}

fn retry_after(answer: &Answer, longest: Duration) -> Option<Duration> {
    match answer {
        Answer::Refused(refusal) => refusal.retry_after.map(|span| span.min(longest)),
        Answer::Accepted { .. } | Answer::MaybeAccepted { .. } => None,
    }
}
