//! Folding: what waits for a destination that cannot carry it in time becomes one
//! message.
//!
//! A lane folds when its turn comes, so a digest is as late as can be and names all
//! that has come until then. It first draws from disk what is parked there, then
//! composes, and sends once the fold is durable. A lane that fails does not fold: a
//! single delivery finds out whether it works again.

use std::sync::Arc;

use common::{DestinationId, Now, Severity};

use super::{Engine, digest::Composer, held::Held, lane::Lane, settings::EngineSettings};
use crate::domain::{Digest, DigestId, Lease, LeaseKey, Outcome, Unfolded};

/// Deliveries drawn from disk for one digest, at least and at most, besides those
/// that memory has room for.
const DRAW: (u16, u16) = (32, 1_000);

/// What a lane is preparing, out of line meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Preparing {
    /// Nothing.
    #[default]
    Nothing,
    /// Parked deliveries are on their way, to be folded.
    Drawing,
    /// The digest is being recorded.
    Recording,
    /// The digest may go, before all lanes in line.
    Ready,
}

/// How a lane folds.
#[derive(Debug, Default)]
pub(super) struct Folding {
    pub(super) preparing: Preparing,
    /// Deliveries to draw from disk the next time; 0 for the least.
    draw: u16,
    /// So many go one by one: a digest was refused, or nothing could be folded.
    singles: u32,
}

impl Folding {
    /// One delivery goes by itself.
    pub(super) fn count_single(&mut self) {
        self.singles = self.singles.saturating_sub(1);
    }

    /// So many are not to be folded.
    pub(super) fn forbid(&mut self, count: u32) {
        self.singles = self.singles.saturating_add(count);
    }

    fn draw(&self) -> usize {
        usize::from(self.draw.clamp(DRAW.0, DRAW.1))
    }
}

impl Engine {
    /// Prepares a digest if the lane, whose turn it is, has more waiting than its
    /// pace carries in time; answers whether it does.
    pub(super) fn prepares_digest(&mut self, id: DestinationId, now: Now) -> bool {
        let Some(lane) = self.lanes.get_mut(id) else {
            return false;
        };
        // Before that, what is parked may come after what is still to be received.
        if !self.caught_up || !is_behind(lane, &self.settings) {
            return false;
        }
        if draws(lane) {
            lane.folding.preparing = Preparing::Drawing;
            self.preparing += 1;
            self.draw(id);
            return true;
        }
        if self.fold(id, now) {
            self.preparing += 1;
            return true;
        }
        false
    }

    /// Asks for what is parked, the urgent first.
    fn draw(&mut self, id: DestinationId) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        let Some(parking) = &mut lane.parking else {
            return;
        };
        for severity in Severity::BY_URGENCY {
            if let Some(haste) = parking.queue_fetch(severity) {
                let decided = self.outbox.decided();
                self.fetches.queue(id, severity, haste, decided);
            }
        }
    }

    /// How many more a lane that draws may hold.
    pub(super) fn room_to_draw(lane: &Lane) -> usize {
        lane.folding.draw().saturating_sub(lane.held())
    }

    /// What a lane drew has come, or some of it: folds once all has.
    pub(super) fn drawn(&mut self, id: DestinationId, now: Now) {
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        let is_fetching = lane
            .parking
            .as_ref()
            .is_some_and(|parking| parking.is_fetching());
        if lane.folding.preparing != Preparing::Drawing || is_fetching {
            return;
        }
        lane.folding.preparing = Preparing::Nothing;
        if !is_behind(lane, &self.settings) || !self.fold(id, now) {
            // It has its turn as any other.
            self.preparing -= 1;
        }
    }

    /// Folds what is in memory; answers whether a digest was made of it.
    fn fold(&mut self, id: DestinationId, now: Now) -> bool {
        let Some(lane) = self.lanes.get_mut(id) else {
            return false;
        };
        let limit = match lane.channel.map(|channel| &self.settings.channels[channel]) {
            Some(channel) => channel.limit,
            None => return false,
        };
        lane.recall(now.mono);
        let order = lane.order(now.mono, &self.settings, &self.credentials);
        let mut composer = Composer::new(limit, &self.settings.timezone);
        let chosen = choose(lane, &order, &mut composer, |held| {
            !self.credentials.blocks(held.credential(), now.mono)
        });
        let members = composer.members();
        let count: u32 = members.iter().sum();
        if count < 2 {
            lane.folding.forbid(1);
            return false;
        }
        let text = composer.text().into_boxed_str();
        let folded = lane.take_out(&chosen);
        let Some(lead) = folded
            .iter()
            .max_by_key(|held| (held.severity(), std::cmp::Reverse(held.key().position)))
        else {
            return false;
        };
        let keys: Box<[LeaseKey]> = folded.iter().map(Held::key).collect();
        let digest = Arc::new(Digest {
            id: DigestId::of(lead.lease.delivery_id(), &text, &keys),
            text,
            members,
        });
        let lead = lead.lead_of(Lease {
            digest: Some(Arc::clone(&digest)),
            ..(*lead.lease).clone()
        });
        for held in &folded {
            lane.let_go(held.key());
            if held.key() != lead.key() {
                self.ages.remove(held.lease.alert.accepted_at);
            }
        }
        self.held = self.held + 1 - folded.len();
        self.outbox.settle(
            &lead,
            None,
            Outcome::Folded {
                digest,
                members: keys,
            },
        );
        let twice = u16::try_from(count.saturating_mul(2)).unwrap_or(u16::MAX);
        lane.folding.draw = twice;
        lane.folding.preparing = Preparing::Recording;
        lane.current = Some(lead);
        self.recording.push_back((self.outbox.decided(), id));
        true
    }

    /// Lets the digests go whose folds are recorded now.
    pub(super) fn folds_recorded(&mut self) {
        let recorded = self.outbox.recorded_so_far();
        while let Some((_, id)) = self
            .recording
            .pop_front_if(|(decided, _)| *decided <= recorded)
        {
            if let Some(lane) = self.lanes.get_mut(id) {
                lane.folding.preparing = Preparing::Ready;
                self.ready.push_back(id);
            }
        }
    }

    /// Folds that were not made: the digest is not sent, and what it would have
    /// carried is on disk.
    pub(super) fn unfolded(&mut self, folds: &[Unfolded]) {
        for fold in folds {
            // The lead may be gone already, as too old, and the lane be asleep.
            self.wake(fold.lead.destination);
            let lane = self.lanes.make(fold.lead.destination);
            if let Some(lead) = lane.current.take_if(|held| held.key() == fold.lead) {
                self.held -= 1;
                self.ages.remove(lead.lease.alert.accepted_at);
            }
            self.park_again(fold.lead.destination, fold.parked);
            self.consider_fetching(fold.lead.destination);
        }
    }

    /// So many of each severity that a lane held are on disk alone again, and what has
    /// come after them goes there too, so that they are sent in order.
    pub(super) fn park_again(&mut self, id: DestinationId, counts: [u32; 3]) {
        let later = self.lanes.make(id).park_again(counts);
        self.parked += counts.iter().copied().map(u64::from).sum::<u64>();
        self.parked += later.len() as u64;
        for held in &later {
            self.held -= 1;
            self.ages.remove(held.lease.alert.accepted_at);
            self.outbox.settle(held, None, Outcome::Parked);
        }
    }

    /// The lane with a digest that may go now. Where it may not any more, since its
    /// host or its credential is in trouble now, it lines up with the others.
    pub(super) fn next_ready(&mut self, now: Now) -> Option<DestinationId> {
        while let Some(id) = self.ready.pop_front() {
            self.preparing -= 1;
            let Some(lane) = self.lanes.get_mut(id) else {
                continue;
            };
            lane.folding.preparing = Preparing::Nothing;
            if self.schedule.has_room(lane.host) {
                return Some(id);
            }
            self.place(id, now);
        }
        None
    }
}

/// Whether a lane, of which nothing is sent in part, has more waiting than its pace
/// carries in time.
fn is_behind(lane: &Lane, settings: &EngineSettings) -> bool {
    lane.current.is_none() && folds(lane, settings)
}

/// Whether what waits in a lane is folded as its turns come.
pub(super) fn folds(lane: &Lane, settings: &EngineSettings) -> bool {
    let is_well = lane
        .trouble
        .as_ref()
        .is_none_or(|trouble| trouble.failures == 0);
    let after = lane
        .channel
        .and_then(|channel| settings.channels[channel].digest_after);
    let rate = lane.bucket.and_then(|bucket| bucket.per_second());
    match (after, rate) {
        (Some(after), Some(rate)) if is_well => {
            lane.folding.singles == 0 && lane.waiting() as f64 > rate * after.as_secs_f64()
        }
        _ => false,
    }
}

/// Whether there is something on disk that should be part of the digest.
fn draws(lane: &Lane) -> bool {
    let Some(parking) = &lane.parking else {
        return false;
    };
    let has_high = parking.count_of(Severity::High) > 0;
    has_high || (parking.is_needed() && lane.held() < lane.folding.draw() / 2)
}

/// Adds to the digest what fits, of each severity the first ones, all with one
/// credential; answers where they stand.
fn choose<'a>(
    lane: &'a Lane,
    order: &[Severity],
    composer: &mut Composer<'a>,
    is_free: impl Fn(&Held) -> bool,
) -> Vec<(Severity, usize)> {
    let mut credential = None;
    let mut chosen = Vec::new();
    for severity in order {
        for (index, held) in lane.queue(*severity).iter().enumerate() {
            if chosen.len() == usize::from(DRAW.1) {
                return chosen;
            }
            if !is_free(held) || *credential.get_or_insert(held.credential()) != held.credential() {
                continue;
            }
            let alert = &held.lease.alert;
            // The message is full; or this one goes by itself, and before the rest.
            if held.parts_sent > 0
                || held.lease.digest.is_some()
                || !composer.add(*severity, &alert.message, alert.accepted_at)
            {
                return chosen;
            }
            chosen.push((*severity, index));
        }
    }
    chosen
}
