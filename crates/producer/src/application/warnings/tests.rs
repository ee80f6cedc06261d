//! Time is tokio's paused one: it moves only when nothing else can.

use async_trait::async_trait;
use common::{CredentialId, DeliveryId, Now, UtcMillis, status::BreakerOf};
use prometheus_client::registry::Registry;
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;

use super::*;
use crate::{
    domain::{
        Caller, Command, Directory,
        fixtures::{two_users, user_id},
    },
    ports::{AcceptError, Acceptance, Executed, IdempotencyKey, Mode, StoreError},
};

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Now {
        Now {
            mono: Duration::ZERO,
            utc: UtcMillis(1_795_392_000_000),
        }
    }
}

/// A directory that only reads.
struct Fixed(Arc<Directory>);

#[async_trait]
impl DirectoryStore for Fixed {
    fn snapshot(&self) -> Arc<Directory> {
        self.0.clone()
    }

    async fn execute(&self, _: Vec<Command>, _: Mode, _: &Caller) -> Result<Executed, StoreError> {
        Err(StoreError::Failed("it only reads".into()))
    }
}

/// Keeps what it accepts, with the time; refuses as often as it was told to.
#[derive(Default)]
struct FakeQueue {
    accepted: Mutex<Vec<(Instant, AcceptedAlert)>>,
    refusals: Mutex<usize>,
    asked: Notify,
}

#[async_trait]
impl AlertQueue for FakeQueue {
    async fn accept(
        &self,
        accepted: AcceptedAlert,
        _: Option<IdempotencyKey>,
    ) -> Result<Acceptance, AcceptError> {
        self.asked.notify_one();
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(AcceptError::Full("the disk is full".into()));
        }
        let mut all = self.accepted.lock().unwrap();
        all.push((Instant::now(), accepted));
        Ok(Acceptance::Accepted)
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Rig {
    warnings: Arc<Warnings>,
    queue: Arc<FakeQueue>,
    metrics: WarningMetrics,
    end: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Rig {
    /// ann and ben, of whom `target` is told.
    fn of(target: &str) -> Self {
        let queue = Arc::new(FakeQueue::default());
        let metrics = WarningMetrics::default();
        let warnings = Arc::new(Warnings::new(
            OpsTarget::parse(target).unwrap(),
            Arc::new(Fixed(Arc::new(two_users()))),
            queue.clone(),
            Arc::new(StoppedClock),
            metrics.clone(),
        ));
        let (end, ended) = oneshot::channel::<()>();
        let running = tokio::spawn({
            let warnings = warnings.clone();
            async move {
                let ended = async move {
                    let _ = ended.await;
                };
                warnings.run(ended).await;
            }
        });
        Self {
            warnings,
            queue,
            metrics,
            end: Some(end),
            running,
        }
    }

    fn nobody(&self, target: &str) {
        self.warnings.happened(Mishap::ReachedNobody {
            alert: AlertId(Uuid::nil()),
            target: target.into(),
        });
    }

    fn opened(&self, by_warning: bool) {
        self.warnings.happened(Mishap::BreakerOpened {
            of: BreakerOf::Credential(CredentialId(1)),
            error: "invalid_auth".into(),
            by_warning,
        });
    }

    /// The texts of the warnings so far.
    fn texts(&self) -> Vec<String> {
        let accepted = self.queue.accepted.lock().unwrap();
        let texts = accepted.iter();
        texts
            .map(|(_, one)| one.alert.message.to_string())
            .collect()
    }

    async fn until_warned(&self, count: usize) {
        while self.texts().len() < count {
            self.queue.asked.notified().await;
        }
    }

    async fn end(&mut self) {
        self.end.take().unwrap().send(()).unwrap();
        (&mut self.running).await.unwrap();
    }

    fn metric(&self, line: &str) -> bool {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text.lines().any(|found| found == line)
    }
}

#[tokio::test(start_paused = true)]
async fn a_mishap_is_told_within_moments_with_all_that_came_with_it() {
    let rig = Rig::of("@ann");
    let begun = Instant::now();
    rig.nobody("@a");
    rig.warnings.happened(Mishap::HighDied {
        deliveries: 1,
        delivery: DeliveryId(Uuid::nil()),
        place: "slack channel2".into(),
        reason: "channel_not_found".into(),
    });
    rig.until_warned(1).await;
    assert_eq!(begun.elapsed(), GATHERED);
    let text = rig.texts().remove(0);
    assert!(text.contains("1 alert reached nobody: @a"), "{text}");
    assert!(text.contains("slack channel2: channel_not_found"), "{text}");
    assert!(rig.metric(r#"warnings_total{result="accepted"} 1"#));
    assert!(rig.metric("mishaps_untold 0"));
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_a_high_alert_to_the_target_at_places_for_warnings() {
    let rig = Rig::of("@@everyone");
    rig.nobody("@a");
    rig.until_warned(1).await;
    let (_, accepted) = rig.queue.accepted.lock().unwrap().remove(0);
    assert_eq!(accepted.alert.severity, Severity::High);
    assert_eq!(*accepted.alert.targets, ["@@everyone".into()]);
    let directory = two_users();
    let mut expected = [1, 2].map(|n| {
        let place = directory.user(user_id(n)).unwrap().destinations.first();
        (place.destination.for_warnings(), place.credential.id)
    });
    let deliveries = accepted.deliveries.iter();
    let mut found: Vec<_> = deliveries
        .map(|one| ((*one.destination).clone(), one.credential.id))
        .collect();
    found.sort_by_key(|(_, credential)| *credential);
    expected.sort_by_key(|(_, credential)| *credential);
    assert_eq!(found, expected);
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_there_is_at_most_one_warning_a_minute_and_none_without_need() {
    let rig = Rig::of("@ann");
    for number in 0..1_000 {
        rig.nobody(&format!("@{number}"));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let accepted = rig.queue.accepted.lock().unwrap();
    let times: Vec<_> = accepted.iter().map(|(at, _)| *at).collect();
    assert!(times.is_sorted() && times.len() == 6, "{times:?}");
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= EVERY);
    }
    let told: u64 = accepted
        .iter()
        .map(|(_, one)| {
            let line = one.alert.message.lines().nth(1).unwrap();
            let count = line.split(' ').nth(1).unwrap();
            count.parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(told, 1_000, "each is told once");
}

#[tokio::test(start_paused = true)]
async fn what_a_warning_made_go_wrong_is_told_with_the_next_and_makes_none() {
    let rig = Rig::of("@ann");
    rig.opened(true);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert!(rig.texts().is_empty());
    assert!(rig.metric("mishaps_untold 1"));
    rig.nobody("@a");
    rig.until_warned(1).await;
    assert!(rig.texts()[0].contains("1 breaker opened"));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_nobody_has_is_counted_and_ends_nothing() {
    let rig = Rig::of("@nobody");
    rig.nobody("@a");
    rig.until_warned(1).await;
    assert!(rig.metric(r#"warnings_total{result="reached_nobody"} 1"#));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(rig.texts().len(), 1, "it warns of itself to nobody");
    rig.nobody("@b");
    rig.until_warned(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_did_not_take_is_told_as_soon_as_it_takes_again() {
    let rig = Rig::of("@ann");
    *rig.queue.refusals.lock().unwrap() = 2;
    let begun = Instant::now();
    rig.warnings.happened(Mishap::ReserveInUse);
    rig.until_warned(1).await;
    assert!(begun.elapsed() >= 2 * EVERY && begun.elapsed() < 3 * EVERY);
    assert!(rig.texts()[0].contains("the disk ran full"));
    assert!(rig.metric(r#"warnings_total{result="not_accepted"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_nobody_was_told_is_told_once_more() {
    let mut rig = Rig::of("@ann");
    rig.nobody("@a");
    rig.until_warned(1).await;
    rig.nobody("@b");
    rig.end().await;
    assert_eq!(rig.texts().len(), 2);
    assert!(rig.texts()[1].contains("@b"));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_nothing_is_told_where_nothing_happened() {
    let mut rig = Rig::of("@ann");
    rig.end().await;
    assert!(rig.texts().is_empty());
}
