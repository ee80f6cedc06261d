//! What the history's behaviours are shown with.

use std::{sync::Arc, time::Duration};

use common::{
    AcceptedAlert, Alert, AlertId, Clock, Delivery, DeliveryId, Gtid, Recipient, Recipients,
    Severity, UserId,
};
use consumer::{
    domain::{Attempt, AttemptResult, Lease, LeaseKey, Outcome, Settlement},
    ports::Received,
};
use producer::{
    domain::{Address, Caller, Command, Token, User, UserName, UserRecord},
    ports::{
        Acceptance, AlertDetail, AlertFilter, AlertPage, Cancelled, Control, DeadLetterFilter,
        DeliveryRecord, DeliveryState, EventId, Events, History, Mode,
    },
};
use uuid::Uuid;

use super::{HistoryPorts, HistoryUnderTest, ManualClock};

/// Longer than anything here takes: what has not come by then never will.
const HANG: Duration = Duration::from_secs(120);

/// A store under test with users to deliver to, numbered from 0.
pub(super) struct Rig<S> {
    store: S,
    pub(super) ports: HistoryPorts,
    pub(super) clock: Arc<ManualClock>,
    pub(super) users: Vec<Arc<User>>,
}

/// What came of receiving.
#[derive(Default)]
pub(super) struct Come {
    pub(super) leases: Vec<Lease>,
    pub(super) cancelled: Vec<LeaseKey>,
}

impl<S: HistoryUnderTest> Rig<S> {
    /// A new store and that many users, each on a channel of their own.
    pub(super) async fn with_users(count: u128) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = S::open(clock.clone()).await;
        let ports = store.ports();
        let mut rig = Self {
            store,
            ports,
            clock,
            users: vec![],
        };
        let records = (0..count).map(|n| Command::CreateUser(record(n, "token")));
        rig.change(records.collect()).await;
        let directory = rig.ports.queue.directory.snapshot();
        let users = (0..count).map(|n| directory.user(user_id(n)).unwrap().clone());
        rig.users = users.collect();
        rig
    }

    pub(super) async fn change(&self, commands: Vec<Command>) {
        let executed = self
            .ports
            .queue
            .directory
            .execute(commands, Mode::Commit, &Caller::LOCAL);
        executed.await.unwrap();
    }

    /// The history, once all that was done is on record.
    pub(super) async fn history(&self) -> &dyn History {
        self.store.caught_up().await;
        &*self.ports.history
    }

    /// The control, once all that was done is on record.
    pub(super) async fn control(&self) -> &dyn Control {
        self.store.caught_up().await;
        &*self.ports.control
    }

    /// Cancels what is left of an alert; says how much that is.
    pub(super) async fn cancel(&self, alert: AlertId) -> usize {
        let cancelled = self.control().await.cancel(alert).await;
        match cancelled.unwrap().unwrap() {
            Cancelled::Done { cancelled, sending } => cancelled + sending,
            Cancelled::Requested { deliveries } => deliveries,
        }
    }

    pub(super) async fn restart(self) -> Self {
        drop(self.ports);
        let store = self.store.restart().await;
        Self {
            ports: store.ports(),
            store,
            ..self
        }
    }

    /// Accepts an alert to those users.
    pub(super) async fn accept(&self, severity: Severity, users: &[usize]) -> Arc<Alert> {
        self.accept_text(severity, users, "node1 down").await
    }

    pub(super) async fn accept_text(
        &self,
        severity: Severity,
        users: &[usize],
        message: &str,
    ) -> Arc<Alert> {
        let accepted_at = self.clock.now().utc;
        let alert = Arc::new(Alert {
            id: AlertId::at(accepted_at),
            caller: None,
            gtid: Gtid::random(),
            severity,
            message: message.into(),
            verbatim: false,
            targets: ["@@operators".into(), "@all".into()].into(),
            accepted_at,
        });
        let deliveries = users.iter().map(|n| self.delivery(*n)).collect();
        let accepted = AcceptedAlert {
            alert: alert.clone(),
            deliveries,
        };
        let answer = self.ports.queue.alerts.accept(accepted, None).await;
        assert_eq!(answer, Ok(Acceptance::Accepted));
        alert
    }

    fn delivery(&self, user: usize) -> Delivery {
        let user = &self.users[user];
        Delivery {
            destination: user.destinations.first().destination.clone(),
            credential: user.destinations.first().credential.clone(),
            recipients: Recipients::from_elem(
                Recipient {
                    user: user.id,
                    target: 1,
                },
                1,
            ),
        }
    }

    /// The id of the delivery of `alert` to a user.
    pub(super) fn id(&self, alert: &Alert, user: usize) -> DeliveryId {
        self.delivery(user).id(alert.id)
    }

    /// Everything that is there to be received. It ends at a marker: an alert of
    /// low severity, accepted last, which comes after all others.
    pub(super) async fn receive_all(&self) -> Come {
        self.store.caught_up().await;
        let marker = self.accept(Severity::Low, &[0]).await;
        let mut come = Come::default();
        loop {
            let received = self.ports.queue.deliveries.receive(1_000);
            let received = tokio::time::timeout(HANG, received).await;
            match received.expect("nothing comes").unwrap() {
                Received::CaughtUp => {}
                Received::Cancelled(keys) => come.cancelled.extend(keys),
                Received::Leases(leases) => {
                    for lease in leases {
                        if lease.alert.id == marker.id {
                            self.settle(&[&lease], Outcome::Delivered).await;
                            return come;
                        }
                        come.leases.push(lease);
                    }
                }
            }
        }
    }

    pub(super) async fn assert_nothing_comes(&self) {
        let come = self.receive_all().await.leases;
        assert_eq!(come.len(), 0);
    }

    /// Records an outcome for each of `leases`, after one attempt more.
    pub(super) async fn settle(&self, leases: &[&Lease], outcome: Outcome) {
        let settlements = leases
            .iter()
            .map(|lease| settlement(lease, lease.progress.attempts + 1, outcome.clone()));
        let settlements = settlements.collect();
        self.ports
            .queue
            .deliveries
            .settle(settlements)
            .await
            .unwrap();
    }

    /// Records outcomes without an attempt.
    pub(super) async fn settle_untried(&self, leases: &[&Lease], outcome: Outcome) {
        let settlements = leases.iter().map(|lease| Settlement {
            attempt: None,
            ..settlement(lease, 0, outcome.clone())
        });
        let settlements = settlements.collect();
        self.ports
            .queue
            .deliveries
            .settle(settlements)
            .await
            .unwrap();
    }

    /// Accepts an alert to those users whose deliveries die.
    pub(super) async fn dead_letters(&self, severity: Severity, users: &[usize]) -> Arc<Alert> {
        let alert = self.accept(severity, users).await;
        let come = self.receive_all().await.leases;
        let mine: Vec<_> = come.iter().filter(|one| one.alert.id == alert.id).collect();
        assert_eq!(mine.len(), users.len());
        self.settle(&mine, dead("channel_not_found")).await;
        alert
    }

    pub(super) async fn page(&self, filter: AlertFilter) -> AlertPage {
        self.history()
            .await
            .alerts(filter, None, 1_000)
            .await
            .unwrap()
    }

    /// The ids of all that match, markers left out.
    pub(super) async fn found(&self, filter: AlertFilter) -> Vec<AlertId> {
        let page = self.page(filter).await;
        assert_eq!(page.next, None);
        page.items.iter().map(|item| item.alert.id).collect()
    }

    pub(super) async fn detail(&self, alert: &Alert) -> AlertDetail {
        let found = self.history().await.alert(alert.id, 0, 10_000).await;
        found.unwrap().unwrap()
    }

    pub(super) async fn record(&self, alert: &Alert, user: usize) -> DeliveryRecord {
        let found = self.history().await.delivery(self.id(alert, user)).await;
        found.unwrap().unwrap().delivery
    }

    pub(super) async fn states(&self, alert: &Alert) -> Vec<DeliveryState> {
        let detail = self.detail(alert).await;
        let states = detail.deliveries.iter().map(|delivery| delivery.state);
        states.collect()
    }

    /// The ids of the dead letters that match.
    pub(super) async fn dead(&self, filter: DeadLetterFilter) -> Vec<DeliveryId> {
        let page = self.history().await.dead_letters(filter, None, 1_000).await;
        let page = page.unwrap();
        assert_eq!(page.next, None);
        page.items
            .iter()
            .map(|one| one.detail.delivery.id)
            .collect()
    }

    pub(super) async fn events(&self, after: EventId, room: usize) -> Events {
        let events = self.history().await.events(after, room);
        let events = tokio::time::timeout(HANG, events).await;
        events.expect("nothing happens").unwrap()
    }
}

/// An outcome after the attempt of that number.
pub(super) fn settlement(lease: &Lease, number: u32, outcome: Outcome) -> Settlement {
    let is_taken = matches!(outcome, Outcome::Delivered | Outcome::PartSent);
    Settlement {
        lease: lease.key(),
        attempt: Some(Attempt {
            number,
            started_at: ManualClock::BEGINNING,
            took: Duration::from_micros(7_250),
            result: match is_taken {
                true => AttemptResult::Accepted,
                false => AttemptResult::Refused,
            },
            status: Some(if is_taken { 200 } else { 500 }),
            error: (!is_taken).then(|| "internal_error".to_owned()),
            provider_id: is_taken.then(|| "1503435956.000247".to_owned()),
        }),
        parts_sent: lease.progress.parts_sent + u16::from(is_taken),
        outcome,
    }
}

pub(super) fn dead(reason: &str) -> Outcome {
    let reason = reason.to_owned();
    Outcome::Dead { reason }
}

pub(super) fn waiting() -> Outcome {
    Outcome::Waiting(consumer::domain::Wait {
        until: ManualClock::BEGINNING.plus(Duration::from_secs(60)),
        fault: consumer::domain::Fault::Destination,
        asked: false,
    })
}

pub(super) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n + 1))
}

/// User `n` on channel `n`.
pub(super) fn record(n: u128, token: &str) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(&format!("user{n}")).unwrap(),
        address: Address::parse(&format!("channel{n}")).unwrap(),
        token: Some(Token::parse(&format!("{token}{n}")).unwrap()),
        destinations: None,
    }
}
