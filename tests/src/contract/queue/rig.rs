//! What the queue's behaviours are shown with.

use std::{pin::pin, sync::Arc, task::Poll, time::Duration};

use common::{
    AcceptedAlert, Alert, AlertId, Clock, Delivery, Gtid, Recipient, Recipients, Severity, UserId,
};
use consumer::{
    domain::{Attempt, AttemptResult, Fault, Lease, Outcome, Position, Settlement, Wait},
    ports::{QueueError, Received},
};
use producer::{
    domain::{Address, Caller, Command, Token, User, UserName, UserRecord},
    ports::{AcceptError, Acceptance, IdempotencyKey, Mode},
};
use uuid::Uuid;

use super::{ManualClock, QueuePorts, QueueUnderTest};

/// Longer than anything here takes: what has not come by then never will.
const HANG: Duration = Duration::from_secs(120);

/// A queue under test and users to deliver to.
pub(super) struct Rig<Q> {
    queue: Q,
    pub(super) ports: QueuePorts,
    pub(super) clock: Arc<ManualClock>,
    users: Vec<Arc<User>>,
    caught_up: usize,
}

impl<Q: QueueUnderTest> Rig<Q> {
    /// A new queue and that many users, each on a channel of their own.
    pub(super) async fn with_users(count: u128) -> Self {
        let clock = Arc::new(ManualClock::default());
        let queue = Q::open(clock.clone()).await;
        let ports = queue.ports();
        let commands = (1..=count)
            .map(|n| Command::CreateUser(record(n)))
            .collect();
        let executed = ports
            .directory
            .execute(commands, Mode::Commit, &Caller::LOCAL)
            .await;
        let directory = executed.unwrap().directory;
        let users = (1..=count).map(|n| directory.user(user_id(n)).unwrap().clone());
        Self {
            users: users.collect(),
            caught_up: 0,
            queue,
            ports,
            clock,
        }
    }

    /// Ends the queue's process and begins another.
    pub(super) async fn restart(self) -> Self {
        drop(self.ports);
        let queue = self.queue.restart().await;
        Self {
            ports: queue.ports(),
            queue,
            caught_up: 0,
            ..self
        }
    }

    /// A delivery to the channel of one user with the token of another; the users'
    /// numbers count from 0.
    pub(super) fn delivery(&self, channel: usize, token: usize) -> Delivery {
        let user = &self.users[channel];
        Delivery {
            destination: user.destinations.first().destination.clone(),
            credential: self.users[token].destinations.first().credential.clone(),
            recipients: Recipients::from_elem(recipient(user.id), 1),
        }
    }

    /// One delivery to each of the first `count` users.
    pub(super) fn deliveries(&self, count: usize) -> Vec<Delivery> {
        (0..count).map(|n| self.delivery(n, n)).collect()
    }

    /// An alert with these deliveries.
    pub(super) fn alert(&self, severity: Severity, deliveries: Vec<Delivery>) -> AcceptedAlert {
        let alert = Arc::new(Alert {
            id: AlertId::generate(),
            caller: None,
            gtid: Gtid::random(),
            severity,
            message: "node1 down".into(),
            verbatim: false,
            targets: ["@all".into()].into(),
            accepted_at: self.clock.now().utc,
        });
        AcceptedAlert { alert, deliveries }
    }

    /// Accepts an alert to the first `count` users.
    pub(super) async fn accept(&self, severity: Severity, count: usize) -> AlertId {
        self.accept_these(severity, self.deliveries(count)).await
    }

    pub(super) async fn accept_these(
        &self,
        severity: Severity,
        deliveries: Vec<Delivery>,
    ) -> AlertId {
        let accepted = self.alert(severity, deliveries);
        let id = accepted.alert.id;
        let answer = self.ports.alerts.accept(accepted, None).await;
        assert_eq!(answer, Ok(Acceptance::Accepted));
        id
    }

    pub(super) async fn accept_with_key(
        &self,
        count: usize,
        key: IdempotencyKey,
    ) -> Result<Acceptance, AcceptError> {
        let accepted = self.alert(Severity::Normal, self.deliveries(count));
        self.ports.alerts.accept(accepted, Some(key)).await
    }

    /// The next that comes, up to `room`, past word of having caught up.
    pub(super) async fn receive(&mut self, room: usize) -> Vec<Lease> {
        loop {
            match self.receive_any(room).await {
                Received::Leases(leases) => return leases,
                Received::CaughtUp | Received::Cancelled(_) => {}
            }
        }
    }

    pub(super) async fn receive_any(&mut self, room: usize) -> Received {
        let answer = tokio::time::timeout(HANG, self.ports.deliveries.receive(room)).await;
        let received = answer.expect("nothing comes").unwrap();
        self.check(&received, room);
        received
    }

    /// Begins to receive, polls that often, and drops the call. Says what came
    /// before it was dropped, if anything did.
    pub(super) async fn receive_briefly(&mut self, room: usize, polls: usize) -> Vec<Lease> {
        let deliveries = self.ports.deliveries.clone();
        let mut answer = None;
        {
            let mut call = pin!(deliveries.receive(room));
            for _ in 0..polls {
                let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
                if let Poll::Ready(received) = polled {
                    answer = Some(received.unwrap());
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        match answer {
            Some(received) => {
                self.check(&received, room);
                leases_of(received)
            }
            None => vec![],
        }
    }

    fn check(&mut self, received: &Received, room: usize) {
        match received {
            Received::CaughtUp => {
                self.caught_up += 1;
                assert_eq!(self.caught_up, 1, "caught up is said once a process");
            }
            Received::Cancelled(_) => panic!("nobody has cancelled anything"),
            Received::Leases(leases) => assert!((1..=room).contains(&leases.len())),
        }
    }

    /// Everything that is there to be received, in the order in which it comes.
    ///
    /// It ends at a marker: an alert of low severity, accepted last, which comes
    /// after all others.
    pub(super) async fn receive_all(&mut self) -> Vec<Lease> {
        let marker = self.accept(Severity::Low, 1).await;
        let mut all = vec![];
        loop {
            for lease in self.receive(1_000).await {
                if lease.alert.id == marker {
                    self.settle([settlement(&lease, None, Outcome::Delivered)])
                        .await;
                    return all;
                }
                all.push(lease);
            }
        }
    }

    /// That nothing is there to be received.
    pub(super) async fn assert_nothing_comes(&mut self) {
        let all = self.receive_all().await;
        assert!(all.is_empty(), "{:?}", positions(&all));
    }

    /// Records outcomes.
    pub(super) async fn settle(&self, settlements: impl IntoIterator<Item = Settlement>) {
        let settlements = settlements.into_iter().collect();
        self.ports.deliveries.settle(settlements).await.unwrap();
    }

    /// Records one outcome for each of `leases`, with attempt number 1.
    pub(super) async fn settle_each(&self, leases: &[Lease], outcome: &Outcome) {
        let settlements = leases
            .iter()
            .map(|lease| settlement(lease, Some(1), outcome.clone()));
        self.settle(settlements).await;
    }

    pub(super) async fn unpark(
        &self,
        lane: &Lease,
        after: Option<Position>,
        room: usize,
    ) -> Vec<Lease> {
        self.try_unpark(lane, after, room).await.unwrap()
    }

    async fn try_unpark(
        &self,
        lane: &Lease,
        after: Option<Position>,
        room: usize,
    ) -> Result<Vec<Lease>, QueueError> {
        let key = lane.key();
        let queue = &self.ports.deliveries;
        queue
            .unpark(key.destination, key.severity, after, room)
            .await
    }

    /// What is parked: lane, severity, count, sorted.
    pub(super) async fn parked(&self) -> Vec<(u64, Severity, u64)> {
        let lanes = self.ports.deliveries.parked().await.unwrap();
        let mut lanes: Vec<_> = lanes
            .iter()
            .map(|lane| (lane.destination.0, lane.severity, lane.count))
            .collect();
        lanes.sort();
        lanes
    }
}

fn leases_of(received: Received) -> Vec<Lease> {
    match received {
        Received::Leases(leases) => leases,
        Received::CaughtUp | Received::Cancelled(_) => vec![],
    }
}

/// The outcome of a lease, after the attempt of that number where there was one.
pub(super) fn settlement(lease: &Lease, attempt: Option<u32>, outcome: Outcome) -> Settlement {
    Settlement {
        lease: lease.key(),
        attempt: attempt.map(|number| Attempt {
            number,
            started_at: ManualClock::BEGINNING,
            took: Duration::from_millis(7),
            result: match outcome {
                Outcome::Delivered | Outcome::PartSent => AttemptResult::Accepted,
                _ => AttemptResult::Refused,
            },
            status: Some(500),
            error: Some("internal_error".into()),
            provider_id: None,
        }),
        parts_sent: lease.progress.parts_sent,
        outcome,
    }
}

/// A wait of that many seconds that is the destination's fault.
pub(super) fn wait(seconds: u64) -> Wait {
    Wait {
        until: ManualClock::BEGINNING.plus(Duration::from_secs(seconds)),
        fault: Fault::Destination,
        asked: false,
    }
}

pub(super) fn waiting(seconds: u64) -> Outcome {
    Outcome::Waiting(wait(seconds))
}

pub(super) fn dead() -> Outcome {
    let reason = "channel_not_found".to_owned();
    Outcome::Dead { reason }
}

pub(super) fn positions(leases: &[Lease]) -> Vec<Position> {
    leases.iter().map(|lease| lease.position).collect()
}

/// Which alert each of `leases` is of.
pub(super) fn alerts(leases: &[Lease]) -> Vec<AlertId> {
    leases.iter().map(|lease| lease.alert.id).collect()
}

/// That `leases` are in the order of acceptance and none is there twice.
pub(super) fn assert_in_order(leases: &[Lease]) {
    let positions = positions(leases);
    assert!(
        positions.is_sorted_by(|one, next| one < next),
        "{positions:?}"
    );
}

/// That two leases are the same but for their progress.
pub(super) fn assert_same_delivery(one: &Lease, other: &Lease) {
    assert_eq!(one.key(), other.key());
    assert_eq!(one.delivery_id(), other.delivery_id());
    assert_eq!(one.recipients, other.recipients);
}

fn recipient(user: UserId) -> Recipient {
    Recipient { user, target: 0 }
}

fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn record(n: u128) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(&format!("user{n}")).unwrap(),
        address: Address::parse(&format!("channel{n}")).unwrap(),
        token: Some(Token::parse(&format!("token{n}")).unwrap()),
        destinations: None,
    }
}
