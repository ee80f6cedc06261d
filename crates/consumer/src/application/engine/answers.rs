//! What follows from the end of a request.

use std::time::Duration;

use common::{DestinationId, Now};

use super::{
    Engine,
    event::Answered,
    expiry::Expiry,
    held::Held,
    hosts::HostId,
    verdict::{self, Verdict},
};
use crate::domain::{Answer, Attempt, Fault, Outcome, Wait};

impl Engine {
    pub(super) fn answered(&mut self, now: Now, mut answered: Answered) {
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
        self.in_flight -= 1;
        let (host, was_tail) = (lane.host, lane.sends_tail);
        held.tried(now.mono);
        if let Some(host) = host {
            self.schedule.change(host, |host| host.end(was_tail));
        }
        let credential = self.judge_credential(id, &held, &answered.answer, now);
        if let Some(host) = host {
            self.judge_host(host, id, &answered.answer, now);
        }
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };

        let patience = self.settings.unclear_for;
        clear_up(
            &mut held,
            lane.last_success,
            &mut answered.answer,
            patience,
            now,
        );
        if let Some(bucket) = &mut lane.bucket {
            bucket.arrived(now.mono);
        }
        if let (Answer::Refused(refusal), Some(bucket)) = (&answered.answer, &mut lane.bucket)
            && refusal.fault == Fault::Destination
            && refusal.retry_after.is_some()
        {
            bucket.slow_down(now.mono);
        }
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
            Blame::Credential => wait = wait.max(credential.wait),
            Blame::Lane(error) => {
                let failures = lane.count_failure(error, now.mono);
                wait = wait.max(self.backoff.draw(failures, &mut self.rng));
                lane.rest(now.mono + wait, false);
            }
            Blame::Final => {}
        }

        let expiry = Expiry {
            now: now.mono,
            began: self.clock.began(),
            failing_since: lane.failing_since(),
            host: host.and_then(|host| self.schedule.hosts.get(host)),
            credentials: &self.credentials,
            settings: &self.settings,
        };
        let expired_at = expiry.is_over(&held).then(|| held.age_at(now.mono));
        let verdict = verdict::judge(
            &held,
            &answered,
            expired_at,
            credential.was_known,
            &self.settings,
        );
        let verdict = match verdict {
            Verdict::Delivered => Verdict::Delivered,
            _ if held.cancelled => Verdict::Cancelled,
            verdict => verdict,
        };
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
            Verdict::Cancelled => self.end(&held, attempt, Outcome::Cancelled),
            Verdict::Dead(reason) => self.end(&held, attempt, Outcome::Dead { reason }),
            Verdict::PartSent => {
                self.outbox.settle(&held, attempt, Outcome::PartSent);
                lane.insert(held);
            }
            Verdict::Waits(Fault::Credential) => {
                self.outbox
                    .settle(&held, attempt, waiting(Fault::Credential));
                lane.insert_blocked(held);
            }
            // Another one goes first, which shows whether it is the destination.
            Verdict::Waits(Fault::Unclear) => {
                self.outbox.settle(&held, attempt, waiting(Fault::Unclear));
                lane.set_aside(held, now.mono + wait + OTHERS_FIRST);
            }
            Verdict::Waits(fault) => {
                self.outbox.settle(&held, attempt, waiting(fault));
                lane.insert(held);
            }
            Verdict::TakenApart => self.take_apart(id, &held, attempt),
            Verdict::StepsAside => {
                self.outbox.settle(&held, attempt, waiting(Fault::Payload));
                lane.set_aside(held, now.mono + wait);
            }
        }
        self.bury_expired(id, now);
        self.consider_fetching(id);
        self.place(id, now);
    }

    /// What an answer means for the credential that was used.
    fn judge_credential(
        &mut self,
        lane: DestinationId,
        held: &Held,
        answer: &Answer,
        now: Now,
    ) -> CredentialVerdict {
        let id = held.credential();
        let before = self.credentials.state(id);
        let mut verdict = CredentialVerdict::default();
        match answer {
            Answer::Accepted { .. } => {
                self.credentials.succeeded(id, lane, now.mono);
            }
            Answer::Refused(refusal) if refusal.fault == Fault::Credential => {
                let (was_known, failures) = self.credentials.refused(id, &refusal.reason);
                if let Some(failures) = failures {
                    let span = self.backoff.draw(failures, &mut self.rng);
                    self.credentials.open(id, now.mono, now.mono + span);
                }
                verdict.was_known = was_known;
                verdict.wait = self
                    .credentials
                    .opens_at(id)
                    .map_or(Duration::ZERO, |at| at.saturating_sub(now.mono));
            }
            Answer::Refused(refusal) => {
                self.credentials.in_doubt(id, now.mono);
                if refusal.fault == Fault::Destination && refusal.retry_after.is_some() {
                    self.credentials.limited(id, lane, now.mono);
                }
            }
            Answer::MaybeAccepted { .. } => self.credentials.in_doubt(id, now.mono),
        }
        self.note_credential(id, before, Some(lane));
        verdict
    }

    /// What an answer means for the host that gave it, or gave none.
    fn judge_host(&mut self, id: HostId, lane: DestinationId, answer: &Answer, now: Now) {
        let before = self.host_state(id);
        let opens = self.schedule.change(id, |host| match answer {
            Answer::Accepted { .. } => {
                host.succeeded(now.mono);
                None
            }
            Answer::Refused(refusal) if refusal.fault == Fault::Host => {
                host.failed(lane, now.mono, &refusal.reason)
            }
            Answer::Refused(_) => {
                host.answered(lane, now.mono);
                None
            }
            Answer::MaybeAccepted { reason } => host.in_doubt(reason),
        });
        if let Some(failures) = opens.flatten() {
            let cap = self.settings.host_probe_cap;
            let span = self.backoff.draw_capped(failures, cap, &mut self.rng);
            let until = now.mono + span;
            self.schedule.change(id, |host| {
                if let Some(breaker) = host.breaker_mut() {
                    breaker.open(now.mono, until);
                }
            });
            self.breakers.insert((until, id));
        }
        self.note_host(id, before, Some(lane));
        self.schedule.hosts.forget_if_unneeded(id);
    }

    /// A digest was refused for its content: what it carried goes one by one.
    fn take_apart(&mut self, id: DestinationId, held: &Held, attempt: Option<Attempt>) {
        self.end(held, attempt, Outcome::TakenApart);
        let (Some(lane), Some(digest)) = (self.lanes.get_mut(id), &held.lease.digest) else {
            return;
        };
        lane.folding.forbid(digest.len());
        self.park_again(id, digest.members);
    }

    pub(super) fn end(&mut self, held: &Held, attempt: Option<Attempt>, outcome: Outcome) {
        self.held -= 1;
        self.ages.remove(held.lease.alert.accepted_at);
        if let Some(lane) = self.lanes.get_mut(held.key().destination) {
            lane.let_go(held.key());
        }
        self.outbox.settle(held, attempt, outcome);
    }
}

/// How much later than the rest of its lane a delivery goes that was refused for a
/// reason that nobody knows.
const OTHERS_FIRST: Duration = Duration::from_secs(1);

/// Finds out whose fault it is that a delivery was refused for a reason that nobody
/// knows: twice in a row while others of its lane pass, and it is its own; else it
/// is the destination's, and nobody tries that for ever.
fn clear_up(held: &mut Held, success: u32, answer: &mut Answer, patience: Duration, now: Now) {
    let Answer::Refused(refusal) = answer else {
        held.unclear_since = None;
        return;
    };
    if refusal.fault != Fault::Unclear {
        held.unclear_since = None;
        return;
    }
    let Some(since) = held.refused_unclearly(now.mono) else {
        return;
    };
    if Duration::from_secs(success.into()) > since {
        refusal.fault = Fault::Payload;
    } else if now.mono.saturating_sub(since) >= patience {
        refusal.lasting = true;
    }
}

/// What an answer says of the credential that was used.
#[derive(Debug, Default)]
struct CredentialVerdict {
    /// It was refused, and had been known to be.
    was_known: bool,
    /// How long until the next probe.
    wait: Duration,
}

/// Who has to wait because of an answer.
enum Blame<'a> {
    Nobody,
    Payload,
    Credential,
    Lane(&'a str),
    /// The delivery dies of it, and nothing else follows.
    Final,
}

fn blame(answer: &Answer) -> Blame<'_> {
    match answer {
        Answer::Accepted { .. } => Blame::Nobody,
        Answer::MaybeAccepted { reason } => Blame::Lane(reason),
        Answer::Refused(refusal) if refusal.fault == Fault::Credential => Blame::Credential,
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
