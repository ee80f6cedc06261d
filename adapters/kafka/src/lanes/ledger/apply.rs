//! What is true once records are acknowledged.

use common::wire::Place;
use consumer::domain::{LeaseKey, Progress};

use super::{
    Ack, Feed, Ledger, Member,
    entry::{Content, Entry, Fold, Stage},
    parked::Shelved,
    place_of,
    plan::{Kind, Plan},
};
use crate::lanes::spill::Slot;

impl Ledger {
    /// Takes note of what was acknowledged of a plan, record by record; answers whether
    /// all of it was. What was not is as if it had not been planned: it is planned again.
    pub fn apply(&mut self, plan: Plan, first: &[Option<Ack>], then: &[Option<Ack>]) -> bool {
        let mut is_complete = true;
        for change in plan.changes {
            let acks: Option<Vec<Ack>> = first[change.first.clone()]
                .iter()
                .chain(&then[change.then.clone()])
                .copied()
                .collect();
            let Some(acks) = acks else {
                is_complete = false;
                let unused = first[change.first].iter().flatten();
                self.freed.extend(unused.filter_map(|ack| ack.slot));
                continue;
            };
            if let Some(place) = change.request {
                self.request_ended(place);
            }
            self.make_true(change.kind, &acks);
        }
        is_complete
    }

    fn make_true(&mut self, kind: Kind, acks: &[Ack]) {
        let first = acks.first().map_or(0, |ack| ack.offset);
        let slots = acks.iter().filter_map(|ack| ack.slot);
        match kind {
            Kind::Nothing => {}
            Kind::Ends(key) => {
                self.wrote_outcome(first);
                self.end(key, first);
            }
            Kind::EndsLate(place) => {
                self.wrote_outcome(first);
                if let Some(entry) = self.live.remove(&place) {
                    self.forget_content(entry.content);
                }
            }
            Kind::Keeps { key, progress } => {
                self.wrote_outcome(acks.last().map_or(0, |ack| ack.offset));
                self.keep(key, progress);
            }
            Kind::Queues(key) => {
                if let Some(entry) = self.live.get_mut(&place_of(key)) {
                    entry.has_row = true;
                    entry.close(&mut self.tracks);
                }
            }
            Kind::Parks(key) => {
                self.wrote_outcome(acks.last().map_or(0, |ack| ack.offset));
                for slot in slots {
                    self.park(key, slot);
                }
            }
            Kind::Folds { lead, others, fold } => {
                self.wrote_outcome(acks.last().map_or(0, |ack| ack.offset));
                for (key, slot) in others.into_iter().zip(slots) {
                    let feed = self.take_out(key);
                    let shelved = Shelved { slot, feed };
                    self.folded.insert(place_of(key), Member { shelved, key });
                }
                self.lead(lead, fold);
            }
            Kind::TakesApart(key) => {
                self.wrote_outcome(acks.last().map_or(0, |ack| ack.offset));
                let fold = self.live.get(&place_of(key)).and_then(Entry::fold).cloned();
                for member in fold.iter().flat_map(|fold| fold.members.iter()) {
                    if let Some(member) = self.folded.remove(member) {
                        self.parked.insert(member.key, member.shelved);
                    }
                }
                for slot in slots {
                    self.park(key, slot);
                }
            }
            Kind::Withdraws(key) => {
                self.wrote_outcome(first);
                self.withdraw(key, first);
            }
            Kind::Cancels(remembered) => self.controls.cancelled(remembered),
            Kind::Replays {
                replay,
                offset,
                is_told,
            } => {
                if is_told {
                    self.wrote_outcome(first);
                    self.controls.told(offset, first);
                }
                self.controls.close(offset);
                self.take_in(*replay);
            }
            Kind::PassesOver(offset) => self.controls.close(offset),
            Kind::Buries(place) => {
                let buried = self.burials.iter().position(|(other, _)| *other == place);
                if let Some(index) = buried {
                    self.burials.remove(index);
                }
            }
        }
    }

    fn wrote_outcome(&mut self, offset: u64) {
        self.outcomes = self.outcomes.max(offset + 1);
    }

    fn request_ended(&mut self, place: Place) {
        if let Some(count) = self.sending.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                self.sending.remove(&place);
            }
        }
    }

    fn end(&mut self, key: LeaseKey, outcome: u64) {
        let place = place_of(key);
        if let Some(mut entry) = self.live.remove(&place) {
            self.leave_line(place, &mut entry);
            if let Some(fold) = entry.fold() {
                self.end_members(fold, outcome);
            }
            self.has_ended(place, &mut entry, outcome);
            self.forget_content(entry.content);
        } else if let Some(shelved) = self.parked.remove(key) {
            self.shelved_ended(place, shelved, outcome);
        }
    }

    fn end_members(&mut self, fold: &Fold, outcome: u64) {
        for place in fold.members.iter() {
            if let Some(member) = self.folded.remove(place) {
                self.shelved_ended(*place, member.shelved, outcome);
            }
        }
    }

    fn shelved_ended(&mut self, place: Place, shelved: Shelved, outcome: u64) {
        self.note_end(place, shelved.feed, outcome);
        self.burials.push_back((place, outcome));
        self.freed.push(shelved.slot);
    }

    fn has_ended(&mut self, place: Place, entry: &mut Entry, outcome: u64) {
        entry.close(&mut self.tracks);
        self.note_end(place, entry.feed, outcome);
        if entry.has_row {
            entry.has_row = false;
            self.burials.push_back((place, outcome));
        }
    }

    fn note_end(&mut self, place: Place, feed: Option<Feed>, outcome: u64) {
        match feed {
            Some(feed) => self.tracks[feed.index()].ended(place, outcome),
            // It may still be read again.
            None => self.ended.insert(place, outcome),
        }
    }

    /// It has a row now. Of what was parked an entry is made.
    fn keep(&mut self, key: LeaseKey, progress: Progress) {
        let place = place_of(key);
        self.rise(key);
        if let Some(entry) = self.live.get_mut(&place) {
            entry.progress = progress;
            entry.has_row = true;
            entry.close(&mut self.tracks);
        }
    }

    fn lead(&mut self, key: LeaseKey, fold: std::sync::Arc<Fold>) {
        let place = place_of(key);
        self.rise(key);
        if let Some(entry) = self.live.get_mut(&place) {
            entry.stage = Stage::Leads { fold, out: true };
            entry.progress.wait = None;
            entry.has_row = true;
            entry.close(&mut self.tracks);
        }
    }

    /// Makes an entry of what is parked; what waits in line is with the consumer.
    fn rise(&mut self, key: LeaseKey) {
        let place = place_of(key);
        if let Some(mut entry) = self.live.remove(&place) {
            self.leave_line(place, &mut entry);
            self.live.insert(place, entry);
        } else if let Some(shelved) = self.parked.remove(key) {
            self.live.insert(place, risen(key, shelved, Stage::Out));
        }
    }

    fn park(&mut self, key: LeaseKey, slot: Slot) {
        let feed = self.take_out(key);
        self.parked.insert(key, Shelved { slot, feed });
    }

    /// Forgets a delivery that has not ended and is put elsewhere, where it has a row;
    /// answers where it was read.
    fn take_out(&mut self, key: LeaseKey) -> Option<Feed> {
        let place = place_of(key);
        if let Some(mut entry) = self.live.remove(&place) {
            self.leave_line(place, &mut entry);
            entry.close(&mut self.tracks);
            self.forget_content(entry.content);
            return entry.feed;
        }
        let shelved = self.parked.remove(key)?;
        self.freed.push(shelved.slot);
        shelved.feed
    }

    fn withdraw(&mut self, key: LeaseKey, outcome: u64) {
        let place = place_of(key);
        if let Some(mut entry) = self.live.remove(&place) {
            let was_out = matches!(entry.stage, Stage::Out);
            self.leave_line(place, &mut entry);
            self.has_ended(place, &mut entry, outcome);
            if was_out {
                entry.stage = Stage::Withdrawn;
                self.live.insert(place, entry);
            } else {
                self.doomed.remove(&place);
                self.forget_content(entry.content);
            }
        } else if let Some(shelved) = self.parked.remove(key) {
            self.note_end(place, shelved.feed, outcome);
            self.burials.push_back((place, outcome));
            // The consumer may have fetched it.
            let mut entry = risen(key, shelved, Stage::Withdrawn);
            entry.has_row = false;
            self.live.insert(place, entry);
        } else {
            return;
        }
        self.untold.push(key);
    }

    /// It is with the consumer from now on, or nowhere.
    pub(super) fn leave_line(&mut self, place: Place, entry: &mut Entry) {
        if let Stage::Locked(locked) = &entry.stage {
            self.locked.remove(&(locked.accepted_at, place));
        }
        let waits = match &mut entry.stage {
            Stage::Line => {
                entry.stage = Stage::Out;
                true
            }
            Stage::Leads { out, .. } => !std::mem::replace(out, true),
            Stage::Out | Stage::Locked(_) | Stage::Doomed | Stage::Withdrawn => false,
        };
        if waits {
            self.line.remove(place, entry.severity);
            self.line.let_go(entry);
        }
    }

    pub(super) fn forget_content(&mut self, content: Content) {
        if let Content::Disk(slot) = content {
            self.freed.push(slot);
        }
    }
}

/// The entry of what was parked.
fn risen(key: LeaseKey, shelved: Shelved, stage: Stage) -> Entry {
    Entry {
        content: Content::Disk(shelved.slot),
        destination: key.destination,
        severity: key.severity,
        progress: Progress::default(),
        stage,
        has_row: true,
        feed: shelved.feed,
        open: None,
        weight: 0,
        early: false,
    }
}
