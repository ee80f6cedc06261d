//! What the engine knows of those it sends to, for people.
//!
//! Told a part at a time, in the order of the destinations' ids: whoever asks must not
//! hold up those who are delivered to, however many lanes there are.

use std::{iter::Peekable, sync::Arc, time::Duration};

use common::{
    CredentialId, DestinationId, Now, Severity, UtcMillis,
    status::{
        BreakerOf, BreakerState, BreakerStatus, DestinationState, DestinationStatus, PaceStatus,
        StatusFilter, StatusPage, TroubleStatus,
    },
};

use super::{
    Engine,
    breaker::Breaker,
    dormant::Sleeper,
    folding::{Preparing, folds},
    hosts::{Host, HostId},
    lane::{Lane, Next, Trouble},
};

/// Lanes, and deliveries in them, looked at for one answer. A look takes some ten
/// nanoseconds and, where memory is cold, a hundred.
const LOOKS: usize = 4_096;

/// Breakers told of in one answer.
const BREAKERS: usize = 1_000;

/// A lane, awake or asleep.
enum Either<'a> {
    Lane(&'a Lane),
    Sleeper(&'a Sleeper),
}

/// What the next delivery waits for, and until when in monotonic time.
type Waits = (DestinationState, Option<Duration>);

impl Engine {
    /// How destinations stand that are not at rest or not well, after `after` in the
    /// order of their ids, up to `limit`; fewer where that many had to be looked at,
    /// even none. And the breakers.
    pub fn status(
        &self,
        now: Now,
        filter: &StatusFilter,
        after: Option<DestinationId>,
        limit: usize,
    ) -> StatusPage {
        let (breakers, more_breakers) = self.breakers_status(now);
        let mut page = StatusPage {
            breakers,
            more_breakers,
            ..StatusPage::default()
        };
        let mut looks = 0;
        let mut all = InOrder {
            awake: self.lanes.after(after).peekable(),
            asleep: self.dormant.after(after).peekable(),
        };
        let mut last = None;
        while let Some((id, lane)) = all.next() {
            if looks >= LOOKS || page.destinations.len() >= limit.max(1) {
                page.next = last;
                break;
            }
            last = Some(id);
            looks += 1;
            let (status, host) = match lane {
                Either::Lane(lane) => {
                    looks += lane.held();
                    (self.lane_status(id, lane, now), lane.host)
                }
                Either::Sleeper(sleeper) => {
                    let status = self.sleeper_status(id, sleeper, now);
                    (Some(status), sleeper.host)
                }
            };
            let host = host.and_then(|id| self.schedule.hosts.get(id));
            let kind = host.map(Host::kind);
            let wanted = status.filter(|status| filter.takes(status.state, kind));
            page.destinations.extend(wanted);
        }
        page
    }

    fn lane_status(&self, id: DestinationId, lane: &Lane, now: Now) -> Option<DestinationStatus> {
        let pace = lane.bucket.and_then(|bucket| {
            Some(PaceStatus {
                per_second: bucket.per_second_at(now.mono)?,
                usual: bucket.usual()?,
            })
        });
        let trouble = lane
            .trouble
            .as_ref()
            .filter(|trouble| trouble.failures > 0 || trouble.until() > now.mono);
        let (state, until) = match self.waits(lane, now.mono) {
            Some(waits) => waits,
            None if trouble.is_some() => (DestinationState::Resting, None),
            None if pace.is_some_and(|pace| pace.per_second < pace.usual) => {
                (DestinationState::Resting, None)
            }
            None => return None,
        };
        let mut waiting = [0; 3];
        let mut in_flight = 0;
        let under_way = lane.current.as_ref().filter(|_| lane.in_flight);
        for held in lane.all() {
            if under_way.is_some_and(|current| std::ptr::eq(current, held)) {
                in_flight = held.lease.carries();
                continue;
            }
            for (count, more) in waiting.iter_mut().zip(held.lease.by_severity()) {
                *count += u64::from(more);
            }
        }
        let mut parked = [0; 3];
        if let Some(parking) = &lane.parking {
            for severity in Severity::BY_URGENCY {
                parked[usize::from(severity.code())] = parking.count_of(severity);
            }
        }
        Some(DestinationStatus {
            id,
            destination: lane
                .all()
                .next()
                .map(|held| Arc::clone(&held.lease.destination)),
            host: self.host_name(lane.host),
            state,
            until: until.map(|until| utc(now, until)),
            waiting,
            parked,
            in_flight,
            folding: lane.folding.preparing != Preparing::Nothing || folds(lane, &self.settings),
            pace,
            trouble: trouble.map(|trouble| trouble_status(trouble, now)),
        })
    }

    fn sleeper_status(&self, id: DestinationId, sleeper: &Sleeper, now: Now) -> DestinationStatus {
        let by_host = self.host_breaker(sleeper.host);
        let (state, until) = by_host.unwrap_or((DestinationState::Parked, None));
        DestinationStatus {
            id,
            destination: None,
            host: self.host_name(sleeper.host),
            state,
            until: until.map(|until| utc(now, until)),
            waiting: [0; 3],
            parked: sleeper.counts.map(u64::from),
            in_flight: 0,
            folding: false,
            pace: None,
            trouble: None,
        }
    }

    /// What the next delivery of a lane waits for; `None` where nothing waits and
    /// nothing holds it up. Of several things the one that takes longest.
    fn waits(&self, lane: &Lane, now: Duration) -> Option<Waits> {
        if lane.in_flight {
            return Some((DestinationState::Sending, None));
        }
        if lane.folding.preparing != Preparing::Nothing {
            return Some((DestinationState::Folding, None));
        }
        let by_host = self.host_breaker(lane.host);
        match lane.next(now, &self.settings, &self.credentials) {
            Next::Blocked(credential) => Some(self.credential_wait(credential)),
            Next::At(at) if at <= now => Some(by_host.unwrap_or((DestinationState::Queued, None))),
            Next::At(at) => {
                let own = (Self::own_wait(lane, at, now), Some(at));
                let by_host = by_host.filter(|(_, until)| until.is_none_or(|until| until >= at));
                Some(by_host.unwrap_or(own))
            }
            Next::Nothing => {
                let parking = lane.parking.as_ref();
                let is_parked = parking.is_some_and(|parking| parking.is_needed());
                let rests = || rests(lane.trouble.as_ref()?, now);
                let parked = (DestinationState::Parked, None);
                if is_parked {
                    by_host.or_else(rests).or(Some(parked))
                } else {
                    rests()
                }
            }
        }
    }

    /// Which of a lane's own reasons keeps it waiting until then.
    fn own_wait(lane: &Lane, at: Duration, now: Duration) -> DestinationState {
        let trouble = lane.trouble.as_ref();
        if let Some((state, _)) = trouble
            .filter(|trouble| trouble.until() >= at)
            .and_then(|trouble| rests(trouble, now))
        {
            return state;
        }
        match lane.bucket {
            Some(bucket) if bucket.ready_at() >= at => DestinationState::Pace,
            _ => DestinationState::Aside,
        }
    }

    fn credential_wait(&self, id: CredentialId) -> Waits {
        if self.credentials.state(id) != BreakerState::Closed {
            let until = self.credentials.opens_at(id);
            return (DestinationState::CredentialBreaker, until);
        }
        let until = self.credentials.next_at(id);
        (DestinationState::CredentialPace, until)
    }

    /// The wait for a host whose breaker is not closed.
    fn host_breaker(&self, host: Option<HostId>) -> Option<Waits> {
        let breaker = self.schedule.hosts.get(host?)?.breaker()?;
        (!breaker.is_closed()).then(|| (DestinationState::HostBreaker, breaker.opens_at()))
    }

    fn host_name(&self, host: Option<HostId>) -> Option<Box<str>> {
        Some(self.schedule.hosts.get(host?)?.name().into())
    }

    /// Breakers that are not closed and credentials that are slowed, and whether there
    /// are more.
    fn breakers_status(&self, now: Now) -> (Vec<BreakerStatus>, bool) {
        let hosts = self.troubled.iter().filter_map(|id| {
            let host = self.schedule.hosts.get(*id)?;
            let of = BreakerOf::Host(host.name().into());
            Some(BreakerStatus {
                waiting: host.in_line(),
                ..breaker_status(of, host.breaker()?, now)
            })
        });
        let credentials = self.credentials.troubled().take(LOOKS);
        let credentials = credentials.filter_map(|one| {
            let is_told = !one.breaker.is_closed() || one.slowed_to.is_some();
            is_told.then(|| BreakerStatus {
                waiting: one.waiting,
                slowed_to: one.slowed_to,
                ..breaker_status(BreakerOf::Credential(one.id), one.breaker, now)
            })
        });
        let mut all = hosts.chain(credentials);
        let mut told: Vec<_> = all.by_ref().take(BREAKERS).collect();
        let are_more = all.next().is_some() || self.credentials.troubled().nth(LOOKS).is_some();
        drop(all);
        told.sort_by(|one, other| one.of.cmp(&other.of));
        (told, are_more)
    }
}

/// Lanes awake and asleep, merged in the order of their ids.
struct InOrder<A: Iterator, B: Iterator> {
    awake: Peekable<A>,
    asleep: Peekable<B>,
}

impl<'a, A, B> InOrder<A, B>
where
    A: Iterator<Item = (DestinationId, &'a Lane)>,
    B: Iterator<Item = (DestinationId, &'a Sleeper)>,
{
    fn next(&mut self) -> Option<(DestinationId, Either<'a>)> {
        let asleep = self.asleep.peek().map(|(id, _)| *id);
        let awake = self
            .awake
            .next_if(|(id, _)| asleep.is_none_or(|asleep| *id <= asleep));
        match awake {
            Some((id, lane)) => Some((id, Either::Lane(lane))),
            None => self
                .asleep
                .next()
                .map(|(id, sleeper)| (id, Either::Sleeper(sleeper))),
        }
    }
}

/// How long a lane in trouble rests, if it still does.
fn rests(trouble: &Trouble, now: Duration) -> Option<Waits> {
    let until = trouble.until();
    let state = if trouble.asked_until() >= until {
        DestinationState::RetryAfter
    } else {
        DestinationState::Backoff
    };
    (until > now).then_some((state, Some(until)))
}

fn trouble_status(trouble: &Trouble, now: Now) -> TroubleStatus {
    TroubleStatus {
        failures: trouble.failures,
        since: trouble.since().map(|since| utc(now, since)),
        error: trouble.error.clone(),
    }
}

fn breaker_status(of: BreakerOf, breaker: &Breaker, now: Now) -> BreakerStatus {
    let error = if breaker.is_closed() {
        ""
    } else {
        breaker.error()
    };
    BreakerStatus {
        of,
        state: breaker.state(),
        since: breaker.opened_at().map(|at| utc(now, at)),
        probe_at: breaker.opens_at().map(|at| utc(now, at)),
        failures: breaker.failures(),
        error: error.into(),
        waiting: 0,
        slowed_to: None,
    }
}

/// A monotonic time on the wall clock as it is set now.
fn utc(now: Now, mono: Duration) -> UtcMillis {
    match mono.checked_sub(now.mono) {
        Some(ahead) => now.utc.plus(ahead),
        None => {
            let ago = (now.mono - mono).as_millis();
            UtcMillis(
                now.utc
                    .0
                    .saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)),
            )
        }
    }
}
