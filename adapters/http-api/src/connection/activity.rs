//! What a connection is doing and since when.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::server::ServerSettings;

/// What a connection, or one request on it, is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for a request's first byte.
    Idle,
    /// A request's head has begun to arrive, or a TLS handshake.
    Head,
    /// The rest of a request's body is awaited, before a handler is at work on it.
    Body,
    /// A handler is at work.
    Handling,
    /// The answer's body is being sent.
    Answering,
}

impl Phase {
    const ALL: [Phase; 5] = [
        Phase::Idle,
        Phase::Head,
        Phase::Body,
        Phase::Handling,
        Phase::Answering,
    ];
    /// The bits that hold one.
    const BITS: u32 = 3;
    const MASK: u64 = (1 << Self::BITS) - 1;

    fn of(number: usize) -> Self {
        Self::ALL.get(number).copied().unwrap_or(Self::Idle)
    }
}

/// What a connection is doing and since when, for its own task and for the
/// server's, without a lock.
pub(crate) struct Activity {
    epoch: Instant,
    /// The phase in the lowest bits, above them the microseconds from `epoch`
    /// at which it began: fine enough that two seldom began together.
    state: AtomicU64,
    /// Where there may be several at a time.
    requests: OnceLock<Mutex<Requests>>,
    malformed: AtomicBool,
    notice: Notify,
}

/// The requests of a connection that may have several at a time.
#[derive(Default)]
struct Requests {
    /// How many are in each phase.
    in_phase: [u32; Phase::ALL.len()],
    /// By number, those whose answer is being sent, and when more of it was last taken.
    answering: HashMap<u64, Duration>,
    begun: u64,
}

impl Activity {
    /// That of a connection just accepted; `epoch` is the server's start.
    pub(crate) fn new(epoch: Instant) -> Self {
        let activity = Self {
            epoch,
            state: AtomicU64::new(0),
            requests: OnceLock::new(),
            malformed: AtomicBool::new(false),
            notice: Notify::new(),
        };
        activity.enter(Phase::Idle);
        activity
    }

    /// From now on its requests overlap, as in HTTP/2.
    pub(super) fn multiplex(&self) {
        self.requests.get_or_init(Mutex::default);
    }

    /// Where it may be ended for a newcomer: the time from the server's start at
    /// which it began to wait for a request, or for the rest of one.
    pub(crate) fn waiting_since(&self, settings: &ServerSettings) -> Option<Duration> {
        let (phase, since) = self.state();
        let gives_way = match phase {
            Phase::Idle | Phase::Head => true,
            Phase::Body => self.epoch.elapsed().saturating_sub(since) >= settings.body_grace,
            Phase::Handling | Phase::Answering => false,
        };
        gives_way.then_some(since)
    }

    /// Whether it has been doing it for too long, or has an answer that its client does not
    /// take, whatever goes on beside it.
    pub(crate) fn is_overdue(&self, settings: &ServerSettings) -> bool {
        self.is_stalled(settings) || self.is_too_long(settings)
    }

    /// Whether one of several answers has not been taken for too long.
    pub(super) fn is_stalled(&self, settings: &ServerSettings) -> bool {
        let since = self
            .requests()
            .and_then(|requests| requests.untaken_since());
        since.is_some_and(|since| {
            self.epoch.elapsed().saturating_sub(since) >= settings.stall_timeout
        })
    }

    fn is_too_long(&self, settings: &ServerSettings) -> bool {
        let (phase, since) = self.state();
        let age = self.epoch.elapsed().saturating_sub(since);
        match phase {
            Phase::Idle => age >= settings.idle_timeout,
            Phase::Head => age >= settings.header_timeout,
            // Whoever reads the body ends that wait, with an answer.
            Phase::Body | Phase::Handling => false,
            Phase::Answering => age >= settings.stall_timeout,
        }
    }

    /// Asks the connection's task to end it where that harms no request.
    pub(crate) fn ask_to_close(&self) {
        self.notice.notify_one();
    }

    /// Waits until that is asked.
    pub(super) async fn asked_to_close(&self) {
        self.notice.notified().await;
    }

    /// What arrives is no request: the connection is to end.
    pub(super) fn refuse(&self) {
        self.malformed.store(true, Ordering::Relaxed);
        self.ask_to_close();
    }

    /// Whether [`refuse`](Self::refuse) was called.
    pub(super) fn is_refused(&self) -> bool {
        self.malformed.load(Ordering::Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().0
    }

    /// Begins a phase of the connection as a whole.
    pub(super) fn enter(&self, phase: Phase) {
        let since = u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.state
            .store(since << Phase::BITS | phase as u64, Ordering::Relaxed);
    }

    fn state(&self) -> (Phase, Duration) {
        let state = self.state.load(Ordering::Relaxed);
        let since = Duration::from_micros(state >> Phase::BITS);
        (Phase::of((state & Phase::MASK) as usize), since)
    }

    /// A request goes from one phase to another. The connection is in the phase of that
    /// request of its own which must least be cut off.
    fn request_moved(&self, number: u64, from: Phase, to: Phase) {
        let Some(mut requests) = self.requests() else {
            self.enter(to);
            return;
        };
        requests.moved(number, from, to, self.epoch.elapsed());
        self.enter(requests.busiest());
    }

    fn requests(&self) -> Option<MutexGuard<'_, Requests>> {
        let requests = self.requests.get()?;
        Some(requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A number for a request; 0 for each where there is one at a time.
    fn number(&self) -> u64 {
        let Some(mut requests) = self.requests() else {
            return 0;
        };
        requests.begun += 1;
        requests.begun
    }
}

impl Requests {
    fn moved(&mut self, number: u64, from: Phase, to: Phase, now: Duration) {
        let count = &mut self.in_phase[from as usize];
        *count = count.saturating_sub(1);
        self.in_phase[to as usize] += 1;
        match to {
            Phase::Answering => self.answering.insert(number, now),
            _ => self.answering.remove(&number),
        };
    }

    fn busiest(&self) -> Phase {
        let order = [Phase::Handling, Phase::Answering, Phase::Body];
        let mut busy = order.into_iter();
        let busiest = busy.find(|phase| self.in_phase[*phase as usize] > 0);
        busiest.unwrap_or(Phase::Idle)
    }

    /// Since when the answer has not been taken that has waited longest to be.
    fn untaken_since(&self) -> Option<Duration> {
        self.answering.values().min().copied()
    }
}

/// One request and its answer, on a connection that may carry several at a time.
pub(super) struct Exchange {
    activity: Arc<Activity>,
    number: u64,
    phase: AtomicU8,
}

impl Exchange {
    /// A request whose handler begins now.
    pub(super) fn begin(activity: Arc<Activity>) -> Arc<Self> {
        let number = activity.number();
        activity.request_moved(number, Phase::Idle, Phase::Handling);
        Arc::new(Self {
            activity,
            number,
            phase: AtomicU8::new(Phase::Handling as u8),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Relaxed).into())
    }

    pub(super) fn enter(&self, phase: Phase) {
        let before = self.phase.swap(phase as u8, Ordering::Relaxed);
        let before = Phase::of(before.into());
        self.activity.request_moved(self.number, before, phase);
    }
}

/// Also where no answer came of it.
impl Drop for Exchange {
    fn drop(&mut self) {
        if self.phase() != Phase::Idle {
            self.enter(Phase::Idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Arc<Activity> {
        Arc::new(Activity::new(Instant::now()))
    }

    #[test]
    fn a_connection_of_many_requests_is_idle_when_the_last_has_ended() {
        let connection = connection();
        connection.multiplex();
        let first = Exchange::begin(connection.clone());
        let second = Exchange::begin(connection.clone());
        first.enter(Phase::Answering);
        assert_eq!(connection.phase(), Phase::Handling);
        second.enter(Phase::Body);
        assert_eq!(connection.phase(), Phase::Answering);
        first.enter(Phase::Idle);
        assert_eq!(connection.phase(), Phase::Body);
        drop(second);
        assert_eq!(connection.phase(), Phase::Idle);
    }

    #[test]
    fn an_answer_that_nobody_takes_is_not_taken_by_what_goes_on_beside_it() {
        let (handled, sent, ended) = (Phase::Handling, Phase::Answering, Phase::Idle);
        let at = Duration::from_secs;
        let mut requests = Requests::default();
        requests.moved(1, ended, sent, at(1));
        for (number, now) in [(2, 30), (3, 60)] {
            requests.moved(number, ended, handled, at(now));
            requests.moved(number, handled, sent, at(now + 1));
            assert_eq!(requests.untaken_since(), Some(at(1)));
            requests.moved(number, sent, ended, at(now + 2));
        }
        // More of it is taken, then all of it.
        requests.moved(1, sent, sent, at(70));
        assert_eq!(requests.untaken_since(), Some(at(70)));
        requests.moved(1, sent, ended, at(71));
        assert_eq!(requests.untaken_since(), None);
    }

    #[test]
    fn a_connection_of_one_request_at_a_time_is_in_its_phase() {
        let connection = connection();
        let only = Exchange::begin(connection.clone());
        for phase in [Phase::Body, Phase::Handling, Phase::Answering, Phase::Idle] {
            only.enter(phase);
            assert_eq!(connection.phase(), phase);
        }
    }
}
