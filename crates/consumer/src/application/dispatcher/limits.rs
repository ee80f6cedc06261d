//! Requests under way at once, where several dispatchers share a process: each engine
//! counts its own, and these count all.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use common::{ChannelKind, Destination, Severity};
use tokio::sync::oneshot;

/// Hosts remembered before those that nothing goes to are forgotten.
const HOSTS: usize = 1_024;

/// How many requests are under way at once, at most, over all dispatchers that have
/// these limits.
pub struct Limits {
    all: Arc<Gate>,
    per_host: usize,
    hosts: Mutex<HashMap<Host, Arc<Gate>>>,
}

type Host = (ChannelKind, Box<str>);

/// A request may be under way as long as this lives.
#[derive(Debug)]
pub struct Permit {
    _all: Pass,
    _host: Pass,
}

impl Limits {
    /// So many requests at once, of these so many to one host; each at least 1.
    pub fn new(all: usize, per_host: usize) -> Self {
        Self {
            all: Arc::new(Gate::new(all.max(1))),
            per_host: per_host.max(1),
            hosts: Mutex::default(),
        }
    }

    /// Waits until a request may begin: the most urgent first, and among these who
    /// waits longest. May be dropped while it waits.
    pub async fn acquire(&self, destination: &Destination, severity: Severity) -> Permit {
        // The host first, so that one that is slow keeps none from the others.
        let host = self.host(destination).acquire(severity).await;
        let all = Arc::clone(&self.all).acquire(severity).await;
        Permit {
            _all: all,
            _host: host,
        }
    }

    fn host(&self, destination: &Destination) -> Arc<Gate> {
        let host = (destination.kind.clone(), destination.base_url.clone());
        // The map is whole between any two statements that could panic.
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS && !hosts.contains_key(&host) {
            hosts.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = hosts
            .entry(host)
            .or_insert_with(|| Arc::new(Gate::new(self.per_host)));
        Arc::clone(gate)
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("per_host", &self.per_host)
            .finish_non_exhaustive()
    }
}

/// A semaphore that knows urgency.
#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// By [`Severity::code`].
    waiting: [VecDeque<oneshot::Sender<Pass>>; 3],
}

/// One place within a gate, given back when it is dropped.
#[derive(Debug)]
struct Pass {
    gate: Option<Arc<Gate>>,
}

impl Gate {
    fn new(free: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free,
                waiting: Default::default(),
            }),
        }
    }

    async fn acquire(self: Arc<Self>, severity: Severity) -> Pass {
        loop {
            let given = {
                let mut state = self.lock();
                if state.free > 0 {
                    state.free -= 1;
                    return Pass::of(&self);
                }
                let (give, given) = oneshot::channel();
                state.waiting[usize::from(severity.code())].push_back(give);
                given
            };
            // Every pass is given to somebody, so the sender is not dropped.
            if let Ok(pass) = given.await {
                return pass;
            }
        }
    }

    /// Gives a place to whoever waits, or frees it.
    fn give_back(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                let mut by_urgency = state.waiting.iter_mut().rev();
                match by_urgency.find_map(VecDeque::pop_front) {
                    Some(next) => next,
                    None => {
                        state.free += 1;
                        return;
                    }
                }
            };
            match next.send(Pass::of(self)) {
                Ok(()) => return,
                // It waits no longer.
                Err(mut pass) => pass.gate = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    fn of(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Some(Arc::clone(gate)),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, task::Poll};

    use super::*;

    type Waiting<'a> = Pin<Box<dyn Future<Output = Permit> + 'a>>;

    fn to(host: &str) -> Destination {
        Destination::new(ChannelKind::SLACK, host, "a")
    }

    async fn poll(waiting: &mut Waiting<'_>) -> Option<Permit> {
        std::future::poll_fn(|cx| match waiting.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn the_most_urgent_goes_first_and_then_who_waits_longest() {
        let limits = Limits::new(1, 1);
        let place = to("");
        let first = limits.acquire(&place, Severity::Low).await;
        let order = [
            Severity::Low,
            Severity::Normal,
            Severity::High,
            Severity::Normal,
        ];
        let mut waiting: Vec<Option<Waiting<'_>>> = Vec::new();
        for severity in order {
            waiting.push(Some(Box::pin(limits.acquire(&place, severity))));
        }
        for one in waiting.iter_mut().flatten() {
            assert!(poll(one).await.is_none());
        }
        let mut permit = first;
        for next in [2, 1, 3, 0] {
            drop(permit);
            let mut turn = waiting[next].take().expect("it waits");
            for other in waiting.iter_mut().flatten() {
                assert!(poll(other).await.is_none());
            }
            permit = poll(&mut turn).await.expect("it is its turn");
        }
    }

    #[tokio::test]
    async fn one_host_does_not_keep_the_others_from_going() {
        let limits = Limits::new(3, 2);
        let (slow, other) = (to("https://slow"), to("https://other"));
        let _first = limits.acquire(&slow, Severity::High).await;
        let _second = limits.acquire(&slow, Severity::High).await;
        let mut third: Waiting<'_> = Box::pin(limits.acquire(&slow, Severity::High));
        assert!(poll(&mut third).await.is_none());
        let _other = limits.acquire(&other, Severity::Low).await;
    }

    #[tokio::test]
    async fn who_waits_no_longer_is_passed_over_and_loses_no_place() {
        let limits = Limits::new(1, 1);
        let place = to("");
        let permit = limits.acquire(&place, Severity::High).await;
        let mut gone: Waiting<'_> = Box::pin(limits.acquire(&place, Severity::High));
        let mut given: Waiting<'_> = Box::pin(limits.acquire(&place, Severity::High));
        assert!(poll(&mut gone).await.is_none());
        assert!(poll(&mut given).await.is_none());
        drop(gone);
        drop(permit);
        // It was given its place, and is dropped before it takes it.
        drop(given);
        let _again = limits.acquire(&place, Severity::Low).await;
    }
}
