//! What is logged about attempts. A process of its own, since which lines are
//! wanted is decided once for all threads of a process.

use std::{
    collections::VecDeque,
    fmt::{self, Write},
    future::pending,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use common::{
    Alert, AlertId, ChannelKind, Clock, Credential, CredentialId, Destination, DestinationId, Gtid,
    Recipients, Secret, Severity, SystemClock, mishap::Unheard,
};
use consumer::{
    application::{Dispatcher, EngineSettings, Outside},
    domain::{Answer, Fault, Lease, Position, Progress, Refusal, Settlement, Unfolded},
    metrics::DeliveryMetrics,
    ports::{
        Channel, Credentials, DeliveryQueue, Message, Pace, ParkedLane, QueueError, Received, Text,
        TextLimit,
    },
};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// Collects lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Lines {
    fn lock(&self) -> MutexGuard<'_, String> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Fields<'a>(&'a mut String);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut lines = self.lock();
        let _ = write!(lines, "{} ", event.metadata().level());
        event.record(&mut Fields(&mut lines));
        lines.push('\n');
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Hands out what it was made with, and says when something is settled.
struct Queue {
    offers: AsyncMutex<VecDeque<Received>>,
    settled: mpsc::UnboundedSender<usize>,
}

#[async_trait]
impl DeliveryQueue for Queue {
    async fn parked(&self) -> Result<Vec<ParkedLane>, QueueError> {
        Ok(Vec::new())
    }

    async fn receive(&self, _room: usize) -> Result<Received, QueueError> {
        match self.offers.lock().await.pop_front() {
            Some(offer) => Ok(offer),
            None => pending().await,
        }
    }

    async fn unpark(
        &self,
        _destination: DestinationId,
        _severity: Severity,
        _after: Option<Position>,
        _room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        Ok(Vec::new())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Unfolded>, QueueError> {
        self.settled
            .send(settlements.len())
            .map_err(|_| QueueError::Closed)?;
        Ok(Vec::new())
    }
}

/// Refuses once, then accepts.
#[derive(Default)]
struct RefusesOnce(AsyncMutex<bool>);

#[async_trait]
impl Channel for RefusesOnce {
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
        vec![text.text.to_owned()]
    }

    async fn send(&self, _message: Message<'_>) -> Answer {
        if std::mem::replace(&mut *self.0.lock().await, true) {
            return Answer::Accepted {
                status: 200,
                provider_id: Some("1.2".into()),
            };
        }
        Answer::Refused(Refusal {
            fault: Fault::Destination,
            lasting: false,
            retry_after: None,
            status: Some(429),
            reason: "rate_limited".into(),
        })
    }
}

struct AsAccepted;

impl Credentials for AsAccepted {
    fn current(&self, lease: &Lease) -> Arc<Credential> {
        Arc::clone(&lease.credential)
    }
}

#[tokio::test]
async fn each_attempt_is_one_line_with_the_gtid_and_without_text_or_token() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let clock = Arc::new(SystemClock::start());
    let gtid = Gtid::random();
    let lease = Lease {
        position: Position {
            sequence: 1,
            ordinal: 0,
        },
        alert: Arc::new(Alert {
            id: AlertId::generate(),
            caller: None,
            gtid: gtid.clone(),
            severity: Severity::Normal,
            message: "the text".into(),
            verbatim: false,
            targets: Box::default(),
            accepted_at: clock.now().utc,
        }),
        accepted_as: None,
        destination: Arc::new(Destination::new(ChannelKind::SLACK, "", "C0123")),
        credential: Arc::new(Credential {
            id: CredentialId(1),
            secret: Secret::new("xoxb-the-token"),
        }),
        recipients: Recipients::new(),
        progress: Progress::default(),
        digest: None,
    };
    let (settled, mut told) = mpsc::unbounded_channel();
    let offers = [Received::CaughtUp, Received::Leases(vec![lease])];
    let outside = Outside {
        queue: Arc::new(Queue {
            offers: AsyncMutex::new(offers.into()),
            settled,
        }),
        credentials: Arc::new(AsAccepted),
        channels: vec![Arc::new(RefusesOnce::default())],
        clock: clock.clone(),
        metrics: Arc::new(DeliveryMetrics::new(clock)),
        limits: None,
        mishaps: Arc::new(Unheard),
    };
    let settings = EngineSettings {
        backoff_base: Duration::from_millis(1),
        ..EngineSettings::default()
    };
    let twice = async move {
        let mut count = 0;
        while count < 2 {
            count += told.recv().await.unwrap_or(2);
        }
    };
    let ended = Dispatcher::new(outside, settings, 1)
        .run(twice, Duration::from_secs(5))
        .await;
    assert!(ended.is_ok());

    let text = lines.lock().clone();
    let attempts: Vec<_> = text
        .lines()
        .filter(|line| line.contains("delivery_id="))
        .collect();
    assert_eq!(attempts.len(), 2, "{text}");
    assert!(attempts[0].starts_with("WARN"), "{text}");
    assert!(
        attempts[0].contains("attempt=1 outcome=\"waiting\" status=429"),
        "{text}"
    );
    assert!(attempts[0].contains("error=\"rate_limited\""), "{text}");
    assert!(attempts[1].starts_with("INFO"), "{text}");
    assert!(
        attempts[1].contains("attempt=2 outcome=\"delivered\" status=200"),
        "{text}"
    );
    assert!(
        attempts
            .iter()
            .all(|line| line.contains(&format!("gtid={gtid}"))),
        "{text}"
    );
    for secret in ["the text", "the-token"] {
        assert!(!text.contains(secret), "{text}");
    }
}
