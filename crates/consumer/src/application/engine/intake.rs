//! What comes in: deliveries received, parked, or fetched from where they were
//! parked.

use common::{DestinationId, Now, Severity};

use super::{
    Engine,
    event::Action,
    lane::{Held, Lane},
    pace::Bucket,
    parking::Fetch,
    settings::EngineSettings,
};
use crate::{
    domain::{Fault, Lease, Outcome},
    ports::ParkedLane,
};

impl Engine {
    pub(super) fn restore_parked(&mut self, lanes: &[ParkedLane]) {
        for parked in lanes {
            let lane = self.lanes.make(parked.destination);
            lane.parking
                .get_or_insert_default()
                .shelf_mut(parked.severity)
                .count += parked.count;
            self.parked += parked.count;
        }
    }

    pub(super) fn catch_up(&mut self) {
        self.restoring = false;
        self.caught_up = true;
        for id in self.lanes.ids() {
            self.consider_fetching(id);
        }
    }

    pub(super) fn receive(&mut self, now: Now, lease: Lease) {
        let id = lease.destination.id;
        let severity = lease.alert.severity;
        let full = self.is_full();
        let lane = self.lanes.make(id);
        if severity == Severity::High {
            lane.cut(now.mono + self.settings.high_cut);
        }
        if must_park(lane, &lease, full, &self.settings) {
            lane.parking
                .get_or_insert_default()
                .shelf_mut(severity)
                .park();
            self.parked += 1;
            let age = self.clock.age(lease.counts_from(), now);
            let held = Held::new(lease, now, age, &self.settings);
            self.outbox.settle(&held, None, Outcome::Parked);
            self.consider_fetching(id);
        } else {
            self.hold(now, lease);
        }
        self.place(id, now);
    }

    /// Takes a delivery into its lane, with the wait it brings from an earlier run.
    fn hold(&mut self, now: Now, lease: Lease) {
        let age = self.clock.age(lease.counts_from(), now);
        let kind = &lease.destination.kind;
        let Some(pace) = self.settings.paces.iter().find(|(known, _)| known == kind) else {
            let reason = format!("no channel of the kind {kind} is configured");
            let held = Held::new(lease, now, age, &self.settings);
            self.outbox.settle(&held, None, Outcome::Dead { reason });
            return;
        };
        self.held += 1;
        self.ages.add(lease.alert.accepted_at);
        let lane = self.lanes.make(lease.destination.id);
        lane.bucket.get_or_insert_with(|| Bucket::new(pace.1));
        let wait = lease.progress.wait;
        let held = Held::new(lease, now, age, &self.settings);
        let Some(wait) = wait else {
            lane.insert(held);
            return;
        };
        // Counted on the monotonic clock from here on, and bounded: a wall clock
        // that was set back while the process was down must not make it endless.
        let until = now.mono + wait.until.since(now.utc).min(self.settings.longest_wait);
        if wait.asked {
            lane.rest(until, true);
        }
        if wait.fault == Fault::Payload {
            lane.set_aside(held, until);
        } else {
            lane.restore(held.attempts);
            lane.rest(until, false);
            lane.insert(held);
        }
    }

    pub(super) fn unparked(
        &mut self,
        now: Now,
        destination: DestinationId,
        severity: Severity,
        leases: Vec<Lease>,
    ) {
        let shelf = self
            .lanes
            .make(destination)
            .parking
            .get_or_insert_default()
            .shelf_mut(severity);
        if let Fetch::Asked(room) = shelf.fetch {
            self.fetches.answered(room);
        }
        let before = shelf.cursor;
        let last = leases.last().map(|lease| lease.position);
        self.parked = self
            .parked
            .saturating_sub(shelf.fetched(leases.len() as u64, last));
        for lease in leases {
            // One that came before is held already or has ended.
            if before.is_none_or(|before| lease.position > before)
                && !self.cancelled.contains(&lease.position)
            {
                self.hold(now, lease);
            }
        }
        if !self.fetches.are_under_way() {
            self.cancelled.clear();
        }
        self.bury_expired(destination, now);
        self.consider_fetching(destination);
        self.place(destination, now);
    }

    /// Queues the fetches that the lane needs: what is parked comes as soon as
    /// nothing of its severity is left in memory, and earlier where memory allows.
    pub(super) fn consider_fetching(&mut self, id: DestinationId) {
        if !self.caught_up || self.draining {
            return;
        }
        let full = self.is_full();
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        let (held, low) = (lane.held(), self.settings.lane_leases / 4);
        for severity in Severity::BY_URGENCY {
            let queued = lane.queued(severity);
            let wanted =
                queued == 0 || (!full && queued <= low && held < self.settings.lane_leases);
            let Some(parking) = &mut lane.parking else {
                return;
            };
            let shelf = parking.shelf_mut(severity);
            if wanted && shelf.count > 0 && shelf.fetch == Fetch::None {
                shelf.queue_fetch();
                self.fetches.queue(id, severity, self.outbox.decided());
            }
        }
    }

    pub(super) fn next_fetch(&mut self) -> Option<Action> {
        let request = self.fetches.next(self.outbox.recorded_so_far())?;
        let memory = self
            .settings
            .memory_leases
            .saturating_sub(self.held + self.fetches.expected());
        let lane = self.lanes.make(request.destination);
        let room = self
            .settings
            .lane_leases
            .saturating_sub(lane.held())
            .min(memory)
            .max(1);
        let shelf = lane
            .parking
            .get_or_insert_default()
            .shelf_mut(request.severity);
        shelf.fetch = Fetch::Asked(room);
        self.fetches.ask(room);
        Some(Action::Unpark {
            destination: request.destination,
            severity: request.severity,
            after: shelf.cursor,
            room,
        })
    }
}

/// Whether a delivery just received goes to disk.
fn must_park(lane: &Lane, lease: &Lease, full: bool, settings: &EngineSettings) -> bool {
    if lease.progress.attempts > 0 {
        // An earlier run held it in memory, so there is room for it; and its wait
        // or its parts must be known.
        return false;
    }
    let severity = lease.alert.severity;
    if let Some(parking) = &lane.parking {
        let shelf = parking.shelf(severity);
        if shelf.cursor.is_some_and(|cursor| lease.position <= cursor) {
            // Fetching has passed its place and would not come back for it.
            return false;
        }
        if shelf.count > 0 {
            return true;
        }
    }
    lane.queued(severity) > 0 && (full || lane.held() >= settings.lane_leases)
}
