//! What is to be written besides settlements: it is not urgent, and nobody waits for it.

use std::time::Duration;

use common::wire::OutcomePart;

use super::{
    Feed, Ledger,
    entry::{Entry, Stage},
    plan::{Kind, Plan},
    writes::{OutcomeWrite, RowState, RowWrite, Write},
};

/// Records of one kind written at once, at most.
const AT_ONCE: usize = 2_000;

impl Ledger {
    /// Buries the rows of what has ended, withdraws what was read though its alert is
    /// cancelled, and gives rows to what holds a checkpoint too far behind.
    pub fn chores(&self, now: Duration) -> Plan {
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
        for feed in Feed::ALL {
            for (_, place) in self.tracks[feed.index()].laggards(now, AT_ONCE) {
                if let Some(entry) = self.live.get(&place)
                    && matches!(entry.stage, Stage::Line | Stage::Out)
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

/// That somebody cancelled it.
pub(super) fn withdrawal(key: consumer::domain::LeaseKey, entry: &Entry) -> Write {
    Write::Outcome(OutcomeWrite {
        key,
        content: entry.content.clone(),
        attempt: None,
        parts_sent: entry.progress.parts_sent,
        outcome: OutcomePart::Cancelled,
        digest: None,
    })
}
