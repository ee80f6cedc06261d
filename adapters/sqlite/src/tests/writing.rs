//! The writer: shared commits, failures that concern one command alone, its end.

use std::sync::Arc;

use common::{
    AcceptedAlert,
    Severity::{self, High, Low, Normal},
    UtcMillis,
};
use consumer::{
    domain::{Lease, Outcome},
    ports::{DeliveryQueue, QueueError, Received},
};
use producer::{
    domain::{Caller, resolve},
    ports::{AcceptError, Acceptance, AlertQueue, DirectoryStore, Mode, StoreError},
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{
    Store,
    fixtures::{DAY, FakeClock, alert, put_user, settings, settlement_of, user_id},
    folder::database,
};

/// A store with users, each on a channel of their own.
struct Rig {
    store: Store,
    clock: Arc<FakeClock>,
    folder: tempfile::TempDir,
}

impl Rig {
    async fn new(users: u128) -> Self {
        Self::keeping(1_000, users).await
    }

    async fn keeping(in_memory: usize, users: u128) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::default());
        let settings = settings(folder.path());
        let room = crate::handoff::Room {
            in_memory,
            slice: 1_000,
        };
        let store = Store::open_with(room, settings, clock.clone()).unwrap();
        let users = (1..=users).map(|n| put_user(n, &format!("channel{n}"), &format!("token{n}")));
        let executed = store
            .directory
            .execute(users.collect(), Mode::Commit, &Caller::LOCAL)
            .await;
        executed.unwrap();
        Self {
            store,
            clock,
            folder,
        }
    }

    /// Another connection, as another program's would be.
    fn beside(&self) -> Connection {
        Connection::open(database(self.folder.path())).unwrap()
    }

    fn alert(&self, severity: Severity) -> AcceptedAlert {
        let found = resolve(&self.store.directory.snapshot(), &["@all".into()]);
        alert(severity, self.clock.utc(), found.deliveries)
    }

    async fn accept(&self, severity: Severity) {
        let answer = self.store.queue.accept(self.alert(severity), None).await;
        assert_eq!(answer, Ok(Acceptance::Accepted));
    }

    async fn receive(&self, room: usize) -> Vec<Lease> {
        loop {
            if let Received::Leases(leases) = self.store.queue.receive(room).await.unwrap() {
                return leases;
            }
        }
    }

    /// The value of a metric.
    fn metric(&self, name: &str) -> f64 {
        let mut registry = Registry::default();
        self.store.metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}"))
            .parse()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_arrive_together_share_few_commits() {
    let rig = Rig::new(1).await;
    let before = rig.metric("store_commit_seconds_count");
    // The writer waits for the lock with what it has, and all others gather.
    let beside = rig.beside();
    beside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut calls = JoinSet::new();
    let (sent, mut all_sent) = tokio::sync::mpsc::channel(100);
    for _ in 0..100 {
        let (queue, accepted, sent) = (rig.store.queue.clone(), rig.alert(Normal), sent.clone());
        calls.spawn(async move {
            let mut call = std::pin::pin!(queue.accept(accepted, None));
            let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx)));
            assert!(
                poll.await.is_pending(),
                "nothing is answered before its commit"
            );
            sent.send(()).await.unwrap();
            call.await
        });
    }
    for _ in 0..100 {
        all_sent.recv().await.unwrap();
    }
    beside.execute_batch("ROLLBACK").unwrap();
    for answer in calls.join_all().await {
        assert_eq!(answer, Ok(Acceptance::Accepted));
    }
    // What it had, the others, and a step of trimming perhaps.
    let commits = rig.metric("store_commit_seconds_count") - before;
    assert!(commits <= 3.0, "{commits}");
    assert_eq!(rig.metric("queue_depth"), 100.0);
    rig.store.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_command_that_fails_harms_no_other_that_shares_its_commit() {
    let rig = Rig::new(1).await;
    let beside = rig.beside();
    beside
        .execute_batch(
            "CREATE TRIGGER poison BEFORE INSERT ON alert WHEN NEW.severity = 0
             BEGIN SELECT RAISE(ABORT, 'poison'); END;
             CREATE TRIGGER bad_user BEFORE INSERT ON users WHEN NEW.name = 'user66'
             BEGIN SELECT RAISE(ABORT, 'bad user'); END;
             BEGIN IMMEDIATE",
        )
        .unwrap();
    let queue = &rig.store.queue;
    let directory = &rig.store.directory;
    let first = rig.alert(Normal);
    let expected = [first.alert.id];
    let put = |n| directory.execute(vec![put_user(n, "c", "t")], Mode::Commit, &Caller::LOCAL);
    // All are sent when each has been polled once, in this order; then the writer
    // may go on.
    let released = async { beside.execute_batch("ROLLBACK").unwrap() };
    let (good, user, poison, bad_user, settled, ()) = tokio::join!(
        biased;
        queue.accept(first, None),
        put(7),
        queue.accept(rig.alert(Low), None),
        put(66),
        queue.settle(vec![]),
        released,
    );
    assert_eq!(good, Ok(Acceptance::Accepted));
    assert!(matches!(poison, Err(AcceptError::Failed(reason)) if reason.contains("poison")));
    assert!(user.is_ok());
    assert!(matches!(bad_user, Err(StoreError::Failed(reason)) if reason.contains("bad user")));
    assert!(settled.is_ok());

    let leases = rig.receive(10).await;
    let received: Vec<_> = leases.iter().map(|lease| lease.alert.id).collect();
    assert_eq!(received, expected, "once, and nothing of what failed");
    let names: Vec<_> = directory
        .snapshot()
        .users()
        .map(|user| user.name.to_string())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(rig.metric("queue_depth"), 1.0);
    // The place of the one that failed is not left empty.
    rig.accept(Normal).await;
    assert_eq!(rig.receive(10).await[0].position.sequence, 2);
    rig.store.close();
    // What was answered for is on disk.
    let kept = crate::read_directory(rig.folder.path(), None).unwrap();
    assert!(kept.user(user_id(7)).is_some() && kept.user(user_id(66)).is_none());
}

#[tokio::test]
async fn trimming_that_fails_refuses_nobody() {
    let rig = Rig::new(1).await;
    rig.accept(Normal).await;
    let lease = rig.receive(1).await.remove(0);
    rig.accept(Normal).await;
    let settled = rig
        .store
        .queue
        .settle(vec![settlement_of(&lease, Outcome::Delivered)]);
    settled.await.unwrap();
    let beside = rig.beside();
    let stuck = "CREATE TRIGGER stuck BEFORE DELETE ON alert
                 BEGIN SELECT RAISE(ABORT, 'stuck'); END";
    beside.execute_batch(stuck).unwrap();
    rig.store.close();
    rig.clock.advance(8 * DAY);
    // A round of trimming is due at once.
    let store = Store::open(settings(rig.folder.path()), rig.clock.clone()).unwrap();
    let rig = Rig { store, ..rig };
    for _ in 0..10 {
        rig.accept(Normal).await;
    }
    assert!(
        rig.metric("store_commit_failures_total") >= 1.0,
        "it was tried"
    );
    assert_eq!(rig.store.queue.health(), Ok(()));
    rig.store.close();
}

#[tokio::test]
async fn what_does_not_fit_into_memory_is_read_from_disk_in_order() {
    let rig = Rig::keeping(5, 3).await;
    let mut came = vec![];
    for round in 0..40 {
        for severity in [Normal, High, Low, Normal] {
            rig.accept(severity).await;
        }
        // Sometimes more is taken than arrives, so that lines catch up.
        for _ in 0..round % 5 {
            came.extend(rig.receive(7).await.iter().map(Lease::key));
        }
    }
    while came.len() < 480 {
        came.extend(rig.receive(7).await.iter().map(Lease::key));
    }
    for severity in Severity::BY_URGENCY {
        let of_it = came.iter().filter(|key| key.severity == severity);
        let positions: Vec<_> = of_it.map(|key| key.position).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "{severity}");
    }
    rig.store.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_while_the_disk_is_being_read_comes_once() {
    let rig = Rig::keeping(1, 2).await;
    let queue = rig.store.queue.clone();
    let alerts: Vec<_> = (0..500).map(|_| rig.alert(Normal)).collect();
    let accepting = tokio::spawn(async move {
        for accepted in alerts {
            queue.accept(accepted, None).await.unwrap();
        }
    });
    let mut came = vec![];
    while came.len() < 1_000 {
        came.extend(rig.receive(3).await.iter().map(|lease| lease.position));
    }
    assert!(came.is_sorted_by(|one, next| one < next));
    accepting.await.unwrap();
    rig.accept(Low).await;
    assert_eq!(rig.receive(1).await[0].alert.severity, Low);
    rig.store.close();
}

#[tokio::test]
async fn the_depth_counts_what_has_not_ended_and_is_right_after_a_restart() {
    let rig = Rig::new(3).await;
    rig.accept(Normal).await;
    rig.accept(Normal).await;
    let leases = rig.receive(10).await;
    for _ in 0..2 {
        // The second time it has ended already.
        let settled = settlement_of(&leases[0], Outcome::Delivered);
        rig.store.queue.settle(vec![settled]).await.unwrap();
    }
    assert_eq!(rig.metric("queue_depth"), 5.0);
    rig.store.close();
    let store = Store::open(settings(rig.folder.path()), rig.clock.clone()).unwrap();
    let rig = Rig { store, ..rig };
    assert_eq!(rig.metric("queue_depth"), 5.0);
    rig.store.close();
}

#[tokio::test]
async fn after_a_close_every_call_says_so() {
    let rig = Rig::new(1).await;
    rig.accept(Normal).await;
    let lease = rig.receive(1).await.remove(0);
    let accepted = rig.alert(Normal);
    let (queue, directory) = (rig.store.queue.clone(), rig.store.directory.clone());
    rig.store.close();
    let refused = queue.accept(accepted, None).await;
    assert!(
        matches!(refused, Err(AcceptError::Failed(_))),
        "{refused:?}"
    );
    let outcome = settlement_of(&lease, Outcome::Delivered);
    let refused = queue.settle(vec![outcome]).await;
    assert!(matches!(refused, Err(QueueError::Closed)), "{refused:?}");
    let refused = queue.receive(1).await;
    assert!(matches!(refused, Err(QueueError::Closed)), "{refused:?}");
    let refused = directory
        .execute(vec![], Mode::Commit, &Caller::LOCAL)
        .await;
    assert!(matches!(refused, Err(StoreError::Failed(_))), "{refused:?}");
}

#[tokio::test]
async fn a_receive_that_waits_ends_with_the_store() {
    let rig = Rig::new(1).await;
    let queue = rig.store.queue.clone();
    assert!(matches!(queue.receive(1).await, Ok(Received::CaughtUp)));
    let waiting = tokio::spawn(async move { queue.receive(1).await });
    rig.store.close();
    let ended = waiting.await.unwrap();
    assert!(matches!(ended, Err(QueueError::Closed)), "{ended:?}");
}

#[tokio::test]
async fn a_key_can_be_used_again_after_a_day() {
    use producer::ports::IdempotencyKey;
    let rig = Rig::new(1).await;
    let key = |fingerprint| {
        Some(IdempotencyKey {
            scope: String::new(),
            key: "key1".into(),
            fingerprint: [fingerprint; 16],
            answer: String::new(),
        })
    };
    let queue = &rig.store.queue;
    queue.accept(rig.alert(Normal), key(1)).await.unwrap();
    let refused = queue.accept(rig.alert(Normal), key(2)).await;
    assert_eq!(refused, Err(AcceptError::KeyConflict));
    rig.clock.advance(DAY);
    let answer = queue.accept(rig.alert(Normal), key(2)).await;
    assert_eq!(answer, Ok(Acceptance::Accepted));
    let refused = queue.accept(rig.alert(Normal), key(1)).await;
    assert_eq!(refused, Err(AcceptError::KeyConflict));
    rig.store.close();
}

#[tokio::test]
async fn an_outcome_keeps_the_last_attempt_and_the_table_those_before() {
    use crate::fixtures::attempt;
    use consumer::domain::{Fault, Wait};
    let rig = Rig::new(1).await;
    rig.accept(Normal).await;
    let lease = rig.receive(1).await.remove(0);
    let waiting = Outcome::Waiting(Wait {
        until: UtcMillis(9),
        fault: Fault::Host,
        asked: false,
    });
    for (number, outcome) in [(1, waiting.clone()), (2, waiting), (3, Outcome::Delivered)] {
        let mut settlement = settlement_of(&lease, outcome);
        settlement.attempt = Some(attempt(number));
        rig.store.queue.settle(vec![settlement]).await.unwrap();
    }
    let beside = rig.beside();
    let last: (i64, String) = beside
        .query_row("SELECT attempts, error FROM delivery", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(last, (3, "error3".to_owned()));
    let mut earlier = beside
        .prepare("SELECT error FROM attempt ORDER BY number")
        .unwrap();
    let earlier = earlier
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let earlier: Vec<_> = earlier.map(Result::unwrap).collect();
    assert_eq!(earlier, ["error1", "error2"]);
    rig.store.close();
}
