//! The services that lanes go to: each has a share of the requests in flight, and
//! a breaker.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use common::{Destination, DestinationId, status::BreakerState};

use super::{
    breaker::{Breaker, Tally},
    outages::Outages,
    schedule::Rank,
};

/// Names a host while a lane or a sleeper needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HostId(u32);

/// One host.
#[derive(Debug, Default)]
pub(super) struct Host {
    name: Box<str>,
    /// Lanes and sleepers that name it.
    users: u32,
    in_flight: usize,
    /// Those of them that belong to tails.
    tails_in_flight: usize,
    /// How many lanes stand in each of its lines, by [`Rank::line`].
    pub(super) standing: [u32; 6],
    /// The lanes in line, by severity code, each with the stamp of its entry.
    pub(super) lines: [VecDeque<(DestinationId, u64)>; 6],
    /// Whether it stands in the ring of each severity.
    pub(super) in_ring: [bool; 6],
    trouble: Option<Box<Trouble>>,
}

/// Present from the first failure on.
#[derive(Debug, Default)]
struct Trouble {
    breaker: Breaker,
    tally: Tally,
    outages: Outages,
}

impl Host {
    /// What a request to it failing means: `Some` with the failures in a row where
    /// its breaker opens because of it, or opens again.
    pub(super) fn failed(
        &mut self,
        lane: DestinationId,
        now: Duration,
        error: &str,
    ) -> Option<u32> {
        let trouble = self.trouble.get_or_insert_default();
        if !trouble.breaker.is_closed() {
            let was_probe = trouble.breaker.opens_at().is_none();
            return was_probe.then(|| trouble.breaker.fail(error));
        }
        trouble.tally.count(lane, now, true);
        // Four fifths of the lanes tried lately, and none succeeded since.
        trouble
            .tally
            .blames(4, 5)
            .then(|| trouble.breaker.fail(error))
    }

    /// A request to it was refused for a reason that is not the host's. Answers
    /// whether a breaker that was not closed closes by that: the host answers.
    pub(super) fn answered(&mut self, lane: DestinationId, now: Duration) -> bool {
        let Some(trouble) = &mut self.trouble else {
            return false;
        };
        trouble.tally.count(lane, now, false);
        Self::close(trouble, now)
    }

    /// A request to it succeeded. Answers as [`answered`](Self::answered).
    pub(super) fn succeeded(&mut self, now: Duration) -> bool {
        let Some(trouble) = &mut self.trouble else {
            return false;
        };
        trouble.tally.clear();
        Self::close(trouble, now)
    }

    /// A request to it ended in doubt: no sign that the host is well. Answers the
    /// failures in a row where its breaker opens again.
    pub(super) fn in_doubt(&mut self, error: &str) -> Option<u32> {
        let trouble = self.trouble.as_mut()?;
        let was_probe = !trouble.breaker.is_closed() && trouble.breaker.opens_at().is_none();
        was_probe.then(|| trouble.breaker.fail(error))
    }

    fn close(trouble: &mut Trouble, now: Duration) -> bool {
        let was_open = !trouble.breaker.is_closed();
        if was_open {
            let opened_at = trouble.breaker.close();
            trouble.outages.add(opened_at, now);
            trouble.tally.clear();
        }
        was_open
    }

    pub(super) fn breaker(&self) -> Option<&Breaker> {
        self.trouble.as_ref().map(|trouble| &trouble.breaker)
    }

    pub(super) fn breaker_mut(&mut self) -> Option<&mut Breaker> {
        self.trouble.as_mut().map(|trouble| &mut trouble.breaker)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.breaker().is_none_or(Breaker::is_closed)
    }

    /// Its breaker's state.
    pub(super) fn state(&self) -> BreakerState {
        self.breaker()
            .map_or(BreakerState::Closed, |breaker| breaker.state())
    }

    /// Lanes in line for it.
    pub(super) fn in_line(&self) -> usize {
        self.standing.iter().map(|lanes| *lanes as usize).sum()
    }

    /// Lanes in line that a further one of that rank goes behind.
    pub(super) fn in_line_before(&self, rank: Rank) -> usize {
        let before = Rank::by_urgency().take_while(|other| !other.goes_behind(rank));
        before
            .map(|other| self.standing[other.line()] as usize)
            .sum()
    }

    /// A request begins.
    pub(super) fn begin(&mut self, is_tail: bool) {
        self.in_flight += 1;
        self.tails_in_flight += usize::from(is_tail);
    }

    /// A request has ended.
    pub(super) fn end(&mut self, was_tail: bool) {
        self.in_flight -= 1;
        self.tails_in_flight -= usize::from(was_tail);
    }

    /// Whether a request of that rank may begin. Half of them may be of tails: a tail
    /// that gets no answers, or as many as the machine can take, would hold up what
    /// comes after it.
    pub(super) fn has_room_for(&self, rank: Rank, most: usize) -> bool {
        let tails_have_room = self.tails_in_flight < (most / 2).max(1);
        self.has_room(most) && (!rank.is_tail || tails_have_room)
    }

    /// Whether another request may begin.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.in_flight < most.max(1) && self.breaker().is_none_or(Breaker::admits)
    }

    /// Since when its breaker has not been closed.
    pub(super) fn failing_since(&self) -> Option<Duration> {
        self.breaker()?.opened_at()
    }

    /// What it said last, where its breaker is not closed.
    pub(super) fn error(&self) -> Option<&str> {
        let breaker = self.breaker()?;
        (!breaker.is_closed()).then(|| breaker.error())
    }

    /// Whether its breaker lets a probe through, and nobody is in line for it.
    pub(super) fn lacks_a_probe(&self) -> bool {
        let admits = self.breaker().is_some_and(Breaker::admits);
        admits && !self.is_closed() && self.in_line() == 0
    }

    /// For how long since then nothing could be tried.
    pub(super) fn barred(&self, from: Duration, now: Duration) -> Duration {
        let before = self
            .trouble
            .as_ref()
            .map_or(Duration::ZERO, |trouble| trouble.outages.since(from));
        let open = self.failing_since();
        before + open.map_or(Duration::ZERO, |at| now.saturating_sub(at.max(from)))
    }

    /// The channel kind and the URL's host, if it has one.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The channel kind.
    pub(super) fn kind(&self) -> &str {
        self.name
            .split_once(' ')
            .map_or(&*self.name, |(kind, _)| kind)
    }

    fn is_needed(&self) -> bool {
        self.users > 0 || self.in_flight > 0 || !self.is_closed()
    }
}

/// All hosts that are needed.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: Vec<Option<Box<Host>>>,
    free: Vec<u32>,
    by_name: HashMap<Box<str>, HostId>,
}

impl Hosts {
    /// The host of a destination, made if there is none, with one user more.
    pub(super) fn enter(&mut self, destination: &Destination) -> HostId {
        let name = host_name(destination);
        let id = match self.by_name.get(&*name) {
            Some(id) => *id,
            None => self.add(name.into()),
        };
        if let Some(host) = self.get_mut(id) {
            host.users += 1;
        }
        id
    }

    fn add(&mut self, name: Box<str>) -> HostId {
        let host = Box::new(Host {
            name: name.clone(),
            ..Host::default()
        });
        let id = match self.free.pop() {
            Some(id) => {
                self.hosts[id as usize] = Some(host);
                HostId(id)
            }
            None => {
                self.hosts.push(Some(host));
                HostId((self.hosts.len() - 1) as u32)
            }
        };
        self.by_name.insert(name, id);
        id
    }

    /// One more user of a known host.
    pub(super) fn hold(&mut self, id: HostId) {
        if let Some(host) = self.get_mut(id) {
            host.users += 1;
        }
    }

    /// One user less.
    pub(super) fn leave(&mut self, id: HostId) {
        if let Some(host) = self.get_mut(id) {
            host.users = host.users.saturating_sub(1);
        }
        self.forget_if_unneeded(id);
    }

    /// Forgets a host that nobody names any more and that has nothing to remember.
    pub(super) fn forget_if_unneeded(&mut self, id: HostId) {
        let Some(place) = self.hosts.get_mut(id.0 as usize) else {
            return;
        };
        if let Some(host) = place.take_if(|host| !host.is_needed()) {
            self.by_name.remove(&host.name);
            self.free.push(id.0);
        }
    }

    pub(super) fn get(&self, id: HostId) -> Option<&Host> {
        self.hosts.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: HostId) -> Option<&mut Host> {
        self.hosts.get_mut(id.0 as usize)?.as_deref_mut()
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.hosts.iter().flatten().count()
    }
}

/// What destinations have in common that share a host: the channel kind and the
/// scheme and authority of the base URL. An empty base URL is the one that the
/// channel is configured with.
fn host_name(destination: &Destination) -> String {
    let base = &*destination.base_url;
    let from = base.find("://").map_or(0, |at| at + 3);
    let end = base[from..]
        .find(['/', '?', '#'])
        .map_or(base.len(), |at| from + at);
    let mut name = destination.kind.to_string();
    if end > 0 {
        name.push(' ');
        name.push_str(&base[..end]);
    }
    name
}

#[cfg(test)]
mod tests {
    use common::ChannelKind;

    use super::*;

    fn to(base_url: &str) -> Destination {
        Destination::new(ChannelKind::SLACK, base_url, "a")
    }

    #[test]
    fn destinations_with_the_same_authority_share_a_host_whatever_the_path() {
        let mut hosts = Hosts::default();
        let one = hosts.enter(&to("https://example.org/a"));
        assert_eq!(hosts.enter(&to("https://example.org/b?c")), one);
        let host = hosts.get(one).unwrap();
        assert_eq!(
            (host.name(), host.kind()),
            ("slack https://example.org", "slack")
        );
        for other in ["https://example.org:444/a", "http://example.org/a", ""] {
            assert_ne!(hosts.enter(&to(other)), one, "{other}");
        }
    }

    #[test]
    fn a_host_is_forgotten_with_its_last_user_and_its_place_used_again() {
        let mut hosts = Hosts::default();
        let one = hosts.enter(&to("https://a"));
        assert_eq!(hosts.enter(&to("https://a")), one);
        hosts.leave(one);
        assert!(hosts.get(one).is_some());
        hosts.leave(one);
        assert!(hosts.get(one).is_none());
        assert_eq!(hosts.enter(&to("https://b")), one);
        assert_eq!(hosts.count(), 1);
    }

    #[test]
    fn a_host_with_an_open_breaker_is_remembered() {
        let mut hosts = Hosts::default();
        let id = hosts.enter(&to("https://a"));
        let host = hosts.get_mut(id).unwrap();
        for lane in 0..5 {
            host.failed(DestinationId(lane), Duration::ZERO, "connection refused");
        }
        let breaker = host.breaker_mut().unwrap();
        breaker.open(Duration::ZERO, Duration::from_secs(1));
        hosts.leave(id);
        assert!(hosts.get(id).is_some());
    }

    #[test]
    fn a_success_of_any_lane_keeps_the_breaker_from_opening() {
        let mut host = Host::default();
        for lane in 0..4 {
            let opens = host.failed(DestinationId(lane), Duration::ZERO, "refused");
            assert_eq!(opens, None);
        }
        host.succeeded(Duration::ZERO);
        for lane in 4..8 {
            let opens = host.failed(DestinationId(lane), Duration::ZERO, "refused");
            assert_eq!(opens, None);
        }
        let opens = host.failed(DestinationId(8), Duration::ZERO, "refused");
        assert_eq!(opens, Some(1));
    }
}
