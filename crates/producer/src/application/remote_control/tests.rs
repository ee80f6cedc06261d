use std::{collections::HashSet, sync::Mutex};

use common::{
    Alert, Credential, CredentialId, Destination, DestinationId, Gtid, Now, Recipient, Recipients,
    Secret, Severity, UtcMillis,
};

use super::*;
use crate::{
    domain::{
        Caller, Command, Directory,
        fixtures::{two_users, user_id},
    },
    ports::{Executed, OpenAlert, OpenDelivery, StoreError},
};

const NOW: UtcMillis = UtcMillis(1_795_392_000_000);

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Now {
        Now {
            mono: std::time::Duration::ZERO,
            utc: NOW,
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

/// Knows the deliveries of places from 0 on, the last first.
#[derive(Default)]
struct Store {
    deliveries: Vec<Ended>,
    claimed: Mutex<HashSet<DeliveryPlace>>,
    open: Option<OpenAlert>,
}

#[async_trait]
impl ControlStore for Store {
    async fn open(&self, _: AlertId) -> Result<Option<OpenAlert>, ControlError> {
        Ok(self.open.clone())
    }

    async fn place_of(&self, id: DeliveryId) -> Result<Option<DeliveryPlace>, ControlError> {
        let found = self.deliveries.iter().find(|one| one.id == id);
        Ok(found.map(|one| one.place))
    }

    async fn selected(
        &self,
        _: Selection,
        before: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<(Vec<DeliveryPlace>, Option<DeliveryPlace>), ControlError> {
        let places = self.deliveries.iter().map(|one| one.place).rev();
        let rest = places.filter(|place| before.is_none_or(|before| *place < before));
        let mut found: Vec<_> = rest.collect();
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().copied().filter(|_| has_more);
        Ok((found, next))
    }

    async fn claim(&self, places: Vec<DeliveryPlace>) -> Result<Vec<ReplayClaim>, ControlError> {
        let mut claimed = self.claimed.lock().unwrap();
        let claim = |place: DeliveryPlace| {
            let found = self.deliveries.iter().find(|one| one.place == place);
            match found {
                None => ReplayClaim::NoSuch,
                Some(_) if !claimed.insert(place) => ReplayClaim::OnItsWay,
                Some(found) => ReplayClaim::Claimed(Box::new(found.clone())),
            }
        };
        Ok(places.into_iter().map(claim).collect())
    }

    async fn release(&self, places: Vec<DeliveryPlace>) -> Result<(), ControlError> {
        let mut claimed = self.claimed.lock().unwrap();
        places.iter().for_each(|place| {
            claimed.remove(place);
        });
        Ok(())
    }

    async fn discard(&self, id: DeliveryId) -> Result<bool, ControlError> {
        Ok(self.deliveries.iter().any(|one| one.id == id))
    }
}

/// Keeps what it was asked, until it fails.
struct Asked {
    requests: Mutex<Vec<ConsumerRequest>>,
    /// What is answered once so many were asked.
    fails: Option<(usize, AskError)>,
}

#[async_trait]
impl Consumers for Asked {
    async fn ask(&self, new: Vec<ConsumerRequest>) -> Result<(), AskError> {
        let mut requests = self.requests.lock().unwrap();
        match &self.fails {
            Some((after, error)) if requests.len() >= *after => Err(error.clone()),
            _ => {
                requests.extend(new);
                Ok(())
            }
        }
    }
}

struct Rig {
    control: RemoteControl,
    store: Arc<Store>,
    consumers: Arc<Asked>,
}

impl Rig {
    fn over(store: Store, fails: Option<(usize, AskError)>) -> Self {
        let store = Arc::new(store);
        let consumers = Arc::new(Asked {
            requests: Mutex::default(),
            fails,
        });
        Self {
            control: RemoteControl::new(
                store.clone(),
                consumers.clone(),
                Arc::new(Fixed(Arc::new(two_users()))),
                Arc::new(StoppedClock),
            ),
            store,
            consumers,
        }
    }

    /// `count` dead letters of ann's.
    fn with(count: usize) -> Self {
        Self::over(dead_letters(count), None)
    }

    fn replays(&self) -> Vec<ReplayRequest> {
        let requests = self.consumers.requests.lock().unwrap();
        let replays = requests.iter().map(|request| match request {
            ConsumerRequest::Replay(replay) => (**replay).clone(),
            ConsumerRequest::Cancel { .. } => panic!("nothing was cancelled"),
        });
        replays.collect()
    }

    fn claimed(&self) -> usize {
        self.store.claimed.lock().unwrap().len()
    }

    async fn replay_all(
        &self,
        before: Option<DeliveryPlace>,
        mode: Mode,
    ) -> Result<Replayed, ReplayError> {
        let all = Selection::DeadLetters(Default::default());
        self.control.replay(all, before, usize::MAX, mode).await
    }
}

fn dead_letters(count: usize) -> Store {
    let deliveries = (0..count as u64).map(|n| ended(n, 1, Some("of acceptance")));
    Store {
        deliveries: deliveries.collect(),
        ..Store::default()
    }
}

/// A dead letter to that user, and its credential of acceptance.
fn ended(sequence: u64, user: u128, token: Option<&str>) -> Ended {
    let id = AlertId::at(NOW);
    Ended {
        place: DeliveryPlace {
            sequence,
            ordinal: 0,
        },
        id: DeliveryId::of(id, DestinationId(sequence), CredentialId(7)),
        alert: Arc::new(Alert {
            id,
            caller: None,
            gtid: Gtid::random(),
            severity: Severity::High,
            message: "node1 down".into(),
            verbatim: false,
            targets: ["@ann".into()].into(),
            accepted_at: NOW,
        }),
        destination: Destination::new(common::ChannelKind::SLACK, "", "channel1"),
        recipients: Recipients::from_elem(
            Recipient {
                user: user_id(user),
                target: 0,
            },
            1,
        ),
        credential: token.map(|token| {
            Arc::new(Credential {
                id: CredentialId(7),
                secret: Secret::new(token),
            })
        }),
        attempts: 3,
        is_delivered: false,
    }
}

/// An alert with open deliveries: ordinal, destination, whether a digest carries it.
fn open(deliveries: &[(u32, u64, bool)]) -> OpenAlert {
    let open = |(ordinal, destination, is_in_digest): &(u32, u64, bool)| OpenDelivery {
        ordinal: *ordinal,
        destination: DestinationId(*destination),
        is_in_digest: *is_in_digest,
    };
    OpenAlert {
        sequence: 12,
        severity: Severity::High,
        gtid: Gtid::random(),
        deliveries: deliveries.iter().map(open).collect(),
    }
}

#[tokio::test]
async fn cancelling_asks_where_the_open_deliveries_go_and_answers_how_many() {
    let store = Store {
        open: Some(open(&[(0, 5, false), (2, 5, true), (3, 9, false)])),
        ..Store::default()
    };
    let rig = Rig::over(store, None);
    let alert = AlertId::generate();
    let answer = rig.control.cancel(alert).await;
    // One is in a digest, which goes out as it is.
    assert_eq!(answer, Ok(Some(Cancelled::Requested { deliveries: 2 })));
    let requests = rig.consumers.requests.lock().unwrap();
    let [
        ConsumerRequest::Cancel {
            alert: of,
            sequence: 12,
            severity: Severity::High,
            deliveries,
            ..
        },
    ] = &requests[..]
    else {
        panic!("one request: {requests:?}");
    };
    assert_eq!(*of, alert);
    let expected = [(0, 5), (2, 5), (3, 9)].map(|(ordinal, id)| (ordinal, DestinationId(id)));
    assert_eq!(*deliveries, expected);
}

#[tokio::test]
async fn where_nothing_can_be_cancelled_nobody_is_asked() {
    let store = Store {
        open: Some(open(&[(1, 5, true)])),
        ..Store::default()
    };
    let rig = Rig::over(store, Some((0, AskError::Unavailable("away".into()))));
    let answer = rig.control.cancel(AlertId::generate()).await;
    assert_eq!(answer, Ok(Some(Cancelled::Requested { deliveries: 0 })));
    let unknown = Rig::with(0).control.cancel(AlertId::generate()).await;
    assert_eq!(unknown, Ok(None));
}

#[tokio::test]
async fn a_replay_goes_out_with_the_current_credential_under_its_first_id() {
    let rig = Rig::with(1);
    let id = rig.store.deliveries[0].id;
    let answer = rig.control.replay_one(id).await;
    assert_eq!(answer, Ok(Some(Stage::Requested)));
    let replays = rig.replays();
    assert_eq!((replays.len(), replays[0].id), (1, id));
    assert_eq!(replays[0].credential.secret.expose(), "token1");
    assert_eq!((replays[0].attempts, replays[0].asked_at), (3, NOW));
}

#[tokio::test]
async fn a_replay_uses_the_credential_of_acceptance_where_the_user_is_gone() {
    let gone = |token| Store {
        deliveries: vec![ended(0, 99, token)],
        ..Store::default()
    };
    let rig = Rig::over(gone(Some("of acceptance")), None);
    let id = rig.store.deliveries[0].id;
    rig.control.replay_one(id).await.unwrap();
    let sent = rig.replays();
    assert_eq!(sent[0].credential.secret.expose(), "of acceptance");

    let rig = Rig::over(gone(None), None);
    let id = rig.store.deliveries[0].id;
    let refused = rig.control.replay_one(id).await;
    assert_eq!(refused, Err(ReplayError::CredentialGone));
    assert_eq!((rig.claimed(), rig.replays().len()), (0, 0));
}

#[tokio::test]
async fn asked_twice_a_delivery_is_replayed_once() {
    let rig = Rig::with(2);
    let id = rig.store.deliveries[0].id;
    rig.control.replay_one(id).await.unwrap();
    let again = rig.control.replay_one(id).await;
    assert_eq!(again, Err(ReplayError::OnItsWay));
    let all = rig.replay_all(None, Mode::Commit).await.unwrap();
    assert_eq!((all.count, all.stage), (1, Stage::Requested));
    assert_eq!(rig.replays().len(), 2);
}

#[tokio::test]
async fn a_dry_run_claims_nothing_and_asks_nobody() {
    let rig = Rig::with(3);
    let would = rig.replay_all(None, Mode::DryRun).await.unwrap();
    assert_eq!((would.count, would.stage), (3, Stage::Done));
    assert_eq!((rig.claimed(), rig.replays().len()), (0, 0));
}

#[tokio::test]
async fn where_the_consumers_cannot_be_asked_nothing_stays_claimed() {
    let store = dead_letters(1);
    let id = store.deliveries[0].id;
    let rig = Rig::over(store, Some((0, AskError::Unavailable("away".into()))));
    let refused = rig.control.replay_one(id).await;
    let unwritable = ControlError::Unwritable("away".into());
    assert_eq!(refused, Err(unwritable.into()));
    assert_eq!(rig.claimed(), 0);
}

#[tokio::test]
async fn what_may_have_been_asked_for_stays_claimed() {
    let store = dead_letters(1);
    let id = store.deliveries[0].id;
    let rig = Rig::over(store, Some((0, AskError::MaybeAsked("no answer".into()))));
    let refused = rig.control.replay_one(id).await;
    let maybe = ControlError::MaybeDone("no answer".into());
    assert_eq!(refused, Err(maybe.into()));
    assert_eq!(rig.claimed(), 1);
}

#[tokio::test]
async fn a_replay_that_stops_half_way_says_what_was_done_and_where_to_go_on() {
    let away = AskError::Unavailable("away".into());
    let rig = Rig::over(dead_letters(STEP + 7), Some((STEP, away)));
    let part = rig.replay_all(None, Mode::Commit).await.unwrap();
    assert_eq!(part.count, STEP);
    let next = part.next.unwrap();
    assert_eq!(next.sequence, 7);
    assert_eq!(rig.claimed(), STEP);
    let rest = rig.replay_all(Some(next), Mode::DryRun).await.unwrap();
    assert_eq!((rest.count, rest.next), (7, None));
}

#[tokio::test]
async fn an_unknown_delivery_is_neither_replayed_nor_discarded() {
    let rig = Rig::with(0);
    let unknown = ended(0, 1, None).id;
    assert_eq!(rig.control.replay_one(unknown).await, Ok(None));
    assert_eq!(rig.control.discard(unknown).await, Ok(false));
}
