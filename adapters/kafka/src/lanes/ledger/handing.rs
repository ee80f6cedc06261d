//! Handing deliveries over to the consumer.

use common::{Severity, wire::Place};
use consumer::domain::{Lease, LeaseKey};

use super::{Feed, Ledger, entry::Stage, place_of};

/// Deliveries handed over at once, at most: what is received at once keeps the consumer
/// from all else.
const SLICE: usize = 4_096;

/// What to do for the consumer.
#[derive(Debug)]
pub enum Next {
    /// Hand these over.
    Leases(Vec<Lease>),
    /// Say that these were cancelled.
    Cancelled(Vec<LeaseKey>),
    /// Say that everything from before the assignment has been handed over.
    CaughtUp,
    /// Wait until something is read or written.
    Wait,
}

impl Ledger {
    /// What is at hand, up to `room` and no more than a slice, the most urgent first.
    ///
    /// Until all is read that was there at the assignment, the less urgent is held back
    /// for what is more urgent and still to be read, as long as memory has room for it.
    pub fn next(&mut self, room: usize) -> Next {
        if !self.untold.is_empty() {
            return Next::Cancelled(self.tell_cancelled());
        }
        let room = room.min(SLICE);
        let mut leases = Vec::new();
        self.take(room, &mut leases, |ledger| ledger.line.waiting.pop_front());
        if !leases.is_empty() {
            return Next::Leases(leases);
        }
        if !self.has_said_caught_up && self.is_caught_up() {
            self.has_said_caught_up = true;
            return Next::CaughtUp;
        }
        self.take(room, &mut leases, |ledger| ledger.line.again.pop_front());
        for severity in Severity::BY_URGENCY {
            if severity != Severity::High && self.holds_back() {
                break;
            }
            self.take(room, &mut leases, |ledger| ledger.line.pop(severity));
        }
        match leases.is_empty() {
            true => Next::Wait,
            false => Next::Leases(leases),
        }
    }

    fn take(
        &mut self,
        room: usize,
        leases: &mut Vec<Lease>,
        mut next: impl FnMut(&mut Self) -> Option<Place>,
    ) {
        while leases.len() < room
            && let Some(place) = next(self)
        {
            let Some(entry) = self.live.get_mut(&place) else {
                continue;
            };
            match &mut entry.stage {
                Stage::Leads { out, .. } => *out = true,
                stage => *stage = Stage::Out,
            }
            self.line.let_go(entry);
            leases.extend(entry.lease());
        }
    }

    fn is_caught_up(&self) -> bool {
        self.line.is_past_the_early() && self.tracks.iter().all(|track| track.is_past_the_end())
    }

    fn holds_back(&self) -> bool {
        !self.has_said_caught_up
            && Feed::ALL.into_iter().any(|feed| {
                !self.tracks[feed.index()].is_past_the_end() && self.line.has_room(feed)
            })
    }

    /// From here on the consumer begins no request of these. One that was replayed
    /// meanwhile is another delivery by now, and stays in its line.
    fn tell_cancelled(&mut self) -> Vec<LeaseKey> {
        let untold = std::mem::take(&mut self.untold);
        for key in &untold {
            let place = place_of(*key);
            let entry = self.live.get(&place);
            let is_withdrawn = entry.is_some_and(|entry| matches!(entry.stage, Stage::Withdrawn));
            if is_withdrawn
                && !self.sending.contains_key(&place)
                && let Some(entry) = self.live.remove(&place)
            {
                self.forget_content(entry.content);
            }
        }
        untold
    }
}
