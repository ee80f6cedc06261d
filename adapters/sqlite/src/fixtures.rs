//! Stores, clocks and alerts for tests.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use common::{
    AcceptedAlert, Alert, AlertId, ChannelKind, Clock, Credential, CredentialId, Delivery,
    Destination, Gtid, Now, Recipient, Recipients, Secret, Severity, UserId, UtcMillis,
};
use consumer::domain::{Attempt, AttemptResult, Lease, LeaseKey, Outcome, Position, Settlement};
use producer::domain::{Address, Command, Token, UserName, UserRecord};
use uuid::Uuid;

use crate::{Settings, Synchronous};

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub(crate) struct FakeClock(AtomicI64);

impl FakeClock {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) fn utc(&self) -> UtcMillis {
        UtcMillis(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Now {
        Now {
            mono: Duration::ZERO,
            utc: self.utc(),
        }
    }
}

pub(crate) fn settings(path: &Path) -> Settings {
    Settings {
        path: path.into(),
        retention: 7 * DAY,
        history_max_bytes: 1 << 30,
        synchronous: Synchronous::Full,
        secret_key: None,
        scrub_large: false,
    }
}

pub(crate) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(crate) fn record(n: u128, channel: &str, token: &str) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(&format!("user{n}")).unwrap(),
        address: Address::parse(channel).unwrap(),
        token: Some(Token::parse(token).unwrap()),
        destinations: None,
    }
}

pub(crate) fn put_user(n: u128, channel: &str, token: &str) -> Command {
    Command::PutUser(record(n, channel, token))
}

/// A delivery to channel `n` of user `n`, whether or not there is such a user.
pub(crate) fn delivery(n: u128, credential: i64) -> Delivery {
    let destination = Destination::new(ChannelKind::SLACK, "", &format!("channel{n}"));
    Delivery {
        destination: Arc::new(destination),
        credential: Arc::new(Credential {
            id: CredentialId(credential),
            secret: Secret::new("a token"),
        }),
        recipients: Recipients::from_elem(recipient(n), 1),
    }
}

pub(crate) fn recipient(n: u128) -> Recipient {
    Recipient {
        user: user_id(n),
        target: 0,
    }
}

pub(crate) fn alert(
    severity: Severity,
    accepted_at: UtcMillis,
    deliveries: Vec<Delivery>,
) -> AcceptedAlert {
    let alert = Arc::new(Alert {
        id: AlertId::generate(),
        caller: None,
        gtid: Gtid::random(),
        severity,
        message: "node1 down".into(),
        verbatim: false,
        targets: ["@all".into()].into(),
        accepted_at,
    });
    AcceptedAlert { alert, deliveries }
}

/// The outcome of a delivery of that place in a normal alert.
pub(crate) fn settlement(sequence: u64, ordinal: u32, outcome: Outcome) -> Settlement {
    let destination = Destination::new(ChannelKind::SLACK, "", "channel0").id;
    Settlement {
        lease: LeaseKey {
            position: Position { sequence, ordinal },
            destination,
            severity: Severity::Normal,
        },
        attempt: Some(attempt(1)),
        parts_sent: 0,
        outcome,
    }
}

pub(crate) fn settlement_of(lease: &Lease, outcome: Outcome) -> Settlement {
    Settlement {
        lease: lease.key(),
        attempt: None,
        parts_sent: 0,
        outcome,
    }
}

pub(crate) fn attempt(number: u32) -> Attempt {
    Attempt {
        number,
        started_at: UtcMillis(i64::from(number)),
        took: Duration::from_micros(5),
        result: AttemptResult::Refused,
        status: Some(500),
        error: Some(format!("error{number}")),
        provider_id: None,
    }
}

pub(crate) fn dead() -> Outcome {
    let reason = "channel_not_found".to_owned();
    Outcome::Dead { reason }
}
