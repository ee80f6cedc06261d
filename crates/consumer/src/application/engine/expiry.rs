//! Giving up for age.
//!
//! A delivery is given up once attempts were possible for `max_age`, or once it is
//! `max_age_in_all` old. Attempts are possible while this process runs and neither
//! the host nor the credential is known to be out of order; how long they were in an
//! earlier run is not on record, so a restart counts anew, and `max_age_in_all` is
//! the bound. Whatever its age, nothing is given up before what it waits for has
//! been failing for `last_chance` in this process: after a long downtime the first
//! refusal is not the end, and what a working lane merely has not come to is sent.

use std::time::Duration;

use common::{DestinationId, Now};

use super::{
    Engine, credentials::Credentials, folding::Preparing, held::Held, hosts::Host,
    settings::EngineSettings, verdict,
};
use crate::domain::Outcome;

/// How often old deliveries are looked at that nothing happens to.
const LOOK: Duration = Duration::from_secs(600);

/// What decides whether a delivery of one lane is too old.
pub(super) struct Expiry<'a> {
    /// In monotonic time, as all here.
    pub(super) now: Duration,
    /// When this process began.
    pub(super) began: Duration,
    /// Since when the lane fails, if it does.
    pub(super) failing_since: Option<Duration>,
    pub(super) host: Option<&'a Host>,
    pub(super) credentials: &'a Credentials,
    pub(super) settings: &'a EngineSettings,
}

impl Expiry<'_> {
    /// Whether a delivery is too old to be tried again.
    pub(super) fn is_over(&self, held: &Held) -> bool {
        let too_old = held.age_at(self.now) >= self.settings.max_age_in_all;
        (too_old && self.is_hopeless(held))
            || (self.is_long_enough(self.failing_since)
                && self.possible(held) >= self.settings.max_age)
    }

    /// Whether what it waits for has been failing for long.
    fn is_hopeless(&self, held: &Held) -> bool {
        let credential = self.credentials.refused_since(held.credential());
        let host = self.host.and_then(Host::failing_since);
        [self.failing_since, credential, host]
            .into_iter()
            .any(|since| self.is_long_enough(since))
    }

    fn is_long_enough(&self, since: Option<Duration>) -> bool {
        since.is_some_and(|since| since + self.settings.last_chance <= self.now)
    }

    /// For how long attempts were possible. Time in which both its host and its
    /// credential were out of order counts twice, in its favour.
    fn possible(&self, held: &Held) -> Duration {
        let from = held.counts_from().max(self.began);
        let by_host = self
            .host
            .map_or(Duration::ZERO, |host| host.barred(from, self.now));
        let by_credential = self.credentials.barred(held.credential(), from, self.now);
        self.now
            .saturating_sub(from)
            .saturating_sub(by_host + by_credential)
    }
}

impl Engine {
    /// Gives up what is too old in a lane, tried or not: one attempt each, with a
    /// backoff between them, could take days. Answers whether there was any.
    pub(super) fn bury_expired(&mut self, id: DestinationId, now: Now) -> bool {
        let Some(lane) = self.lanes.get_mut(id) else {
            return false;
        };
        if lane.folding.preparing != Preparing::Nothing {
            // Its digest is on the way; the next look finds the others.
            return false;
        }
        let expiry = Expiry {
            now: now.mono,
            began: self.clock.began(),
            failing_since: lane.failing_since(),
            host: lane.host.and_then(|host| self.schedule.hosts.get(host)),
            credentials: &self.credentials,
            settings: &self.settings,
        };
        let expired = lane.take_expired(|held| expiry.is_over(held));
        if expired.is_empty() {
            return false;
        }
        let by_lane = lane.trouble.as_ref().map(|trouble| &*trouble.error);
        let by_lane = by_lane.filter(|error| !error.is_empty()).map(str::to_owned);
        let by_host = expiry.host.and_then(Host::error).map(str::to_owned);
        for held in &expired {
            let by_credential = self.credentials.error(held.credential());
            let error = by_lane.as_deref().or(by_credential).or(by_host.as_deref());
            let age = held.age_at(now.mono);
            let reason = verdict::too_old(held.attempts, age, error.unwrap_or("none"));
            self.end(held, None, Outcome::Dead { reason });
        }
        true
    }

    /// Remembers to look at a delivery once it is too old in all.
    pub(super) fn look_when_old(&mut self, held: &Held, now: Now) {
        let old_at = held.reaches(self.settings.max_age_in_all);
        let at = old_at.max(now.mono + self.settings.last_chance);
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
    }

    /// Gives up what is too old in lanes that only wait.
    pub(super) fn look_at_the_old(&mut self, now: Now) {
        if self.look_at.is_none_or(|at| at > now.mono) {
            return;
        }
        let limit = self.settings.max_age_in_all;
        self.credentials
            .forget_outages(now.mono.saturating_sub(limit));
        for id in self.lanes.ids() {
            if self.bury_expired(id, now) {
                self.wake_another(id);
            }
            self.consider_fetching(id);
            self.place(id, now);
        }
        let oldest = self
            .lanes
            .iter()
            .flat_map(|(_, lane)| lane.all())
            .map(|held| held.reaches(limit))
            .min();
        self.look_at = oldest.map(|at| at.max(now.mono + LOOK));
    }
}
