//! What the history tells of digests, and what cancelling and replaying mean there.

use std::sync::Arc;

use common::{Alert, Severity::Normal};
use consumer::domain::{Digest, DigestId, Lease, Outcome, Settlement, Unfolded};
use producer::ports::{DeadLetterFilter, DeliveryRecord, DeliveryState, Happening};

use super::{
    HistoryUnderTest,
    rig::{Rig, dead, waiting},
};

/// Three alerts to one user, and their deliveries as they were received.
async fn three<S: HistoryUnderTest>(rig: &Rig<S>) -> (Vec<Arc<Alert>>, Vec<Lease>) {
    let mut alerts = vec![];
    for _ in 0..3 {
        alerts.push(rig.accept(Normal, &[0]).await);
    }
    let leases = rig.receive_all().await.leases;
    assert_eq!(leases.len(), 3);
    (alerts, leases)
}

/// Folds `leases`, the first in the lead.
async fn fold<S: HistoryUnderTest>(rig: &Rig<S>, leases: &[Lease]) -> (DigestId, Vec<Unfolded>) {
    let members: Box<[_]> = leases.iter().map(Lease::key).collect();
    let text = "[normal]\n• node1 down";
    let digest = Digest {
        id: DigestId::of(leases[0].delivery_id(), text, &members),
        text: text.into(),
        members: [0, leases.len() as u32, 0],
    };
    let id = digest.id;
    let settlement = Settlement {
        lease: leases[0].key(),
        attempt: None,
        parts_sent: 0,
        outcome: Outcome::Folded {
            digest: Arc::new(digest),
            members,
        },
    };
    let unfolded = rig.ports.queue.deliveries.settle(vec![settlement]).await;
    (id, unfolded.unwrap())
}

/// A new store with three alerts in one digest.
async fn folded<S: HistoryUnderTest>() -> (Rig<S>, Vec<Arc<Alert>>, Vec<Lease>, DigestId) {
    let rig = Rig::<S>::with_users(1).await;
    let (alerts, leases) = three(&rig).await;
    let (id, unfolded) = fold(&rig, &leases).await;
    assert_eq!(unfolded, []);
    (rig, alerts, leases, id)
}

async fn records<S: HistoryUnderTest>(rig: &Rig<S>, alerts: &[Arc<Alert>]) -> Vec<DeliveryRecord> {
    let mut records = vec![];
    for alert in alerts {
        records.push(rig.record(alert, 0).await);
    }
    records
}

pub async fn a_digested_delivery_tells_of_its_digest_and_of_its_attempts<S: HistoryUnderTest>() {
    let (rig, alerts, mut leases, id) = folded::<S>().await;
    use DeliveryState::{Delivered, Digested, Queued, Waiting};
    let steps = [
        (None, Queued, 0),
        (Some(waiting()), Waiting, 1),
        (Some(Outcome::Delivered), Delivered, 2),
    ];
    for (outcome, state, attempts) in steps {
        if let Some(outcome) = outcome {
            rig.settle(&[&leases[0]], outcome).await;
            leases[0].progress.attempts += 1;
        }
        for record in records(&rig, &alerts).await {
            let digest = record.digest.unwrap();
            assert_eq!((digest.id, digest.deliveries), (id.0, Some(3)));
            assert_eq!((record.state, digest.state), (Digested, state));
            assert_eq!(record.attempts.len(), attempts);
            assert_eq!(record.next_attempt_at.is_some(), state == Waiting);
        }
        let counts = rig.detail(&alerts[1]).await.summary.states;
        assert_eq!(counts.of(Digested), 1);
    }
}

pub async fn a_digest_under_way_is_told_as_sending<S: HistoryUnderTest>() {
    let (rig, alerts, leases, _) = folded::<S>().await;
    rig.ports.queue.deliveries.begins(leases[0].key());
    for record in records(&rig, &alerts).await {
        assert_eq!(record.state, DeliveryState::Digested);
        let expected = match S::TELLS_OF_REQUESTS {
            true => DeliveryState::Sending,
            false => DeliveryState::Queued,
        };
        assert_eq!(record.digest.unwrap().state, expected);
    }
}

pub async fn a_dead_digest_leaves_its_members_dead_and_each_is_replayed_alone<
    S: HistoryUnderTest,
>() {
    let (rig, alerts, leases, id) = folded::<S>().await;
    rig.settle(&[&leases[0]], dead("channel_not_found")).await;
    for record in records(&rig, &alerts).await {
        assert_eq!(record.state, DeliveryState::Dead);
        assert_eq!(record.reason.as_deref(), Some("channel_not_found"));
        assert_eq!(
            (record.digest.unwrap().id, record.attempts.len()),
            (id.0, 1)
        );
    }
    assert_eq!(rig.dead(DeadLetterFilter::default()).await.len(), 3);
    for place in [1, 0] {
        let delivery = rig.id(&alerts[place], 0);
        rig.control().await.replay_one(delivery).await.unwrap();
        let come = rig.receive_all().await.leases;
        assert_eq!(come.len(), 1);
        assert_eq!(come[0].alert.id, alerts[place].id);
        assert_eq!(come[0].digest, None);
        rig.settle(&[&come[0]], Outcome::Delivered).await;
        let record = rig.record(&alerts[place], 0).await;
        assert_eq!(
            (record.state, record.digest),
            (DeliveryState::Delivered, None)
        );
    }
    assert_eq!(
        rig.dead(DeadLetterFilter::default()).await,
        [rig.id(&alerts[2], 0)]
    );
}

pub async fn a_digested_delivery_is_replayed_alone_and_the_others_keep_their_record<
    S: HistoryUnderTest,
>() {
    let (rig, alerts, leases, id) = folded::<S>().await;
    rig.settle(&[&leases[0]], Outcome::Delivered).await;
    // The one in the lead holds the digest's attempts.
    let lead = rig.id(&alerts[0], 0);
    rig.control().await.replay_one(lead).await.unwrap();
    let come = rig.receive_all().await.leases;
    assert_eq!((come.len(), &come[0].digest), (1, &None));
    rig.clock.advance(std::time::Duration::from_secs(1));
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    let record = rig.record(&alerts[0], 0).await;
    assert!(record.repeated);
    assert_eq!(record.state, DeliveryState::Delivered);
    for record in records(&rig, &alerts[1..]).await {
        assert_eq!(record.state, DeliveryState::Digested);
        let digest = record.digest.unwrap();
        assert_eq!((digest.id, digest.state), (id.0, DeliveryState::Delivered));
    }
}

pub async fn what_a_digest_carries_is_neither_cancelled_nor_replayed<S: HistoryUnderTest>() {
    let (rig, alerts, leases, _) = folded::<S>().await;
    for alert in &alerts {
        assert_eq!(rig.cancel(alert.id).await, 0);
        let replayed = rig.control().await.replay_one(rig.id(alert, 0)).await;
        assert_eq!(replayed, Err(producer::ports::ReplayError::OnItsWay));
    }
    rig.settle(&[&leases[0]], Outcome::Delivered).await;
    for record in records(&rig, &alerts).await {
        assert_eq!(record.state, DeliveryState::Digested);
    }
}

pub async fn a_fold_is_not_made_of_what_was_cancelled_meanwhile_and_the_rest_is_parked<
    S: HistoryUnderTest,
>() {
    for cancelled in 0..3 {
        let rig = Rig::<S>::with_users(1).await;
        let (alerts, leases) = three(&rig).await;
        let alert = alerts[cancelled].id;
        rig.cancel(alert).await;
        let expected = Unfolded {
            lead: leases[0].key(),
            parked: [0, 2, 0],
        };
        // A repeated call says the same.
        for _ in 0..2 {
            let (_, unfolded) = fold(&rig, &leases).await;
            assert_eq!(unfolded, [expected]);
        }
        let mut states = [DeliveryState::Queued; 3];
        states[cancelled] = DeliveryState::Cancelled;
        let found = records(&rig, &alerts).await;
        let found: Vec<_> = found.iter().map(|one| (one.state, one.digest)).collect();
        assert_eq!(found, states.map(|state| (state, None)));
        let rig = rig.restart().await;
        let lane = leases[0].destination.id;
        let parked = rig.ports.queue.deliveries.unpark(lane, Normal, None, 10);
        let parked = parked.await.unwrap();
        let parked: Vec<_> = parked.iter().map(|lease| lease.alert.id).collect();
        let rest = alerts.iter().map(|one| one.id);
        assert_eq!(parked, rest.filter(|id| *id != alert).collect::<Vec<_>>());
        rig.assert_nothing_comes().await;
    }
}

pub async fn folding_and_the_digests_end_are_told_of_each_that_it_carries<S: HistoryUnderTest>() {
    let (rig, alerts, leases, _) = folded::<S>().await;
    let start = rig.history().await.now();
    rig.settle(&[&leases[0]], Outcome::Delivered).await;
    let events = rig.events(start, 100).await;
    let mut told: Vec<_> = events
        .items
        .iter()
        .map(|event| match event.happening {
            Happening::Delivery { state, .. } => (event.alert.id, state),
            Happening::Accepted { .. } => panic!("nothing was accepted"),
        })
        .collect();
    told.sort();
    let mut expected: Vec<_> = alerts
        .iter()
        .map(|alert| (alert.id, DeliveryState::Delivered))
        .collect();
    expected.sort();
    assert_eq!(told, expected);
    let all = rig.events(producer::ports::EventId::default(), 100).await;
    let digested = all.items.iter().filter(|event| {
        matches!(
            event.happening,
            Happening::Delivery {
                state: DeliveryState::Digested,
                ..
            }
        )
    });
    assert_eq!(digested.count(), 3);
}
