//! What is to be written besides settlements: it is not urgent, and nobody waits for it.

use std::time::Duration;

use common::{UtcMillis, wire::OutcomePart};
use consumer::domain::LeaseKey;

use super::{
    Feed, Ledger,
    entry::{Entry, Stage},
    plan::{Kind, Plan},
    writes::{DeadLetter, OutcomeWrite, RowState, RowWrite, Write},
};

/// Records of one kind written at once, at most.
const AT_ONCE: usize = 2_000;
/// How long a delivery waits for somebody who can open it.
const LOCKED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

impl Ledger {
    /// Buries the rows of what has ended, withdraws what was read though its alert is
    /// cancelled, gives rows to what holds a checkpoint too far behind, and gives up what
    /// nobody could open in a day.
    pub fn chores(&self, now: Duration, utc: UtcMillis) -> Plan {
        let mut plan = Plan::default();
        for (place, _) in self.burials.iter().take(AT_ONCE) {
            plan.add(Kind::Buries(*place), [Write::Tombstone(*place)], []);
        }
        for place in self.doomed.iter().take(AT_ONCE) {
            if let Some(entry) = self.live.get(place) {
                let key = entry.key(*place);
                plan.add(Kind::Withdraws(key), [withdrawal(key, entry)], []);
            }
        }
        for (accepted_at, place) in self.locked.iter().take(AT_ONCE) {
            if utc.since(*accepted_at) < LOCKED_FOR {
                break;
            }
            if let Some(entry) = self.live.get(place)
                && let Stage::Locked(locked) = &entry.stage
            {
                let key = entry.key(*place);
                plan.add(Kind::Ends(key), give_up(key, entry, &locked.reason), []);
            }
        }
        for feed in Feed::ALL {
            for (_, place) in self.tracks[feed.index()].laggards(now, AT_ONCE) {
                if let Some(entry) = self.live.get(&place)
                    && matches!(entry.stage, Stage::Line | Stage::Out | Stage::Locked(_))
                {
                    let row = RowWrite {
                        key: entry.key(place),
                        content: entry.content.clone(),
                        attempts: entry.progress.attempts,
                        parts_sent: entry.progress.parts_sent,
                        replayed_at: entry.progress.replayed_at,
                        state: RowState::Queued,
                    };
                    plan.add(Kind::Queues(row.key), [Write::Row(row)], []);
                }
            }
        }
        plan
    }
}

/// That nobody could open it.
fn give_up(key: LeaseKey, entry: &Entry, reason: &str) -> [Write; 2] {
    let outcome = OutcomeWrite {
        key,
        content: entry.content.clone(),
        attempt: None,
        parts_sent: 0,
        outcome: OutcomePart::Dead {
            reason: reason.to_owned(),
        },
        digest: None,
    };
    let letter = DeadLetter {
        content: entry.content.clone(),
        reason: reason.to_owned(),
    };
    [Write::Outcome(outcome), Write::DeadLetter(letter)]
}

/// That somebody cancelled it.
pub(super) fn withdrawal(key: LeaseKey, entry: &Entry) -> Write {
    Write::Outcome(OutcomeWrite {
        key,
        content: entry.content.clone(),
        attempt: None,
        parts_sent: entry.progress.parts_sent,
        outcome: OutcomePart::Cancelled,
        digest: None,
    })
}
