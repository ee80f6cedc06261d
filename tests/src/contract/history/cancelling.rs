//! What cancelling promises: what has not been sent never is.

use common::{
    AlertId,
    Severity::{High, Normal},
};
use consumer::domain::Outcome;
use producer::ports::{Cancelled, DeliveryState};

use super::{
    HistoryUnderTest,
    rig::{Rig, dead, settlement, waiting},
};

pub async fn what_is_cancelled_is_never_received<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let first = rig.accept(Normal, &[0, 1]).await;
    let other = rig.accept(Normal, &[0]).await;
    assert_eq!(rig.cancel(first.id).await, 2);
    let come = rig.receive_all().await.leases;
    assert_eq!(come.len(), 1);
    assert_eq!(come[0].alert.id, other.id);
    assert_eq!(rig.states(&first).await, [DeliveryState::Cancelled; 2]);
    let record = rig.record(&first, 0).await;
    assert_eq!(record.withdrawn_at, Some(first.accepted_at));
}

pub async fn what_is_cancelled_is_never_received_after_a_restart_either<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.accept(High, &[0, 1]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], waiting()).await;
    assert_eq!(rig.cancel(alert.id).await, 2);
    let rig = rig.restart().await;
    rig.assert_nothing_comes().await;
    assert_eq!(rig.states(&alert).await, [DeliveryState::Cancelled; 2]);
}

pub async fn what_was_received_and_is_cancelled_is_told_of<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.accept(Normal, &[0, 1]).await;
    let come = rig.receive_all().await.leases;
    assert_eq!(rig.cancel(alert.id).await, 2);
    let told = rig.receive_all().await.cancelled;
    let keys: Vec<_> = come.iter().map(|lease| lease.key()).collect();
    assert_eq!(told, keys);
    // What the consumer had decided before it was told changes nothing.
    rig.settle_untried(&[&come[0], &come[1]], Outcome::Parked)
        .await;
    assert_eq!(rig.states(&alert).await, [DeliveryState::Cancelled; 2]);
    let rig = rig.restart().await;
    rig.assert_nothing_comes().await;
}

pub async fn what_has_ended_is_not_cancelled<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let alert = rig.accept(Normal, &[0, 1, 2]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    rig.settle(&[&come[1]], dead("x")).await;
    assert_eq!(rig.cancel(alert.id).await, 1);
    use DeliveryState::{Cancelled, Dead, Delivered};
    assert_eq!(rig.states(&alert).await, [Delivered, Dead, Cancelled]);
}

pub async fn cancelling_again_cancels_nothing_and_an_unknown_alert_is_unknown<
    S: HistoryUnderTest,
>() {
    let rig = Rig::<S>::with_users(1).await;
    let alert = rig.accept(Normal, &[0]).await;
    assert_eq!(rig.cancel(alert.id).await, 1);
    assert_eq!(rig.cancel(alert.id).await, 0);
    let nobody = rig.accept(Normal, &[]).await;
    assert_eq!(rig.cancel(nobody.id).await, 0);
    let unknown = rig
        .control()
        .await
        .cancel(AlertId::at(alert.accepted_at))
        .await;
    assert_eq!(unknown, Ok(None));
}

pub async fn what_waits_or_is_parked_is_cancelled<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let alert = rig.accept(Normal, &[0, 1, 2]).await;
    let come = rig.receive_all().await.leases;
    rig.settle(&[&come[0]], waiting()).await;
    rig.settle(&[&come[1]], Outcome::PartSent).await;
    rig.settle_untried(&[&come[2]], Outcome::Parked).await;
    assert_eq!(rig.cancel(alert.id).await, 3);
    let lane = come[2].key();
    let deliveries = &rig.ports.queue.deliveries;
    let parked = deliveries.unpark(lane.destination, lane.severity, None, 10);
    assert_eq!(parked.await.unwrap().len(), 0);
    assert_eq!(rig.record(&alert, 0).await.next_attempt_at, None);
    assert_eq!(rig.record(&alert, 0).await.attempts.len(), 1);
    let rig = rig.restart().await;
    assert_eq!(rig.ports.queue.deliveries.parked().await.unwrap(), []);
    rig.assert_nothing_comes().await;
}

pub async fn a_request_under_way_is_delivered_where_the_service_takes_it<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2).await;
    let alert = rig.accept(Normal, &[0, 1]).await;
    let come = rig.receive_all().await.leases;
    rig.ports.queue.deliveries.begins(come[0].key());
    let cancelled = rig.control().await.cancel(alert.id).await.unwrap();
    let expected = match S::TELLS_OF_REQUESTS {
        true => Cancelled::Done {
            cancelled: 1,
            sending: 1,
        },
        false => Cancelled::Requested { deliveries: 2 },
    };
    assert_eq!(cancelled, Some(expected));
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    use DeliveryState::{Cancelled as Is, Delivered};
    assert_eq!(rig.states(&alert).await, [Delivered, Is]);
    assert_eq!(rig.record(&alert, 0).await.attempts.len(), 1);
    // And that is the last word.
    rig.settle(&[&come[0]], Outcome::Cancelled).await;
    assert_eq!(rig.states(&alert).await, [Delivered, Is]);
    let rig = rig.restart().await;
    rig.assert_nothing_comes().await;
}

pub async fn a_request_under_way_stays_cancelled_where_the_service_does_not_take_it<
    S: HistoryUnderTest,
>() {
    let rig = Rig::<S>::with_users(1).await;
    // Decided before the consumer was told, and after.
    for outcome in [waiting(), Outcome::Cancelled] {
        let alert = rig.accept(Normal, &[0]).await;
        let come = rig.receive_all().await.leases;
        rig.ports.queue.deliveries.begins(come[0].key());
        rig.cancel(alert.id).await;
        let settled = settlement(&come[0], 1, outcome);
        for _ in 0..2 {
            let again = vec![settled.clone()];
            rig.ports.queue.deliveries.settle(again).await.unwrap();
        }
        assert_eq!(rig.states(&alert).await, [DeliveryState::Cancelled]);
        let attempts = rig.record(&alert, 0).await.attempts;
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].status, settled.attempt.unwrap().status);
    }
}

pub async fn an_alert_to_many_is_cancelled_whole<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(2_500).await;
    let everybody: Vec<_> = (0..2_500).collect();
    let alert = rig.accept(Normal, &everybody).await;
    let received = rig.ports.queue.deliveries.receive(1_200).await.unwrap();
    drop(received);
    assert_eq!(rig.cancel(alert.id).await, 2_500);
    rig.assert_nothing_comes().await;
    let summary = rig.detail(&alert).await.summary;
    assert_eq!(summary.states.of(DeliveryState::Cancelled), 2_500);
}
