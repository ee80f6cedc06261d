//! What stands around the dispatcher: a queue, a channel and a clock in memory.

use super::*;

pub(super) struct TokioClock(pub(super) Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let mono = self.0.elapsed();
        Now {
            mono,
            utc: UtcMillis(fixtures::START).plus(mono),
        }
    }
}

/// Hands out what the test offers, and remembers what was settled.
#[derive(Default)]
pub(super) struct FakeQueue {
    pub(super) state: Mutex<QueueState>,
    pub(super) offered: Notify,
    pub(super) changed: Notify,
}

#[derive(Default)]
pub(super) struct QueueState {
    pub(super) offers: VecDeque<Result<Received, QueueError>>,
    pub(super) parked: Vec<Lease>,
    pub(super) settled: Vec<Vec<Settlement>>,
    pub(super) calls: usize,
    pub(super) failures: usize,
    pub(super) begun: Vec<u64>,
    /// Another consumer has the deliveries now.
    pub(super) is_lost: bool,
}

impl FakeQueue {
    pub(super) fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap()
    }

    pub(super) fn offer(&self, offer: Result<Received, QueueError>) {
        self.lock().offers.push_back(offer);
        self.offered.notify_one();
    }

    /// What has been recorded of each delivery, in that order.
    pub(super) fn outcomes(&self) -> Vec<(u64, &'static str)> {
        let state = self.lock();
        let all = state.settled.iter().flatten();
        all.map(|settled| (settled.lease.position.sequence, settled.outcome.as_str()))
            .collect()
    }

    pub(super) async fn until_settled(&self, count: usize) {
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
pub(super) struct FakeChannel {
    pub(super) sent: Mutex<Vec<(String, String, String)>>,
    /// Requests to an address with `h` wait for a permit.
    pub(super) gate: Semaphore,
    pub(super) begun: Notify,
    pub(super) under_way: AtomicUsize,
    pub(super) most_under_way: AtomicUsize,
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

pub(super) struct Rotated;

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
pub(super) struct Told(pub(super) Mutex<Vec<Mishap>>);

impl Mishaps for Told {
    fn happened(&self, mishap: Mishap) {
        self.0.lock().unwrap().push(mishap);
    }
}

pub(super) struct Bench {
    pub(super) queue: Arc<FakeQueue>,
    pub(super) channel: Arc<FakeChannel>,
    pub(super) mishaps: Arc<Told>,
    pub(super) inspector: Inspector,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) running: JoinHandle<Result<(), QueueError>>,
}

impl Bench {
    pub(super) fn start() -> Self {
        Self::with(FakeQueue::default(), EngineSettings::default())
    }

    pub(super) fn with(queue: FakeQueue, settings: EngineSettings) -> Self {
        Self::limited(queue, settings, None)
    }

    pub(super) fn limited(
        queue: FakeQueue,
        settings: EngineSettings,
        limits: Option<Limits>,
    ) -> Self {
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

    pub(super) fn offer(&self, leases: impl IntoIterator<Item = Lease>) {
        self.queue
            .offer(Ok(Received::Leases(leases.into_iter().collect())));
    }

    pub(super) fn sent(&self) -> Vec<String> {
        let sent = self.channel.sent.lock().unwrap();
        sent.iter()
            .map(|(address, text, _)| format!("{address}: {text}"))
            .collect()
    }

    pub(super) fn mishaps(&self) -> Vec<Mishap> {
        self.mishaps.0.lock().unwrap().clone()
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

pub(super) fn lease(sequence: u64, address: &str) -> Lease {
    lease_of(ChannelKind::SLACK, sequence, address, "node1 down")
}

pub(super) fn lease_of(kind: ChannelKind, sequence: u64, address: &str, message: &str) -> Lease {
    let destination = Destination::new(kind, "", address);
    fixtures::lease(sequence, Severity::Normal, message, destination)
}
