use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use common::{Gtid, Severity, UtcMillis};

use super::*;

/// A key in the fake store.
#[derive(Clone, Debug)]
struct Kept {
    fingerprint: [u8; 16],
    alert: AlertId,
    answer: String,
    is_done: bool,
    is_released: bool,
}

/// Keys in memory. A pending key that nobody released is a hanging twin's: `Busy`, until
/// [`ends_leases`](Keys::end_leases).
#[derive(Default)]
struct Keys {
    kept: Mutex<HashMap<(String, String), Kept>>,
    is_away: Mutex<bool>,
}

impl Keys {
    fn end_leases(&self) {
        for kept in self.kept.lock().unwrap().values_mut() {
            kept.is_released = true;
        }
    }

    fn go_away(&self, is_away: bool) {
        *self.is_away.lock().unwrap() = is_away;
    }

    fn answers(&self) -> Result<(), KeysError> {
        match *self.is_away.lock().unwrap() {
            true => Err(KeysError::Away("no route to host".into())),
            false => Ok(()),
        }
    }

    fn note(&self, key: &IdempotencyKey, change: impl Fn(&mut Kept)) -> Result<(), KeysError> {
        self.answers()?;
        let mut kept = self.kept.lock().unwrap();
        if let Some(kept) = kept.get_mut(&(key.scope.clone(), key.key.clone())) {
            change(kept);
        }
        Ok(())
    }
}

#[async_trait]
impl IdempotencyKeys for Keys {
    async fn claim(&self, key: &IdempotencyKey, alert: AlertId) -> Result<Claim, KeysError> {
        self.answers()?;
        let mut all = self.kept.lock().unwrap();
        let place = (key.scope.clone(), key.key.clone());
        let Some(kept) = all.get_mut(&place) else {
            let kept = Kept {
                fingerprint: key.fingerprint,
                alert,
                answer: key.answer.clone(),
                is_done: false,
                is_released: false,
            };
            all.insert(place, kept);
            return Ok(Claim::Claimed);
        };
        if kept.fingerprint != key.fingerprint {
            return Ok(Claim::Conflict);
        }
        let answer = kept.answer.clone();
        if kept.is_done {
            return Ok(Claim::Done { answer });
        }
        if !std::mem::take(&mut kept.is_released) {
            return Err(KeysError::Busy);
        }
        let alert = kept.alert;
        Ok(Claim::Pending { alert, answer })
    }

    async fn complete(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError> {
        self.note(key, |kept| {
            assert_eq!(kept.alert, alert);
            kept.is_done = true;
        })
    }

    async fn release(&self, key: &IdempotencyKey, alert: AlertId) -> Result<(), KeysError> {
        self.note(key, |kept| {
            assert_eq!(kept.alert, alert);
            kept.is_released = true;
        })
    }
}

/// What publishing comes to.
#[derive(Clone)]
enum Fate {
    Published,
    /// The process dies; the alert is out or not.
    Dies {
        published: bool,
    },
    Refused(PublishError),
}

/// A publisher with a fate, and all that it was given and that came out.
struct Publisher {
    fate: Mutex<Fate>,
    out: Mutex<Vec<AcceptedAlert>>,
}

#[async_trait]
impl AlertPublisher for Publisher {
    async fn publish(&self, accepted: AcceptedAlert) -> Result<(), PublishError> {
        let fate = self.fate.lock().unwrap().clone();
        match fate {
            Fate::Published => {
                self.out.lock().unwrap().push(accepted);
                Ok(())
            }
            Fate::Dies { published } => {
                if published {
                    self.out.lock().unwrap().push(accepted);
                }
                std::future::pending().await
            }
            Fate::Refused(error) => Err(error),
        }
    }

    fn health(&self) -> Result<(), String> {
        Err("no brokers".into())
    }
}

struct Rig {
    queue: KeyedQueue,
    publisher: Arc<Publisher>,
    keys: Arc<Keys>,
}

const TIME: UtcMillis = UtcMillis(1_795_392_000_000);

fn alert(accepted_at: UtcMillis) -> AcceptedAlert {
    let alert = Alert {
        id: AlertId::at(accepted_at),
        caller: None,
        gtid: Gtid::random(),
        severity: Severity::Normal,
        message: "node1 down".into(),
        targets: ["@all".into()].into(),
        accepted_at,
        verbatim: false,
    };
    AcceptedAlert {
        alert: Arc::new(alert),
        deliveries: Vec::new(),
    }
}

fn key(fingerprint: u8, answer: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: "caller".into(),
        key: "key1".into(),
        fingerprint: [fingerprint; 16],
        answer: answer.into(),
    }
}

fn replayed(answer: &str) -> Result<Acceptance, AcceptError> {
    let answer = answer.to_owned();
    Ok(Acceptance::Replayed { answer })
}

impl Rig {
    fn new() -> Self {
        let publisher = Arc::new(Publisher {
            fate: Mutex::new(Fate::Published),
            out: Mutex::default(),
        });
        let keys = Arc::new(Keys::default());
        Self {
            queue: KeyedQueue::new(publisher.clone(), keys.clone()),
            publisher,
            keys,
        }
    }

    fn fate(&self, fate: Fate) {
        *self.publisher.fate.lock().unwrap() = fate;
    }

    /// Sends a request; `None` where its process died over it.
    fn sends(
        &self,
        accepted: &AcceptedAlert,
        key: Option<IdempotencyKey>,
    ) -> Option<Result<Acceptance, AcceptError>> {
        let mut call = pin!(self.queue.accept(accepted.clone(), key));
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// The ids of all that came out, in order.
    fn out(&self) -> Vec<AlertId> {
        let out = self.publisher.out.lock().unwrap();
        out.iter().map(|accepted| accepted.alert.id).collect()
    }
}

#[test]
fn without_a_key_each_request_is_an_alert_whatever_the_keys_do() {
    let rig = Rig::new();
    rig.keys.go_away(true);
    let (one, other) = (alert(TIME), alert(TIME));
    assert_eq!(rig.sends(&one, None), Some(Ok(Acceptance::Accepted)));
    assert_eq!(rig.sends(&other, None), Some(Ok(Acceptance::Accepted)));
    assert_eq!(rig.out(), [one.alert.id, other.alert.id]);
}

#[test]
fn a_repeated_request_is_answered_as_the_first_and_published_once() {
    let rig = Rig::new();
    let first = alert(TIME);
    let answer = rig.sends(&first, Some(key(1, "first")));
    assert_eq!(answer, Some(Ok(Acceptance::Accepted)));
    for _ in 0..3 {
        let again = rig.sends(&alert(TIME), Some(key(1, "again")));
        assert_eq!(again, Some(replayed("first")));
    }
    assert_eq!(rig.out(), [first.alert.id]);
}

#[test]
fn another_request_under_the_same_key_is_a_conflict_and_is_not_published() {
    let rig = Rig::new();
    let first = alert(TIME);
    rig.sends(&first, Some(key(1, "first"))).unwrap().unwrap();
    let other = rig.sends(&alert(TIME), Some(key(2, "other")));
    assert_eq!(other, Some(Err(AcceptError::KeyConflict)));
    assert_eq!(rig.out(), [first.alert.id]);
}

#[test]
fn a_process_that_dies_over_publishing_leaves_a_key_that_goes_on_under_the_same_id() {
    for published in [false, true] {
        let rig = Rig::new();
        let first = alert(TIME);
        rig.fate(Fate::Dies { published });
        assert_eq!(rig.sends(&first, Some(key(1, "first"))), None);
        rig.fate(Fate::Published);
        // While it may still be at it, nobody else publishes.
        let waiting = rig.sends(&alert(TIME), Some(key(1, "again")));
        let busy = AcceptError::KeyUnknown(KeysError::Busy.to_string());
        assert_eq!(waiting, Some(Err(busy)));
        rig.keys.end_leases();
        let later = alert(UtcMillis(TIME.0 + 5000));
        let again = rig.sends(&later, Some(key(1, "again")));
        assert_eq!(again, Some(replayed("first")));
        let mut expected = vec![first.alert.id];
        if published {
            expected.push(first.alert.id);
        }
        assert_eq!(rig.out(), expected, "published before: {published}");
        let out = rig.publisher.out.lock().unwrap();
        let last = &out.last().unwrap().alert;
        assert_eq!(last.accepted_at, TIME, "it is found by the time in its id");
        assert_eq!(last.gtid, later.alert.gtid);
        drop(out);
        let third = rig.sends(&alert(TIME), Some(key(1, "third")));
        assert_eq!(third, Some(replayed("first")));
        assert_eq!(rig.out(), expected);
    }
}

#[test]
fn a_request_that_could_not_be_published_can_be_sent_again_at_once() {
    for refusal in [
        PublishError::Full("no brokers".into()),
        PublishError::Failed("too large".into()),
        PublishError::MaybePublished("no answer".into()),
    ] {
        let rig = Rig::new();
        let first = alert(TIME);
        rig.fate(Fate::Refused(refusal.clone()));
        let id = first.alert.id;
        let expected = Some(Err(super::refusal(refusal, id)));
        assert_eq!(rig.sends(&first, Some(key(1, "first"))), expected);
        // And again, under the first one's id, which is what the caller is told.
        assert_eq!(rig.sends(&alert(TIME), Some(key(1, "again"))), expected);
        rig.fate(Fate::Published);
        let last = rig.sends(&alert(TIME), Some(key(1, "last")));
        assert_eq!(last, Some(replayed("first")));
        assert_eq!(rig.out(), [id]);
    }
}

#[test]
fn while_the_keys_are_away_a_request_with_one_is_not_accepted() {
    let rig = Rig::new();
    rig.keys.go_away(true);
    let answer = rig.sends(&alert(TIME), Some(key(1, "first")));
    let reason = KeysError::Away("no route to host".into()).to_string();
    assert_eq!(answer, Some(Err(AcceptError::KeyUnknown(reason))));
    assert!(rig.out().is_empty());
    rig.keys.go_away(false);
    let answer = rig.sends(&alert(TIME), Some(key(1, "first")));
    assert_eq!(answer, Some(Ok(Acceptance::Accepted)));
}

#[test]
fn an_alert_whose_key_could_not_be_completed_is_accepted_and_goes_on_under_its_id() {
    /// Goes away the keys while it publishes.
    struct LosesKeys(Arc<Publisher>, Arc<Keys>);

    #[async_trait]
    impl AlertPublisher for LosesKeys {
        async fn publish(&self, accepted: AcceptedAlert) -> Result<(), PublishError> {
            self.1.go_away(true);
            self.0.publish(accepted).await
        }

        fn health(&self) -> Result<(), String> {
            Ok(())
        }
    }

    let mut rig = Rig::new();
    let loses = LosesKeys(rig.publisher.clone(), rig.keys.clone());
    rig.queue = KeyedQueue::new(Arc::new(loses), rig.keys.clone());
    let first = alert(TIME);
    let answer = rig.sends(&first, Some(key(1, "first")));
    assert_eq!(answer, Some(Ok(Acceptance::Accepted)));
    rig.keys.go_away(false);
    rig.keys.end_leases();
    rig.queue = KeyedQueue::new(rig.publisher.clone(), rig.keys.clone());
    let again = rig.sends(&alert(TIME), Some(key(1, "again")));
    assert_eq!(again, Some(replayed("first")));
    assert_eq!(rig.out(), [first.alert.id; 2]);
}

#[test]
fn its_health_is_the_publishers() {
    assert_eq!(Rig::new().queue.health(), Err("no brokers".into()));
}
