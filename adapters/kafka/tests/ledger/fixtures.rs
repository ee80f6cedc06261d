//! Deliveries and settlements for tests.

use std::{sync::Arc, time::Duration};

use common::{
    Alert, AlertId, ChannelKind, Credential, CredentialId, Destination, Gtid, Recipients, Secret,
    Severity, UtcMillis,
};
use consumer::domain::{
    Attempt, AttemptResult, Digest, DigestId, Fault, Lease, LeaseKey, Outcome, Position, Progress,
    Settlement, Wait,
};
use kafka::lanes::ledger::Next;

use crate::log::{Log, Owner};

const NOW: UtcMillis = UtcMillis(1_800_000_000_000);

pub(crate) fn lease(sequence: u64, ordinal: u32, severity: Severity, address: &str) -> Lease {
    Lease {
        position: Position { sequence, ordinal },
        alert: Arc::new(Alert {
            id: AlertId(Default::default()),
            caller: None,
            gtid: Gtid::parse("request-1").unwrap(),
            severity,
            message: format!("message {sequence}").into(),
            verbatim: false,
            targets: Box::default(),
            accepted_at: NOW,
        }),
        accepted_as: None,
        destination: Arc::new(Destination::new(ChannelKind::SLACK, "", address)),
        credential: Arc::new(Credential {
            id: CredentialId(i64::from(ordinal)),
            secret: Secret::new("token"),
        }),
        recipients: Recipients::new(),
        progress: Progress::default(),
        digest: None,
    }
}

/// That many normal deliveries to one destination, published.
pub(crate) fn published(log: &mut Log, count: u64) -> Vec<Lease> {
    let leases = (0..count).map(|n| lease(n, 0, Severity::Normal, "a"));
    let leases: Vec<_> = leases.collect();
    leases.iter().for_each(|lease| log.publish(lease));
    leases
}

/// An owner, and what it was handed at once.
pub(crate) fn begun(log: &Log) -> (Owner, Vec<Lease>) {
    let mut owner = Owner::begin(log);
    let (leases, _) = owner.receive_all(log);
    (owner, leases)
}

pub(crate) fn settled(lease: &Lease, attempt: Option<u32>, outcome: Outcome) -> Settlement {
    Settlement {
        lease: lease.key(),
        attempt: attempt.map(|number| Attempt {
            number,
            started_at: NOW,
            took: Duration::from_millis(7),
            result: AttemptResult::Refused,
            status: None,
            error: None,
            provider_id: None,
        }),
        parts_sent: 0,
        outcome,
    }
}

pub(crate) fn delivered(lease: &Lease) -> Settlement {
    settled(lease, Some(1), Outcome::Delivered)
}

pub(crate) fn waiting(lease: &Lease) -> Settlement {
    settled(lease, Some(1), Outcome::Waiting(wait()))
}

pub(crate) fn parked(lease: &Lease) -> Settlement {
    settled(lease, None, Outcome::Parked)
}

pub(crate) fn wait() -> Wait {
    Wait {
        until: NOW,
        fault: Fault::Destination,
        asked: true,
    }
}

/// A digest of `leases`, led by the first.
pub(crate) fn folded(leases: &[Lease]) -> Settlement {
    let text = "[normal] many";
    let mut members = [0; 3];
    for lease in leases {
        members[usize::from(lease.alert.severity.code())] += 1;
    }
    let keys: Vec<LeaseKey> = leases.iter().map(Lease::key).collect();
    let digest = Arc::new(Digest {
        id: DigestId::of(leases[0].delivery_id(), text, &keys),
        text: text.into(),
        members,
    });
    let members = keys.into();
    settled(&leases[0], None, Outcome::Folded { digest, members })
}

pub(crate) fn sequences<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> Vec<u64> {
    let leases = leases.into_iter();
    leases.map(|lease| lease.position.sequence).collect()
}

/// What is parked, as the consumer would fetch it.
pub(crate) fn fetched(owner: &Owner) -> Vec<u64> {
    let lanes = owner.ledger.parked();
    let mut all: Vec<_> = lanes
        .iter()
        .flat_map(|lane| owner.unpark(lane.destination, lane.severity, None, 1_000))
        .map(|lease| lease.position.sequence)
        .collect();
    all.sort_unstable();
    all
}

/// The cancelled that the consumer is told of next.
pub(crate) fn told(owner: &mut Owner) -> Vec<u64> {
    match owner.ledger.next(10) {
        Next::Cancelled(keys) => keys.iter().map(|key| key.position.sequence).collect(),
        other => panic!("{other:?}"),
    }
}
