//! What the records of alerts and deliveries promise.

use common::{AlertId, CredentialId, DeliveryId, DestinationId, Severity::Normal};
use consumer::domain::Outcome;
use producer::ports::{AttemptResult, DeliveryState};

use super::{
    HistoryUnderTest, ManualClock,
    rig::{Rig, dead, user_id, waiting},
};

pub async fn an_alert_is_found_by_its_id_with_all_it_was_accepted_with<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    rig.accept(Normal, &[0]).await;
    let alert = rig.accept(Normal, &[1, 0]).await;
    rig.accept(Normal, &[0]).await;
    let detail = rig.detail(&alert).await;
    let found = &detail.summary.alert;
    assert_eq!((found.id, &found.gtid), (alert.id, &alert.gtid));
    assert_eq!(found.accepted_at, alert.accepted_at);
    assert_eq!((detail.summary.user_count, detail.next), (2, None));
    let first = &detail.deliveries[0];
    assert_eq!(first.id, rig.id(&alert, 1));
    assert_eq!(first.recipients[0].user, user_id(1));
    assert_eq!(*first.destination.address, *"channel1");
}

pub async fn an_unknown_id_is_not_found<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let known = rig.accept(Normal, &[0]).await;
    for id in [AlertId::at(known.accepted_at), AlertId(uuid::Uuid::nil())] {
        let found = rig.history().await.alert(id, 0, 10).await.unwrap();
        assert!(found.is_none());
        let delivery = DeliveryId::of(id, DestinationId(1), CredentialId(1));
        let found = rig.history().await.delivery(delivery).await.unwrap();
        assert!(found.is_none());
    }
}

pub async fn a_delivery_is_found_by_its_id<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let alert = rig.accept(Normal, &[0, 1, 2]).await;
    let found = rig.history().await.delivery(rig.id(&alert, 2)).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.alert.id, alert.id);
    assert_eq!(found.delivery.recipients[0].user, user_id(2));
}

pub async fn each_state_is_told<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(6).await;
    let alert = rig.accept(Normal, &[0, 1, 2, 3, 4, 5]).await;
    let come = rig.receive_all().await.leases;
    let come: Vec<_> = come.iter().collect();
    rig.settle(&come[..1], Outcome::Delivered).await;
    rig.settle(&come[1..2], dead("channel_not_found")).await;
    rig.settle(&come[2..3], waiting()).await;
    rig.settle(&come[3..4], Outcome::PartSent).await;
    rig.settle_untried(&come[4..5], Outcome::Parked).await;
    use DeliveryState::{Dead, Delivered, Queued, Sending, Waiting};
    let expected = [Delivered, Dead, Waiting, Sending, Queued, Queued];
    assert_eq!(rig.states(&alert).await, expected);
    let detail = rig.detail(&alert).await;
    for state in DeliveryState::ALL {
        let count = expected.iter().filter(|one| **one == state).count();
        assert_eq!(detail.summary.states.of(state), count as u64, "{state:?}");
    }
    assert_eq!(
        detail.deliveries[1].reason.as_deref(),
        Some("channel_not_found")
    );
    let until = ManualClock::BEGINNING.0 + 60_000;
    let next = detail.deliveries[2].next_attempt_at;
    assert_eq!(next.map(|next| next.0), Some(until));
    assert_eq!(detail.deliveries[0].next_attempt_at, None);
}

pub async fn every_attempt_is_told_with_how_it_ended<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.accept(Normal, &[0]).await;
    let mut lease = rig.receive_all().await.leases.remove(0);
    for outcome in [waiting(), waiting(), Outcome::Delivered] {
        rig.settle(&[&lease], outcome).await;
        lease.progress.attempts += 1;
        let attempts = rig.record(&alert, 0).await.attempts;
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
        let expected: Vec<_> = (1..=lease.progress.attempts).collect();
        assert_eq!(numbers, expected);
    }
    let attempts = rig.record(&alert, 0).await.attempts;
    assert_eq!(attempts[0].result, AttemptResult::Refused);
    assert_eq!(attempts[0].status, Some(500));
    assert_eq!(attempts[0].error.as_deref(), Some("internal_error"));
    assert_eq!(attempts[2].result, AttemptResult::Accepted);
    assert_eq!(
        attempts[2].provider_id.as_deref(),
        Some("1503435956.000247")
    );
    assert_eq!(attempts[2].started_at, ManualClock::BEGINNING);
    assert_eq!(attempts[2].took.as_micros(), 7_250);
}

pub async fn the_deliveries_of_an_alert_come_in_pages<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(5).await;
    let alert = rig.accept(Normal, &[0, 1, 2, 3, 4]).await;
    let mut seen = vec![];
    let mut from = Some(0);
    while let Some(next) = from {
        let page = rig.history().await.alert(alert.id, next, 2).await;
        let page = page.unwrap().unwrap();
        assert_eq!(page.summary.user_count, 5);
        seen.extend(page.deliveries.iter().map(|delivery| delivery.id));
        from = page.next;
    }
    let expected: Vec<_> = (0..5).map(|user| rig.id(&alert, user)).collect();
    assert_eq!(seen, expected);
}

pub async fn a_request_under_way_is_told_until_its_end<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.accept(Normal, &[0, 1]).await;
    let come = rig.receive_all().await.leases;
    rig.ports.queue.deliveries.begins(come[0].key());
    use DeliveryState::{Delivered, Queued, Sending};
    let under_way = match S::TELLS_OF_REQUESTS {
        true => Sending,
        false => Queued,
    };
    assert_eq!(rig.states(&alert).await, [under_way, Queued]);
    let counts = rig.detail(&alert).await.summary.states;
    assert_eq!(counts.of(Sending), u64::from(S::TELLS_OF_REQUESTS));
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    assert_eq!(rig.states(&alert).await, [Delivered, Queued]);
}
