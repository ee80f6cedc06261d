//! Credentials in trouble: refused, or limited as a whole.
//!
//! A refused credential (`invalid_auth`) opens a breaker: what uses it waits in
//! its lane, whatever else is there goes on, and one probe at a time tries whether
//! it was replaced meanwhile. A credential of which several destinations were
//! limited at once (Slack limits a workspace as a whole besides each channel:
//! <https://docs.slack.dev/apis/web-api/rate-limits>) is slowed: its messages share
//! a rate, which is halved each time that happens again and grows each minute in
//! which it does not.
//!
//! A credential that is well has no entry here.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use common::{CredentialId, DestinationId, status::BreakerState};

use super::{
    breaker::{Breaker, Tally},
    outages::Outages,
};

/// How soon another lane is asked for the probe where the one asked has none.
const NUDGE: Duration = Duration::from_secs(1);

/// After so long without being limited a credential is as any other.
const MINUTE: Duration = Duration::from_secs(60);

/// How long a refused credential is remembered that nobody uses.
const LONELY: Duration = Duration::from_secs(3600);

/// The lowest rate of a slowed credential, in messages a second; also what it
/// gains each minute.
const LOWEST_RATE: f64 = 1.0;

/// A slowed credential that has grown to this is slowed no longer.
const HIGHEST_RATE: f64 = 100.0;

/// Messages counted to know how fast a credential is used.
const COUNTED: Duration = Duration::from_secs(10);

/// All credentials in trouble.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    troubled: HashMap<CredentialId, Box<Troubled>>,
    timers: BinaryHeap<Reverse<(Duration, i64)>>,
    /// Of those that were refused and are well again.
    outages: HashMap<CredentialId, Outages>,
}

#[derive(Debug, Default)]
struct Troubled {
    breaker: Breaker,
    /// Lanes limited lately.
    limits: Tally,
    slow: Option<Slow>,
    /// Messages sent since then, while limits are counted.
    sent: (u32, Duration),
    /// Lanes with something that waits for it.
    waiting: VecDeque<DestinationId>,
    due: Option<Duration>,
    /// Nobody has used it since its probe was due.
    is_lonely: bool,
}

/// The rate that a credential's messages share.
#[derive(Clone, Copy, Debug)]
struct Slow {
    per_second: f64,
    next_at: Duration,
    /// When it was last limited, or last allowed more.
    changed_at: Duration,
}

impl Credentials {
    /// Whether nothing that uses it may go now.
    pub(super) fn blocks(&self, id: CredentialId, now: Duration) -> bool {
        !self.troubled.is_empty()
            && self
                .troubled
                .get(&id)
                .is_some_and(|troubled| troubled.blocks(now))
    }

    /// Whether none is in trouble.
    pub(super) fn all_well(&self) -> bool {
        self.troubled.is_empty()
    }

    /// Remembers a lane that has something waiting for a credential.
    pub(super) fn wait(&mut self, id: CredentialId, lane: DestinationId) {
        if let Some(troubled) = self.troubled.get_mut(&id) {
            troubled.waiting.push_back(lane);
        }
    }

    /// A message that uses it goes.
    pub(super) fn begin(&mut self, id: CredentialId, now: Duration) {
        if self.troubled.is_empty() {
            return;
        }
        let Some(troubled) = self.troubled.get_mut(&id) else {
            return;
        };
        troubled.breaker.begin();
        troubled.is_lonely = false;
        troubled.sent.0 = troubled.sent.0.saturating_add(1);
        if let Some(slow) = &mut troubled.slow {
            slow.next_at = now + Duration::from_secs_f64(1.0 / slow.per_second);
            let at = slow.next_at;
            self.remind(id, at);
        }
    }

    /// It was refused. Answers whether it was known to be refused before, and the
    /// failures in a row where the breaker opens (again) because of it.
    pub(super) fn refused(&mut self, id: CredentialId, error: &str) -> (bool, Option<u32>) {
        let breaker = &mut self.troubled.entry(id).or_default().breaker;
        let was_known = !breaker.is_closed();
        // Those that were in flight when it opened say nothing new.
        let opens = breaker.opens_at().is_none();
        (was_known, opens.then(|| breaker.fail(error)))
    }

    /// Its breaker opens until then.
    pub(super) fn open(&mut self, id: CredentialId, now: Duration, until: Duration) {
        let troubled = self.troubled.entry(id).or_default();
        troubled.breaker.open(now, until);
        self.remind(id, until);
    }

    /// Takes over a wait from an earlier run, unless this run tries it already.
    pub(super) fn restore(&mut self, id: CredentialId, now: Duration, until: Duration) {
        let breaker = &mut self.troubled.entry(id).or_default().breaker;
        if !breaker.is_closed() && breaker.opens_at().is_none() {
            return;
        }
        let until = breaker.opens_at().map_or(until, |at| at.max(until));
        if breaker.is_closed() {
            breaker.fail("refused in an earlier run");
        }
        self.open(id, now, until);
    }

    /// When the breaker that is open lets a probe through.
    pub(super) fn opens_at(&self, id: CredentialId) -> Option<Duration> {
        self.troubled.get(&id)?.breaker.opens_at()
    }

    /// Since when it has been refused.
    pub(super) fn refused_since(&self, id: CredentialId) -> Option<Duration> {
        self.troubled.get(&id)?.breaker.opened_at()
    }

    /// What was said of it last, where it is refused.
    pub(super) fn error(&self, id: CredentialId) -> Option<&str> {
        let breaker = &self.troubled.get(&id)?.breaker;
        (!breaker.is_closed()).then(|| breaker.error())
    }

    /// For how long since then nothing that uses it could be tried.
    pub(super) fn barred(&self, id: CredentialId, from: Duration, now: Duration) -> Duration {
        let before = self.outages.get(&id);
        let before = before.map_or(Duration::ZERO, |outages| outages.since(from));
        let open = self.refused_since(id);
        before + open.map_or(Duration::ZERO, |at| now.saturating_sub(at.max(from)))
    }

    /// Forgets what ended before then.
    pub(super) fn forget_outages(&mut self, before: Duration) {
        self.outages
            .retain(|_, outages| !outages.ended_before(before));
    }

    /// Brings the probe of an open breaker forward.
    pub(super) fn cut(&mut self, id: CredentialId, latest: Duration) {
        if let Some(troubled) = self.troubled.get_mut(&id)
            && troubled.breaker.opens_at().is_some_and(|at| at > latest)
        {
            troubled.breaker.cut(latest);
            self.remind(id, latest);
        }
    }

    /// A message that uses it was accepted; answers whether that closed a breaker.
    pub(super) fn succeeded(
        &mut self,
        id: CredentialId,
        lane: DestinationId,
        now: Duration,
    ) -> bool {
        if self.troubled.is_empty() {
            return false;
        }
        let Some(troubled) = self.troubled.get_mut(&id) else {
            return false;
        };
        if !troubled.limits.is_empty() {
            troubled.limits.count(lane, now, false);
        }
        let was_open = !troubled.breaker.is_closed();
        if was_open {
            let opened_at = troubled.breaker.close();
            self.outages.entry(id).or_default().add(opened_at, now);
            self.remind(id, now);
        }
        was_open
    }

    /// A message that uses it failed for another reason: a probe says nothing.
    pub(super) fn in_doubt(&mut self, id: CredentialId, now: Duration) {
        if self.troubled.is_empty() {
            return;
        }
        if let Some(troubled) = self.troubled.get_mut(&id)
            && !troubled.breaker.is_closed()
        {
            troubled.breaker.release();
            self.remind(id, now);
        }
    }

    /// One of its destinations was limited; answers whether it is slowed by that.
    pub(super) fn limited(&mut self, id: CredentialId, lane: DestinationId, now: Duration) -> bool {
        let troubled = self.troubled.entry(id).or_insert_with(|| {
            Box::new(Troubled {
                sent: (1, now),
                ..Troubled::default()
            })
        });
        troubled.limits.count(lane, now, true);
        // Half of those tried lately: fewer are their own fault.
        let slows = troubled.limits.blames(1, 2);
        if slows {
            // Those in flight when the first was limited have answered, and are not in `sent`.
            let sent = troubled.sent.0.max(troubled.limits.len() as u32);
            troubled.limits.clear();
            let span = now
                .saturating_sub(troubled.sent.1)
                .max(Duration::from_secs(1));
            let rate = match troubled.slow {
                Some(slow) => slow.per_second,
                None => f64::from(sent) / span.as_secs_f64(),
            };
            let per_second = (rate / 2.0).max(LOWEST_RATE);
            troubled.slow = Some(Slow {
                per_second,
                next_at: now + Duration::from_secs_f64(1.0 / per_second),
                changed_at: now,
            });
        }
        if troubled.sent.1 + COUNTED <= now {
            troubled.sent = (1, now);
        }
        self.remind(id, now + if slows { NUDGE } else { MINUTE });
        slows
    }

    fn remind(&mut self, id: CredentialId, at: Duration) {
        if let Some(troubled) = self.troubled.get_mut(&id)
            && troubled.due.is_none_or(|due| at < due)
        {
            troubled.due = Some(at);
            self.timers.push(Reverse((at, id.0)));
        }
    }

    /// When something is due here.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        while let Some(Reverse((at, id))) = self.timers.peek() {
            let troubled = self.troubled.get(&CredentialId(*id));
            if troubled.is_some_and(|troubled| troubled.due == Some(*at)) {
                return Some(*at);
            }
            self.timers.pop();
        }
        None
    }

    /// The credential for which something is due, if any is.
    pub(super) fn due(&mut self, now: Duration) -> Option<CredentialId> {
        self.next_due().filter(|at| *at <= now)?;
        let Reverse((_, id)) = self.timers.peek()?;
        Some(CredentialId(*id))
    }

    /// Does what is due, if anything is: answers the lanes that may go on, and
    /// whether there may be more to do.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Vec<DestinationId>> {
        let at = self.next_due().filter(|at| *at <= now)?;
        let Reverse((_, id)) = self.timers.pop()?;
        let id = CredentialId(id);
        let troubled = self.troubled.get_mut(&id)?;
        debug_assert_eq!(troubled.due, Some(at));
        troubled.due = None;
        troubled.breaker.ripen(now);
        if let Some(slow) = &mut troubled.slow
            && slow.changed_at + MINUTE <= now
        {
            slow.changed_at = now;
            slow.per_second += LOWEST_RATE;
            if slow.per_second >= HIGHEST_RATE {
                troubled.slow = None;
            }
        }
        let mut free = Vec::new();
        if !troubled.blocks(now) {
            let one_by_one = troubled.slow.is_some() || !troubled.breaker.is_closed();
            let count = if one_by_one {
                1
            } else {
                troubled.waiting.len()
            };
            free.extend(troubled.waiting.drain(..count.min(troubled.waiting.len())));
        }
        match troubled.next_look(now, !free.is_empty()) {
            Some(at) => self.remind(id, at),
            None => {
                self.troubled.remove(&id);
            }
        }
        Some(free)
    }

    /// The state of its breaker.
    pub(super) fn state(&self, id: CredentialId) -> BreakerState {
        if self.troubled.is_empty() {
            return BreakerState::Closed;
        }
        let troubled = self.troubled.get(&id);
        troubled.map_or(BreakerState::Closed, |troubled| troubled.breaker.state())
    }

    /// When the next message of a slowed one may go.
    pub(super) fn next_at(&self, id: CredentialId) -> Option<Duration> {
        Some(self.troubled.get(&id)?.slow?.next_at)
    }

    /// Those in trouble, in no order, for those who watch.
    pub(super) fn troubled(&self) -> impl Iterator<Item = Watched<'_>> {
        self.troubled.iter().map(|(id, troubled)| Watched {
            id: *id,
            breaker: &troubled.breaker,
            waiting: troubled.waiting.len(),
            slowed_to: troubled.slow.map(|slow| slow.per_second),
        })
    }
}

/// A credential in trouble, for those who watch.
pub(super) struct Watched<'a> {
    pub(super) id: CredentialId,
    pub(super) breaker: &'a Breaker,
    /// Lanes with something that waits for it.
    pub(super) waiting: usize,
    /// Messages a second, where it is slowed.
    pub(super) slowed_to: Option<f64>,
}

impl Troubled {
    fn blocks(&self, now: Duration) -> bool {
        !self.breaker.admits() || self.slow.is_some_and(|slow| slow.next_at > now)
    }

    /// When to look again; `None` where it is well.
    fn next_look(&mut self, now: Duration, freed: bool) -> Option<Duration> {
        if let Some(until) = self.breaker.opens_at() {
            return Some(until);
        }
        if !self.breaker.is_closed() {
            let nobody = self.waiting.is_empty() && !freed && self.breaker.admits();
            if !nobody {
                return Some(now + NUDGE);
            }
            // The next that comes is the probe; after a while all finds out anew.
            let is_over = std::mem::replace(&mut self.is_lonely, true);
            return (!is_over).then_some(now + LONELY);
        }
        if let Some(slow) = self.slow {
            let at = if self.waiting.is_empty() {
                slow.changed_at + MINUTE
            } else {
                slow.next_at
            };
            return Some(at.max(now + Duration::from_millis(1)));
        }
        (!self.limits.is_empty() && self.sent.1 + 5 * MINUTE > now).then_some(now + MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate that the credential is slowed to.
    fn slowed(credentials: &Credentials) -> Option<f64> {
        credentials.troubled().find_map(|one| one.slowed_to)
    }

    const ONE: CredentialId = CredentialId(1);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lane(id: u64) -> DestinationId {
        DestinationId(id)
    }

    fn refused() -> Credentials {
        let mut credentials = Credentials::default();
        assert_eq!(credentials.refused(ONE, "invalid_auth"), (false, Some(1)));
        credentials.open(ONE, seconds(10), seconds(20));
        credentials
    }

    #[test]
    fn a_refused_credential_blocks_what_uses_it_and_nothing_else() {
        let credentials = refused();
        assert!(credentials.blocks(ONE, seconds(19)));
        assert!(!credentials.blocks(CredentialId(2), seconds(19)));
    }

    #[test]
    fn an_outage_is_remembered_until_it_ended_before_all_that_is_asked_for() {
        let mut credentials = refused();
        assert!(credentials.succeeded(ONE, lane(1), seconds(30)));
        credentials.forget_outages(seconds(30));
        assert_eq!(
            credentials.barred(ONE, Duration::ZERO, seconds(99)),
            seconds(20)
        );
        credentials.forget_outages(seconds(31));
        assert_eq!(
            credentials.barred(ONE, Duration::ZERO, seconds(99)),
            Duration::ZERO
        );
    }

    #[test]
    fn when_its_time_has_come_one_lane_is_asked_for_the_probe() {
        let mut credentials = refused();
        (1..=3).for_each(|id| credentials.wait(ONE, lane(id)));
        assert_eq!(credentials.next_due(), Some(seconds(20)));
        assert_eq!(credentials.pop_due(seconds(20)), Some(vec![lane(1)]));
        assert!(!credentials.blocks(ONE, seconds(20)));
        credentials.begin(ONE, seconds(20));
        assert!(credentials.blocks(ONE, seconds(20)));
        assert!(credentials.succeeded(ONE, lane(1), seconds(21)));
        assert_eq!(
            credentials.pop_due(seconds(21)),
            Some(vec![lane(2), lane(3)])
        );
        assert!(credentials.all_well());
    }

    #[test]
    fn where_the_lane_asked_has_no_probe_the_next_one_is_asked() {
        let mut credentials = refused();
        (1..=2).for_each(|id| credentials.wait(ONE, lane(id)));
        assert_eq!(credentials.pop_due(seconds(20)), Some(vec![lane(1)]));
        assert_eq!(credentials.next_due(), Some(seconds(21)));
        assert_eq!(credentials.pop_due(seconds(21)), Some(vec![lane(2)]));
    }

    #[test]
    fn a_probe_that_is_refused_opens_the_breaker_again() {
        let mut credentials = refused();
        credentials.wait(ONE, lane(1));
        credentials.pop_due(seconds(20));
        credentials.begin(ONE, seconds(20));
        assert_eq!(credentials.refused(ONE, "invalid_auth"), (true, Some(2)));
    }

    #[test]
    fn a_wait_from_an_earlier_run_lets_no_second_probe_go_beside_one_under_way() {
        let mut credentials = refused();
        credentials.wait(ONE, lane(1));
        credentials.pop_due(seconds(20));
        credentials.begin(ONE, seconds(20));
        credentials.restore(ONE, seconds(21), seconds(21));
        credentials.pop_due(seconds(21));
        assert!(credentials.blocks(ONE, seconds(21)));
    }

    #[test]
    fn those_in_flight_when_it_was_refused_say_nothing_new() {
        let mut credentials = refused();
        assert_eq!(credentials.refused(ONE, "invalid_auth"), (true, None));
    }

    #[test]
    fn a_refused_credential_that_nobody_uses_for_an_hour_is_forgotten() {
        let mut credentials = refused();
        assert_eq!(credentials.pop_due(seconds(20)), Some(vec![]));
        credentials.begin(ONE, seconds(30));
        assert!(
            credentials.blocks(ONE, seconds(30)),
            "the probe is under way"
        );
        credentials.in_doubt(ONE, seconds(31));
        credentials.pop_due(seconds(31));
        assert!(!credentials.all_well());
        assert_eq!(credentials.pop_due(seconds(31 + 3600)), Some(vec![]));
        assert!(credentials.all_well());
        assert_eq!(credentials.next_due(), None);
    }

    /// Sends a message a tenth of a second through other lanes, then limits five.
    fn limited() -> Credentials {
        let mut credentials = Credentials::default();
        assert!(!credentials.limited(ONE, lane(1), Duration::ZERO));
        for _ in 0..40 {
            credentials.begin(ONE, seconds(2));
        }
        for id in 2..=4 {
            assert!(!credentials.limited(ONE, lane(id), seconds(4)));
        }
        assert!(credentials.limited(ONE, lane(5), seconds(4)));
        credentials
    }

    #[test]
    fn five_limited_lanes_slow_the_credential_to_half_of_what_it_sent() {
        let credentials = limited();
        let rate = slowed(&credentials).unwrap();
        assert!((rate - 41.0 / 4.0 / 2.0).abs() < 0.01, "{rate}");
    }

    #[test]
    fn a_slowed_credential_lets_one_message_through_at_a_time() {
        let mut credentials = limited();
        (1..=2).for_each(|id| credentials.wait(ONE, lane(id)));
        assert!(credentials.blocks(ONE, seconds(4)));
        let due = credentials.next_due().unwrap();
        assert_eq!(credentials.pop_due(due), Some(vec![lane(1)]));
        credentials.begin(ONE, due);
        assert!(credentials.blocks(ONE, due));
    }

    #[test]
    fn each_minute_without_a_limit_speeds_it_up_until_it_is_as_any_other() {
        let mut credentials = limited();
        let before = slowed(&credentials).unwrap();
        for _ in 0..10_000 {
            let Some(due) = credentials.next_due() else {
                assert!(credentials.all_well());
                return;
            };
            credentials.pop_due(due);
            if let Some(rate) = slowed(&credentials) {
                assert!(rate >= before);
            }
        }
        panic!("it is slowed for ever");
    }

    #[test]
    fn a_few_limited_among_many_that_pass_slow_nobody() {
        let mut credentials = Credentials::default();
        credentials.limited(ONE, lane(1), Duration::ZERO);
        (100..120).for_each(|id| {
            credentials.succeeded(ONE, lane(id), Duration::ZERO);
        });
        for id in 2..=10 {
            assert!(!credentials.limited(ONE, lane(id), Duration::ZERO));
        }
        assert!(slowed(&credentials).is_none());
    }
}
