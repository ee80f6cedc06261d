//! What comes in: deliveries received, parked, or fetched from where they were
//! parked.

use std::time::Duration;

use common::{DestinationId, Now, Severity};

use super::{
    Engine,
    dormant::Sleeper,
    event::Action,
    folding::Preparing,
    held::Held,
    hosts::{Host, HostId},
    lane::Lane,
    pace::Bucket,
    parking::Fetch,
    schedule::Rank,
    settings::EngineSettings,
};
use crate::{
    domain::{Fault, Lease, Outcome},
    ports::ParkedLane,
};

/// Deliveries that a lane draws for a digest however full memory is: they leave it
/// at once.
const DRAWN_WHEN_FULL: usize = 32;

impl Engine {
    pub(super) fn restore_parked(&mut self, lanes: &[ParkedLane]) {
        for parked in lanes {
            self.dormant
                .park(parked.destination, None, parked.severity, parked.count);
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
        if self.sleeps(&lease) {
            self.park_asleep(now, lease);
            return;
        }
        let full = self.is_full();
        if let Some(sleeper) = self.dormant.take(id) {
            self.rise(id, sleeper, (!rank(&lease).is_tail).then_some(severity));
        }
        let lane = self.lanes.make(id);
        if severity == Severity::High {
            lane.cut(now.mono + self.settings.high_cut);
        }
        if must_park(lane, &lease, full, &self.settings) {
            let shelf = lane.parking.get_or_insert_default().shelf_mut(severity);
            shelf.hurries |= !rank(&lease).is_tail;
            shelf.park();
            self.parked += 1;
            let age = self.clock.age(lease.counts_from(), now);
            let held = Held::new(lease, now, age, &self.settings);
            self.outbox.settle(&held, None, Outcome::Parked);
            self.consider_fetching(id);
        } else {
            self.hold(now, lease);
        }
        self.urge(id, severity, now);
        self.place(id, now);
    }

    /// Whether a delivery just received goes to disk and its lane is not even made:
    /// it sleeps already, or memory is full, and the lane would only stand and wait.
    fn sleeps(&mut self, lease: &Lease) -> bool {
        let id = lease.destination.id;
        if lease.progress.attempts > 0 || lease.digest.is_some() {
            return false;
        }
        let sleeps = self.dormant.contains(id);
        let may_wake = self.caught_up && !self.fetches.are_many_in_a_hurry();
        if sleeps && (rank(lease).is_tail || !may_wake) {
            return true;
        }
        if !sleeps && (!self.is_full() || self.lanes.get(id).is_some()) {
            return false;
        }
        let host = self.schedule.hosts.enter(&lease.destination);
        let congested = self.schedule.is_congested_for(host, rank(lease));
        self.schedule.hosts.leave(host);
        congested || self.credentials.opens_at(lease.credential.id).is_some()
    }

    fn park_asleep(&mut self, now: Now, lease: Lease) {
        let host = self.schedule.hosts.enter(&lease.destination);
        let severity = lease.alert.severity;
        // A sleeper that is not new is known by the host that it was known by.
        let is_new = self
            .dormant
            .park(lease.destination.id, Some(host), severity, 1);
        if !is_new {
            self.schedule.hosts.leave(host);
        }
        if severity == Severity::High {
            self.urge_host(host, now);
            self.credentials
                .cut(lease.credential.id, now.mono + self.settings.high_cut);
        }
        self.parked += 1;
        let age = self.clock.age(lease.counts_from(), now);
        let held = Held::new(lease, now, age, &self.settings);
        self.outbox.settle(&held, None, Outcome::Parked);
    }

    /// A high delivery that waits behind a breaker brings its probe forward.
    fn urge(&mut self, id: DestinationId, severity: Severity, now: Now) {
        if severity != Severity::High {
            return;
        }
        let Some(lane) = self.lanes.get(id) else {
            return;
        };
        if let Some(credential) = lane.waits_for {
            self.credentials
                .cut(credential, now.mono + self.settings.high_cut);
        }
        if let Some(host) = lane.host {
            self.urge_host(host, now);
        }
    }

    fn urge_host(&mut self, id: HostId, now: Now) {
        let latest = now.mono + self.settings.high_cut;
        let breaker = self
            .schedule
            .hosts
            .get_mut(id)
            .and_then(|host| host.breaker_mut());
        if let Some(breaker) = breaker
            && let Some(at) = breaker.opens_at()
            && at > latest
        {
            breaker.cut(latest);
            self.breakers.remove(&(at, id));
            self.breakers.insert((latest, id));
        }
    }

    /// Makes the lane of a sleeper again.
    pub(super) fn wake(&mut self, id: DestinationId) {
        if let Some(sleeper) = self.dormant.take(id) {
            self.rise(id, sleeper, None);
        }
    }

    /// `hurried` are those of that severity that it has.
    fn rise(&mut self, id: DestinationId, sleeper: Sleeper, hurried: Option<Severity>) {
        let lane = self.lanes.make(id);
        match (lane.host, sleeper.host) {
            (None, host) => lane.host = host,
            (Some(_), Some(host)) => self.schedule.hosts.leave(host),
            (Some(_), None) => {}
        }
        let parking = lane.parking.get_or_insert_default();
        for severity in Severity::BY_URGENCY {
            let count = sleeper.counts[usize::from(severity.code())];
            let shelf = parking.shelf_mut(severity);
            shelf.count += u64::from(count);
            shelf.hurries |= count > 0 && hurried == Some(severity);
        }
        self.consider_fetching(id);
    }

    /// Wakes lanes whose deliveries are all on disk, while there is room for them
    /// or sending will soon make some, and their host is well.
    pub(super) fn wake_sleepers(&mut self) {
        if !self.caught_up {
            return;
        }
        while !self.fetches.are_many()
            && (!self.is_full()
                || self.schedule.moving() + self.fetches.pending() < self.settings.max_in_flight)
        {
            let full = self.is_full();
            let fetching = self.fetches.pending() > 0;
            let schedule = &self.schedule;
            let woken = self.dormant.wake(|host| {
                host.is_none_or(|id| match schedule.hosts.get(id) {
                    Some(host) if host.is_closed() => !(full && schedule.is_congested(id)),
                    // Nobody else can be its probe.
                    Some(host) => !fetching && host.lacks_a_probe(),
                    None => true,
                })
            });
            let Some((id, sleeper)) = woken else {
                return;
            };
            self.rise(id, sleeper, None);
        }
    }

    /// What this lane held was too old; so may be what sleeps behind the same host.
    pub(super) fn wake_another(&mut self, id: DestinationId) {
        let host = self.lanes.get(id).and_then(|lane| lane.host);
        if host.is_none() || !self.caught_up || self.fetches.are_many() {
            return;
        }
        if let Some((id, sleeper)) = self.dormant.wake(|other| other == host) {
            self.rise(id, sleeper, None);
        }
    }

    /// Lets a lane of which nothing is in memory fall asleep again. Its host is held
    /// for that by the caller.
    fn fall_asleep(&mut self, id: DestinationId, host: HostId) {
        if let Some(lane) = self.lanes.get_mut(id) {
            self.schedule.leave(&mut lane.place);
        }
        if let Some(lane) = self.lanes.forget(id) {
            for severity in Severity::BY_URGENCY {
                let parking = lane.parking.as_ref();
                let count = parking.map_or(0, |parking| parking.count_of(severity));
                if count > 0 && self.dormant.park(id, Some(host), severity, count) {
                    self.schedule.hosts.hold(host);
                }
            }
            if let Some(known) = lane.host {
                self.schedule.hosts.leave(known);
            }
        }
        self.schedule.hosts.leave(host);
    }

    /// Takes a delivery into its lane, with the wait it brings from an earlier run.
    fn hold(&mut self, now: Now, lease: Lease) {
        let age = self.clock.age(lease.counts_from(), now);
        let kind = &lease.destination.kind;
        let channels = &self.settings.channels;
        let Some(channel) = channels.iter().position(|channel| channel.kind == *kind) else {
            let reason = format!("no channel of the kind {kind} is configured");
            let held = Held::new(lease, now, age, &self.settings);
            self.outbox.settle(&held, None, Outcome::Dead { reason });
            return;
        };
        self.held += 1;
        self.ages.add(lease.alert.accepted_at);
        let lane = self.lanes.make(lease.destination.id);
        lane.channel = Some(channel);
        lane.bucket
            .get_or_insert_with(|| Bucket::new(self.settings.channels[channel].pace));
        if lane.host.is_none() {
            lane.host = Some(self.schedule.hosts.enter(&lease.destination));
        }
        let wait = lease.progress.wait;
        let held = Held::new(lease, now, age, &self.settings);
        self.look_when_old(&held, now);
        let id = held.key().destination;
        let asked_of_place = self.asked_of_place(id);
        let Some(lane) = self.lanes.get_mut(id) else {
            return;
        };
        if let Some(until) = asked_of_place.filter(|until| *until > now.mono) {
            lane.rest(until, true);
        }
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
        match wait.fault {
            Fault::Payload => lane.set_aside(held, until),
            Fault::Credential => {
                let credential = held.credential();
                lane.insert_blocked(held);
                let before = self.credentials.state(credential);
                self.credentials.restore(credential, now.mono, until);
                self.note_credential(credential, before, None);
            }
            Fault::Destination | Fault::Host | Fault::Unclear => {
                lane.restore(held.attempts);
                lane.rest(until, false);
                lane.insert(held);
            }
        }
    }

    /// Until when the place of a destination for warnings has asked to be left alone:
    /// that holds for whatever goes there.
    fn asked_of_place(&self, id: DestinationId) -> Option<Duration> {
        if !id.is_for_warnings() {
            return None;
        }
        let lane = self.lanes.get(id.place())?;
        Some(lane.trouble.as_ref()?.asked_until())
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
        if shelf.is_for_nothing() {
            shelf.put_back();
            self.forget_cancelled();
            return self.fetch_ended(destination, now);
        }
        let mut leases = leases;
        let brought = leases.len();
        let last = leases.last().map(|lease| lease.position);
        let cancelled = &self.cancelled;
        leases.retain(|lease| !cancelled.contains(&lease.position));
        self.forget_cancelled();
        if let Some(host) = self.would_stand(destination, &leases, now) {
            // They stay where they are, on disk.
            let shelf = self.lanes.make(destination).parking.get_or_insert_default();
            shelf.shelf_mut(severity).put_back();
            self.fall_asleep(destination, host);
            return;
        }
        let lane = self.lanes.make(destination);
        leases.retain(|lease| !lane.holds(lease.key()));
        let shelf = lane.parking.get_or_insert_default().shelf_mut(severity);
        leases.retain(|lease| !shelf.is_gone(lease.position));
        let fewer = shelf.fetched(brought, leases.len() as u64, last);
        self.parked = self.parked.saturating_sub(fewer);
        for lease in leases {
            self.hold(now, lease);
        }
        self.fetch_ended(destination, now);
    }

    /// Of those cancelled none can come any more once no fetch is under way.
    fn forget_cancelled(&mut self) {
        if !self.fetches.are_under_way() {
            self.cancelled.clear();
        }
    }

    /// A fetch of the lane has brought what it brings.
    fn fetch_ended(&mut self, id: DestinationId, now: Now) {
        self.drawn(id, now);
        if self.bury_expired(id, now) {
            self.wake_another(id);
        }
        self.consider_fetching(id);
        self.place(id, now);
    }

    /// The host of deliveries just fetched, held for the caller, if they must not be
    /// taken in: memory is full, nothing else of their lane is in memory or to be
    /// remembered, and it would only stand and wait.
    fn would_stand(&mut self, id: DestinationId, leases: &[Lease], now: Now) -> Option<HostId> {
        let first = leases.first()?;
        let lane = self.lanes.get(id)?;
        let must_stay = lane.held() > 0
            || lane.rested_at() > now.mono
            || lane.parking.as_ref()?.is_fetching_another()
            || self.clock.age(first.counts_from(), now) >= self.settings.max_age_in_all
            || !self.is_full();
        if must_stay {
            return None;
        }
        let waiting = leases.iter().map(|lease| lease.position);
        let severity = first.alert.severity;
        let rank = Rank::of(severity, waiting).hurried(lane.hurries(severity));
        let host = self.schedule.hosts.enter(&first.destination);
        let is_probe = self
            .schedule
            .hosts
            .get(host)
            .is_some_and(Host::lacks_a_probe);
        if (self.schedule.is_congested_for(host, rank) && !is_probe)
            || self.credentials.opens_at(first.credential.id).is_some()
        {
            return Some(host);
        }
        self.schedule.hosts.leave(host);
        None
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
            if wanted && let Some(haste) = parking.queue_fetch(severity) {
                let decided = self.outbox.decided();
                self.fetches.queue(id, severity, haste, decided);
            }
        }
    }

    pub(super) fn next_fetch(&mut self) -> Option<Action> {
        let request = self.fetches.next(self.outbox.recorded_so_far())?;
        let memory = self.settings.memory_leases.saturating_sub(self.taken());
        let lane = self.lanes.make(request.destination);
        let room = match lane.folding.preparing {
            Preparing::Drawing => Self::room_to_draw(lane).min(memory.max(DRAWN_WHEN_FULL)),
            _ => self
                .settings
                .lane_leases
                .saturating_sub(lane.held())
                .min(memory),
        };
        let room = room.max(1);
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

/// With what the lane of a delivery just received would line up for it alone.
fn rank(lease: &Lease) -> Rank {
    Rank::of(lease.alert.severity, [lease.position])
}

/// Whether a delivery just received goes to disk.
fn must_park(lane: &Lane, lease: &Lease, full: bool, settings: &EngineSettings) -> bool {
    if lease.progress.attempts > 0 || lease.digest.is_some() {
        // An earlier run held it in memory, so there is room for it; and its wait
        // or its parts must be known.
        return false;
    }
    let severity = lease.alert.severity;
    let parking = lane.parking.as_ref();
    if let Some(shelf) = parking.and_then(|parking| parking.shelf(severity)) {
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
