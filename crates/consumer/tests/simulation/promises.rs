//! What is promised, checked at every request, answer, record and crash.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

use common::{ChannelKind, CredentialId, DestinationId, Severity};
use consumer::domain::{Answer, Fault, Lease, LeaseKey, Outcome, Settlement};

use crate::sparse::{Bits, Sparse};

/// Sent at once, and then so many a second.
pub(crate) const BURST: u32 = 4;
pub(crate) const RATE: f64 = 1.0;
/// From one to the next, in the long run.
const INTERVAL: Duration = Duration::from_secs(1);
/// Parts that a delivery's text may have.
const MOST_PARTS: usize = 4;
/// Requests in flight that one host may have.
pub(crate) const MAX_PER_HOST: usize = 72;

/// Parts of deliveries, as a request carries them.
pub(crate) type Parts = Box<[(u64, u16)]>;

/// What an observer of the service and the disk knows.
#[derive(Default)]
pub(crate) struct Promises {
    /// Of those that were begun and have not ended.
    stories: Sparse<Story>,
    /// Those that have, for good.
    ended: Bits,
    /// Requests begun and not recorded, by the delivery that named them: what each
    /// of them carried.
    open: Sparse<VecDeque<Parts>>,
    unrecorded: usize,
    lanes: HashMap<DestinationId, LaneView>,
    hosts: HashMap<(ChannelKind, Box<str>), Shared>,
    credentials: HashMap<CredentialId, Shared>,
    pub(crate) repeated: u64,
    pub(crate) worst_crash: u32,
}

/// What befell a delivery that was begun at least once.
#[derive(Default)]
pub(crate) struct Story {
    /// By part: how often the service took it.
    taken: [u16; MOST_PARTS],
    /// Times that each part may be taken once more than needed.
    excuses: [u16; MOST_PARTS],
    /// Refusals for a reason that nobody knows.
    unclear: u32,
    /// It may end by a refusal that was not its content's fault: for good, or
    /// several times for a reason that nobody knows.
    pub(crate) condemned: bool,
}

impl Story {
    /// Whether the service has so many parts.
    pub(crate) fn has_all(&self, parts: u16) -> bool {
        self.taken[..usize::from(parts)]
            .iter()
            .all(|times| *times > 0)
    }
}

/// A host, or a credential, as this process must see it.
#[derive(Default)]
struct Shared {
    in_flight: usize,
    /// Lanes tried since it last worked: when, and whether they failed because of it.
    tried: HashMap<DestinationId, (Duration, bool)>,
    last_failure: Duration,
    /// It is known to be out of order; this many requests have begun since.
    probes: Option<usize>,
}

impl Shared {
    fn begun(&mut self, what: &str, sequence: u64, now: Duration) {
        self.in_flight += 1;
        if self.last_failure + Duration::from_secs(3600) < now {
            // Nobody need remember it for so long.
            self.works();
        }
        if let Some(probes) = &mut self.probes {
            *probes += 1;
            assert_eq!(
                *probes, 1,
                "{sequence} is sent though {what} is out of order"
            );
        }
    }

    fn ended(&mut self) {
        self.in_flight -= 1;
    }

    fn works(&mut self) {
        self.tried.clear();
        self.probes = None;
    }

    /// It refused, for a reason that is not its own.
    fn answers(&mut self, lane: DestinationId, now: Duration) {
        if self.probes.is_some() {
            return self.works();
        }
        self.tried.insert(lane, (now, false));
    }

    fn fails(&mut self, lane: DestinationId, now: Duration, several: usize) {
        self.tried.insert(lane, (now, true));
        self.last_failure = now;
        self.tried.retain(|_, (at, failed)| {
            let lately = Duration::from_secs(if *failed { 60 } else { 300 });
            *at + lately > now
        });
        let failed = self.tried.values().filter(|(_, failed)| *failed).count();
        let is_blamed = failed >= several && failed * 5 >= self.tried.len() * 4;
        if is_blamed || self.probes.is_some() {
            self.probes = Some(0);
        }
    }
}

#[derive(Default)]
struct LaneView {
    /// The last first attempt, by severity and credential.
    last_first: HashMap<(Severity, CredentialId), u64>,
    /// When the service will have forgotten all requests, if each came just before its
    /// answer: what goes next may come at once, and must not be too early then.
    full_at: Duration,
    /// Nothing before this, as this process knows.
    asked_until: Duration,
    /// Nothing before this, as the disk knows.
    recorded_until: Duration,
}

impl Promises {
    /// A request begins.
    pub(crate) fn begun(
        &mut self,
        now: Duration,
        lease: &Lease,
        carried: &[LeaseKey],
        parts: Parts,
    ) {
        let (lane, sequence) = (lease.destination.id, lease.position.sequence);
        let host = self.hosts.entry(host(lease)).or_default();
        host.begun("its host", sequence, now);
        assert!(host.in_flight <= MAX_PER_HOST, "too many to one host");
        let credential = self.credentials.entry(lease.credential.id).or_default();
        credential.begun("its credential", sequence, now);
        let view = self.lanes.entry(lane).or_default();
        assert!(
            now >= view.asked_until,
            "Retry-After violated: {sequence} goes at {now:?}, not before {:?}",
            view.asked_until
        );
        assert!(
            view.full_at <= now + INTERVAL * (BURST - 1),
            "pace exceeded: {sequence} at {now:?}"
        );

        for key in carried {
            let sequence = key.position.sequence;
            assert!(
                !self.ended.has(sequence),
                "{sequence} is sent though it has ended"
            );
            if let Entry::Vacant(vacant) = self.stories.entry(sequence) {
                vacant.insert(Story::default());
                // What uses another credential may be held up by it.
                let line = (key.severity, lease.credential.id);
                let last = view.last_first.insert(line, sequence);
                assert!(
                    last.is_none_or(|last| last < sequence),
                    "order: {sequence} after {last:?}"
                );
            }
        }
        self.open.entry(sequence).or_default().push_back(parts);
        self.unrecorded += 1;
    }

    /// Requests begun and not recorded: what a crash now could repeat.
    pub(crate) fn unrecorded(&self) -> usize {
        self.unrecorded
    }

    pub(crate) fn was_tried(&self, sequence: u64) -> bool {
        self.stories.contains_key(&sequence)
    }

    /// Whether a request for it is begun and not recorded.
    pub(crate) fn is_open(&self, sequence: u64) -> bool {
        self.open.contains_key(&sequence)
    }

    /// Those for which a request is begun and not recorded.
    pub(crate) fn all_open(&self) -> Vec<u64> {
        let mut open: Vec<_> = self.open.keys().copied().collect();
        open.sort_unstable();
        open
    }

    /// It has ended: what befell it, and it must not be sent again.
    pub(crate) fn end(&mut self, sequence: u64) -> Story {
        self.ended.set(sequence);
        self.stories.remove(&sequence).unwrap_or_default()
    }

    /// The service took a part.
    pub(crate) fn taken(&mut self, sequence: u64, part: u16) {
        let story = self.stories.get_mut(&sequence).expect("it was begun");
        let part = usize::from(part);
        story.taken[part] += 1;
        if story.taken[part] > 1 {
            assert!(
                story.excuses[part] > 0,
                "{sequence} part {part} taken {} times without an excuse",
                story.taken[part]
            );
            story.excuses[part] -= 1;
            self.repeated += 1;
        }
    }

    /// The answer that says that the service took it will not come.
    pub(crate) fn lost(&mut self, sequence: u64, part: u16) {
        let story = self.stories.get_mut(&sequence).expect("it was begun");
        story.excuses[usize::from(part)] += 1;
    }

    /// An answer has come back.
    pub(crate) fn answered(
        &mut self,
        now: Duration,
        lease: &Lease,
        carried: &[LeaseKey],
        answer: &Answer,
    ) {
        if let Answer::Refused(refusal) = answer
            && refusal.fault == Fault::Unclear
        {
            for key in carried {
                if let Some(story) = self.stories.get_mut(&key.position.sequence) {
                    story.unclear += 1;
                    story.condemned |= story.unclear > 1;
                }
            }
        }
        let lane = lease.destination.id;
        let view = self.lanes.entry(lane).or_default();
        view.full_at = view.full_at.max(now) + INTERVAL;
        let host = self.hosts.get_mut(&host(lease)).unwrap();
        host.ended();
        match answer {
            Answer::Refused(refusal) if refusal.fault == Fault::Host => host.fails(lane, now, 5),
            Answer::MaybeAccepted { .. } => host.probes = host.probes.map(|_| 0),
            Answer::Accepted { .. } => host.works(),
            Answer::Refused(_) => host.answers(lane, now),
        }
        let credential = self.credentials.get_mut(&lease.credential.id).unwrap();
        credential.ended();
        match answer {
            Answer::Refused(refusal) if refusal.fault == Fault::Credential => {
                if refusal.lasting
                    && let Some(story) = self.stories.get_mut(&lease.position.sequence)
                {
                    story.condemned = true;
                }
                credential.fails(lane, now, 1);
            }
            Answer::Accepted { .. } => credential.works(),
            Answer::Refused(_) | Answer::MaybeAccepted { .. } => {
                credential.probes = credential.probes.map(|_| 0);
            }
        }
    }

    /// The service asked to be left alone until then.
    pub(crate) fn asked(&mut self, lane: DestinationId, until: Duration) {
        let view = self.lanes.entry(lane).or_default();
        view.asked_until = view.asked_until.max(until);
    }

    /// What the service asked for was on record with a delivery that was cancelled.
    /// If `is_known`, the process knows nevertheless, as long as it lives.
    pub(crate) fn forgets_what_was_asked(&mut self, lane: DestinationId, is_known: bool) {
        if let Some(view) = self.lanes.get_mut(&lane) {
            view.recorded_until = Duration::ZERO;
            if !is_known {
                view.asked_until = Duration::ZERO;
            }
        }
    }

    /// A settlement is on disk; the delivery `waits` now, unless it was cancelled.
    pub(crate) fn recorded(&mut self, settlement: &Settlement, waits: bool) {
        if settlement.attempt.is_some() {
            let open = self
                .open
                .get_mut(&settlement.lease.position.sequence)
                .unwrap();
            open.pop_front().expect("a request was open");
            self.unrecorded -= 1;
            if open.is_empty() {
                self.open.remove(&settlement.lease.position.sequence);
            }
        }
        if let Outcome::Waiting(wait) = &settlement.outcome
            && wait.asked
            && waits
        {
            assert_ne!(wait.fault, Fault::Unclear);
            let view = self.lanes.entry(settlement.lease.destination).or_default();
            view.recorded_until = view.asked_until;
        }
    }

    /// The process died; `clock_was_set` where the wall clock jumped in it, so
    /// that waits on record mean another time now. Answers how many requests had
    /// begun and were not recorded.
    pub(crate) fn crashed(&mut self, clock_was_set: bool) -> u32 {
        self.unrecorded = 0;
        self.hosts.clear();
        self.credentials.clear();
        let mut open = 0;
        for (_, requests) in self.open.drain() {
            open += u32::try_from(requests.len()).unwrap();
            for (sequence, part) in requests.into_iter().flatten() {
                if let Some(story) = self.stories.get_mut(&sequence) {
                    story.excuses[usize::from(part)] += 1;
                }
            }
        }
        self.worst_crash = self.worst_crash.max(open);
        for view in self.lanes.values_mut() {
            // The pace begins anew with a process; Retry-After does not, as far
            // as it was recorded.
            view.full_at = Duration::ZERO;
            if clock_was_set {
                view.recorded_until = Duration::ZERO;
            }
            view.asked_until = view.recorded_until;
        }
        open
    }

    /// Whether the service has that part.
    pub(crate) fn has(&self, sequence: u64, part: u16) -> bool {
        let story = self.stories.get(&sequence);
        story.is_some_and(|story| story.taken[usize::from(part)] > 0)
    }
}

fn host(lease: &Lease) -> (ChannelKind, Box<str>) {
    let destination = &lease.destination;
    (destination.kind.clone(), destination.base_url.clone())
}
