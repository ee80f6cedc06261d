//! The dispatcher between a queue, a channel and a clock that the test controls.
//! Time is tokio's paused one: it moves only when nothing else can.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, DestinationId, Gtid, Now,
    Recipients, Secret, Severity, UtcMillis,
    status::{BreakerOf, DestinationState, StatusFilter},
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    domain::{
        Answer, AttemptResult, Fault, Lease, LeaseKey, Outcome, Position, Progress, Refusal,
        Settlement, Unfolded,
    },
    ports::{Message, Pace, ParkedLane, Text, TextLimit},
};

struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let mono = self.0.elapsed();
        Now {
            mono,
            utc: UtcMillis(1_800_000_000_000).plus(mono),
        }
    }
}

/// Hands out what the test offers, and remembers what was settled.
#[derive(Default)]
struct FakeQueue {
    state: Mutex<QueueState>,
    offered: Notify,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    offers: VecDeque<Result<Received, QueueError>>,
    parked: Vec<Lease>,
    settled: Vec<Vec<Settlement>>,
    calls: usize,
    failures: usize,
    begun: Vec<u64>,
    /// Another consumer has the deliveries now.
    is_lost: bool,
}

impl FakeQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap()
    }

    fn offer(&self, offer: Result<Received, QueueError>) {
        self.lock().offers.push_back(offer);
        self.offered.notify_one();
    }

    /// What has been recorded of each delivery, in that order.
    fn outcomes(&self) -> Vec<(u64, &'static str)> {
        let state = self.lock();
        let all = state.settled.iter().flatten();
        all.map(|settled| (settled.lease.position.sequence, settled.outcome.as_str()))
            .collect()
    }

    async fn until_settled(&self, count: usize) {
        while self.outcomes().len() < count {
            self.changed.notified().await;
        }
    }
}

#[async_trait]
impl DeliveryQueue for FakeQueue {
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError> {
        let lanes = self
            .lock()
            .parked
            .iter()
            .map(|lease| ParkedLane {
                destination: lease.destination.id,
                severity: lease.alert.severity,
                count: 1,
            })
            .collect();
        Ok(lanes)
    }

    async fn receive(&self, _room: usize) -> Result<Received, QueueError> {
        loop {
            if let Some(offer) = self.lock().offers.pop_front() {
                return offer;
            }
            self.offered.notified().await;
        }
    }

    async fn unpark(
        &self,
        destination: DestinationId,
        severity: Severity,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let mut state = self.lock();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(QueueError::Failed("disk I/O error".into()));
        }
        let wanted = state.parked.iter().filter(|lease| {
            lease.destination.id == destination
                && lease.alert.severity == severity
                && after.is_none_or(|after| lease.position > after)
        });
        Ok(wanted.take(room).cloned().collect())
    }

    fn may_send(&self) -> bool {
        !self.lock().is_lost
    }

    async fn destinations(&self, ids: Vec<DestinationId>) -> Result<Vec<Destination>, QueueError> {
        let state = self.lock();
        let parked = state.parked.iter().map(|lease| &lease.destination);
        let wanted = parked.filter(|destination| ids.contains(&destination.id));
        Ok(wanted.map(|destination| (**destination).clone()).collect())
    }

    fn begins(&self, delivery: LeaseKey) {
        self.lock().begun.push(delivery.position.sequence);
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError> {
        // A commit takes a moment, in which the next batch collects.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut state = self.lock();
        state.calls += 1;
        if state.is_lost {
            return Err(QueueError::Closed);
        }
        if state.failures > 0 {
            state.failures -= 1;
            return Err(QueueError::Unwritable("disk full".into()));
        }
        state.settled.push(settlements);
        drop(state);
        self.changed.notify_one();
        Ok(Vec::new())
    }
}

/// What the channel does with a message, by the first letter of the address.
struct FakeChannel {
    sent: Mutex<Vec<(String, String, String)>>,
    /// Requests to an address with `h` wait for a permit.
    gate: Semaphore,
    begun: Notify,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

#[async_trait]
impl Channel for FakeChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::SLACK
    }

    fn pace(&self) -> Pace {
        Pace {
            per_second: None,
            burst: 1,
        }
    }

    fn text_limit(&self) -> TextLimit {
        TextLimit {
            most: 4000,
            width: str::len,
        }
    }

    fn parts(&self, text: Text<'_>) -> Vec<String> {
        text.text.split('|').map(str::to_owned).collect()
    }

    async fn send(&self, message: Message<'_>) -> Answer {
        let address = message.destination.address.to_string();
        self.sent.lock().unwrap().push((
            address.clone(),
            message.text.to_owned(),
            message.credential.secret.expose().to_owned(),
        ));
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        self.begun.notify_one();
        if address.starts_with('h') {
            self.gate.acquire().await.unwrap().forget();
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        assert!(!address.starts_with('p'), "a fault in the channel");
        if address.starts_with('x') {
            return Answer::Refused(Refusal {
                fault: Fault::Destination,
                lasting: true,
                retry_after: None,
                status: Some(200),
                reason: "channel_not_found".into(),
            });
        }
        if address.starts_with('r') {
            return Answer::Refused(Refusal {
                fault: Fault::Credential,
                lasting: false,
                retry_after: None,
                status: Some(200),
                reason: "invalid_auth".into(),
            });
        }
        if address.starts_with('w') && self.sent.lock().unwrap().len() == 1 {
            return Answer::Refused(Refusal {
                fault: Fault::Destination,
                lasting: false,
                retry_after: Some(Duration::from_secs(30)),
                status: Some(429),
                reason: "rate_limited".into(),
            });
        }
        Answer::Accepted {
            status: 200,
            provider_id: Some("1.2".into()),
        }
    }
}

struct Rotated;

impl Credentials for Rotated {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        let id = CredentialId(lease.credential.id.0 + 1);
        Arc::new(Credential {
            id,
            secret: Secret::new("rotated"),
        })
    }
}

/// Remembers what was told.
#[derive(Default)]
struct Told(Mutex<Vec<Mishap>>);

impl Mishaps for Told {
    fn happened(&self, mishap: Mishap) {
        self.0.lock().unwrap().push(mishap);
    }
}

struct Bench {
    queue: Arc<FakeQueue>,
    channel: Arc<FakeChannel>,
    mishaps: Arc<Told>,
    inspector: Inspector,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), QueueError>>,
}

impl Bench {
    fn start() -> Self {
        Self::with(FakeQueue::default(), EngineSettings::default())
    }

    fn with(queue: FakeQueue, settings: EngineSettings) -> Self {
        Self::limited(queue, settings, None)
    }

    fn limited(queue: FakeQueue, settings: EngineSettings, limits: Option<Limits>) -> Self {
        let queue = Arc::new(queue);
        let channel = Arc::new(FakeChannel {
            sent: Mutex::default(),
            gate: Semaphore::new(0),
            begun: Notify::new(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        });
        let clock = Arc::new(TokioClock(Instant::now()));
        let mishaps = Arc::new(Told::default());
        let outside = Outside {
            queue: queue.clone(),
            credentials: Arc::new(Rotated),
            channels: vec![channel.clone()],
            clock: clock.clone(),
            metrics: Arc::new(DeliveryMetrics::new(clock)),
            limits: limits.map(Arc::new),
            mishaps: mishaps.clone(),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let dispatcher = Dispatcher::new(outside, settings, 1);
        let inspector = dispatcher.inspector();
        let running = tokio::spawn(dispatcher.run(shutdown, Duration::from_secs(25)));
        queue.offer(Ok(Received::CaughtUp));
        Self {
            queue,
            channel,
            mishaps,
            inspector,
            stop: Some(stop),
            running,
        }
    }

    fn offer(&self, leases: impl IntoIterator<Item = Lease>) {
        self.queue
            .offer(Ok(Received::Leases(leases.into_iter().collect())));
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.channel.sent.lock().unwrap();
        sent.iter()
            .map(|(address, text, _)| format!("{address}: {text}"))
            .collect()
    }

    fn mishaps(&self) -> Vec<Mishap> {
        self.mishaps.0.lock().unwrap().clone()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

fn lease(sequence: u64, address: &str) -> Lease {
    lease_of(ChannelKind::SLACK, sequence, address, "node1 down")
}

fn lease_of(kind: ChannelKind, sequence: u64, address: &str, message: &str) -> Lease {
    Lease {
        position: Position {
            sequence,
            ordinal: 0,
        },
        alert: Arc::new(Alert {
            id: AlertId::generate(),
            caller: None,
            gtid: Gtid::random(),
            severity: Severity::Normal,
            message: message.into(),
            verbatim: false,
            targets: Box::default(),
            accepted_at: UtcMillis(1_800_000_000_000),
        }),
        accepted_as: None,
        destination: Arc::new(Destination::new(kind, "", address)),
        credential: Arc::new(Credential {
            id: CredentialId(1),
            secret: Secret::new("first"),
        }),
        recipients: Recipients::new(),
        progress: Progress::default(),
        digest: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_is_sent_with_the_current_credential_and_recorded() {
    let bench = Bench::start();
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    let sent = bench.channel.sent.lock().unwrap().clone();
    assert_eq!(
        sent,
        [("a".into(), "[normal] node1 down".into(), "rotated".into())]
    );
    let attempt = bench.queue.lock().settled[0][0].attempt.clone().unwrap();
    assert_eq!((attempt.number, attempt.status), (1, Some(200)));
    assert_eq!(attempt.provider_id.as_deref(), Some("1.2"));
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_text_are_sent_in_order() {
    let bench = Bench::start();
    bench.offer([lease_of(ChannelKind::SLACK, 1, "a", "one|two|three")]);
    bench.queue.until_settled(3).await;
    assert_eq!(bench.sent(), ["a: [normal] one", "a: two", "a: three"]);
    assert_eq!(
        bench.queue.outcomes(),
        [(1, "part_sent"), (1, "part_sent"), (1, "delivered")]
    );
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_come_during_a_write_share_the_next_one() {
    let bench = Bench::start();
    bench.offer((0..200).map(|sequence| lease(sequence, &format!("a{sequence}"))));
    bench.queue.until_settled(200).await;
    assert!(
        bench.queue.lock().calls <= 3,
        "{} writes",
        bench.queue.lock().calls
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_until_it_is_recorded() {
    let bench = Bench::start();
    bench.queue.lock().failures = 3;
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
    assert_eq!(bench.sent().len(), 1);
    assert_eq!(bench.queue.lock().calls, 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_comes_when_its_wait_is_over_without_any_event() {
    let bench = Bench::start();
    let begun = Instant::now();
    bench.offer([lease(1, "w")]);
    bench.queue.until_settled(2).await;
    assert_eq!(bench.queue.outcomes(), [(1, "waiting"), (1, "delivered")]);
    assert!(begun.elapsed() >= Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_holds_up_no_other_destination() {
    let bench = Bench::start();
    bench.offer([lease(1, "hang"), lease(2, "hang"), lease(3, "b")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(3, "delivered")]);
    bench.channel.gate.add_permits(2);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.queue.outcomes(),
        [(3, "delivered"), (1, "delivered"), (2, "delivered")]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_says_was_cancelled_is_never_begun() {
    let bench = Bench::start();
    let cancelled = lease(2, "hang");
    let key = cancelled.key();
    bench.offer([lease(1, "hang"), cancelled, lease(3, "hang")]);
    bench.queue.offer(Ok(Received::Cancelled(vec![key])));
    bench.offer([lease(4, "b")]);
    bench.queue.until_settled(1).await;
    bench.channel.gate.add_permits(2);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.queue.outcomes(),
        [(4, "delivered"), (1, "delivered"), (3, "delivered")]
    );
    assert_eq!(bench.queue.lock().begun, [1, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_allowed() {
    let settings = EngineSettings {
        max_in_flight: 3,
        ..EngineSettings::default()
    };
    let bench = Bench::with(FakeQueue::default(), settings);
    bench.offer((0..10).map(|sequence| lease(sequence, &format!("h{sequence}"))));
    // Paused time passes only once all that can begin has begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.channel.under_way.load(Ordering::SeqCst), 3);
    bench.channel.gate.add_permits(10);
    bench.queue.until_settled(10).await;
    assert_eq!(bench.channel.most_under_way.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_panics_loses_neither_the_delivery_nor_the_lane() {
    let bench = Bench::start();
    bench.offer([lease(1, "panics")]);
    bench.queue.until_settled(2).await;
    let settled = bench.queue.lock().settled.concat();
    assert!(matches!(settled[0].outcome, Outcome::Waiting(_)));
    for (settlement, number) in settled.iter().zip(1..) {
        let attempt = settlement.attempt.as_ref().unwrap();
        assert_eq!(
            (attempt.number, attempt.result),
            (number, AttemptResult::MaybeAccepted)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_no_channel_serves_is_a_dead_letter() {
    let bench = Bench::start();
    bench.offer([lease_of(ChannelKind::new("pigeon"), 1, "a", "node1 down")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "dead")]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_to_hand_over_is_asked_again() {
    let bench = Bench::start();
    bench
        .queue
        .offer(Err(QueueError::Failed("disk I/O error".into())));
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_parked_is_fetched_and_sent_even_if_fetching_fails_at_first() {
    let queue = FakeQueue::default();
    queue.lock().parked = vec![lease(1, "a")];
    queue.lock().failures = 2;
    let bench = Bench::with(queue, EngineSettings::default());
    bench.queue.until_settled(1).await;
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_requests_under_way_records_them_and_begins_no_other() {
    let mut bench = Bench::start();
    bench.offer([lease(1, "hang"), lease(2, "hang")]);
    bench.channel.begun.notified().await;
    bench.stop();
    // The dispatcher has taken note before anything else can happen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bench.running.is_finished());
    bench.channel.gate.add_permits(2);
    bench.running.await.unwrap().unwrap();
    assert_eq!(bench.queue.outcomes(), [(1, "delivered")]);
    assert_eq!(bench.channel.sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_ends_at_the_deadline_though_a_request_hangs() {
    let mut bench = Bench::start();
    bench.offer([lease(1, "hang")]);
    bench.channel.begun.notified().await;
    bench.stop();
    let begun = Instant::now();
    bench.running.await.unwrap().unwrap();
    assert_eq!(begun.elapsed().as_secs(), 25);
    assert!(bench.queue.outcomes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_closes_ends_the_dispatcher() {
    let bench = Bench::start();
    bench.queue.offer(Err(QueueError::Closed));
    bench.running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_limits_that_dispatchers_share() {
    let limits = Some(Limits::new(2, 2));
    let bench = Bench::limited(FakeQueue::default(), EngineSettings::default(), limits);
    bench.offer((1..=5).map(|n| lease(n, &format!("hang{n}"))));
    // The clock moves once nothing else can happen.
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.channel.gate.add_permits(5);
    bench.queue.until_settled(5).await;
    assert_eq!(bench.channel.most_under_way.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_the_limits_is_not_begun_when_the_dispatcher_ends() {
    let limits = Some(Limits::new(1, 1));
    let mut bench = Bench::limited(FakeQueue::default(), EngineSettings::default(), limits);
    bench.offer([lease(1, "hang1"), lease(2, "hang2")]);
    bench.channel.begun.notified().await;
    bench.stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.channel.gate.add_permits(2);
    (&mut bench.running).await.unwrap().unwrap();
    assert_eq!(bench.queue.outcomes().len(), 1);
    assert_eq!(bench.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_of_what_another_consumer_may_have() {
    let queue = FakeQueue::default();
    queue.lock().is_lost = true;
    let mut bench = Bench::with(queue, EngineSettings::default());
    bench.offer([lease(1, "a")]);
    bench.queue.offer(Err(QueueError::Closed));
    (&mut bench.running).await.unwrap().unwrap();
    assert!(bench.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_closes_before_all_is_recorded_ends_the_dispatcher_with_an_error() {
    let bench = Bench::start();
    bench.offer([lease(1, "hang")]);
    bench.channel.begun.notified().await;
    bench.queue.lock().is_lost = true;
    bench.channel.gate.add_permits(1);
    let ended = bench.running.await.unwrap();
    assert!(matches!(ended, Err(QueueError::Closed)));
}

/// With severity high.
fn urgent(lease: Lease) -> Lease {
    let mut alert = (*lease.alert).clone();
    alert.severity = Severity::High;
    Lease {
        alert: Arc::new(alert),
        ..lease
    }
}

/// A warning to the lease's place.
fn warning(lease: Lease) -> Lease {
    let lease = urgent(lease);
    Lease {
        destination: Arc::new(lease.destination.for_warnings()),
        ..lease
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_a_high_delivery_died_and_not_that_another_or_a_warning_did() {
    let bench = Bench::start();
    let lost = urgent(lease(1, "x1"));
    let delivery = lost.delivery_id();
    bench.offer([lost, lease(2, "x2"), warning(lease(3, "x3"))]);
    bench.queue.until_settled(3).await;
    assert_eq!(
        bench.mishaps(),
        [Mishap::HighDied {
            deliveries: 1,
            delivery,
            place: "slack x1".into(),
            reason: "refused for good: channel_not_found".into(),
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_told_that_a_breaker_opened_and_whether_by_a_warning() {
    for is_warning in [false, true] {
        let bench = Bench::start();
        let refused = lease(1, "r");
        bench.offer([if is_warning {
            warning(refused)
        } else {
            refused
        }]);
        bench.queue.until_settled(1).await;
        let opened = Mishap::BreakerOpened {
            of: BreakerOf::Credential(CredentialId(1)),
            error: "invalid_auth".into(),
            by_warning: is_warning,
        };
        // Its probes are refused too, which is no news.
        bench.queue.until_settled(4).await;
        assert_eq!(bench.mishaps(), [opened]);
    }
}

#[tokio::test(start_paused = true)]
async fn how_destinations_stand_is_told_while_it_runs_with_places_that_only_the_queue_knows() {
    let queue = FakeQueue::default();
    queue.lock().parked = vec![lease(1, "asleep")];
    // The fetch fails all along.
    queue.lock().failures = usize::MAX;
    let bench = Bench::with(queue, EngineSettings::default());
    bench.offer([lease(2, "hang"), lease(3, "hang")]);
    bench.channel.begun.notified().await;
    let filter = StatusFilter::default();
    let page = bench.inspector.status(filter, None, 10).await.unwrap();
    let mut told: Vec<_> = page
        .destinations
        .iter()
        .map(|status| {
            let place = status.destination.as_ref().unwrap();
            (place.shown(), status.state)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            ("asleep".to_owned(), DestinationState::Parked),
            ("hang".to_owned(), DestinationState::Sending)
        ]
    );
    let of_another_kind = StatusFilter {
        state: None,
        channel: Some(ChannelKind::WEBHOOK),
    };
    let page = bench.inspector.status(of_another_kind, None, 10).await;
    assert_eq!(page.unwrap().destinations, []);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_are_answered_one_after_the_other_and_hold_up_no_delivery() {
    let bench = Bench::start();
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let inspector = bench.inspector.clone();
            tokio::spawn(async move {
                let filter = StatusFilter::default();
                inspector.status(filter, None, 1).await.unwrap();
                Instant::now()
            })
        })
        .collect();
    bench.offer([lease(1, "a")]);
    bench.queue.until_settled(1).await;
    let delivered = Instant::now();
    let mut answered = Vec::new();
    for one in asked {
        answered.push(one.await.unwrap());
    }
    let last = answered.into_iter().max().unwrap();
    assert!(last >= delivered + 40 * BETWEEN_ANSWERS);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_a_dispatcher_that_has_ended_is_told_so() {
    let mut bench = Bench::start();
    bench.stop();
    bench.running.await.unwrap().unwrap();
    let answer = bench.inspector.status(StatusFilter::default(), None, 1);
    assert_eq!(answer.await, Err(NobodyDelivers));
}
