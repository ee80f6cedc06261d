//! What the feed of events promises.

use common::Severity::Normal;
use consumer::domain::Outcome;
use producer::ports::{DeliveryState, Event, EventId, Happening};

use super::{
    HistoryUnderTest,
    rig::{Rig, dead, waiting},
};

fn state(event: &Event) -> Option<DeliveryState> {
    match &event.happening {
        Happening::Accepted { .. } => None,
        Happening::Delivery { state, .. } => Some(*state),
    }
}

pub async fn what_happens_is_told_in_order<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(3).await;
    let start = rig.history().await.now();
    let alert = rig.accept(Normal, &[0, 1, 2]).await;
    let come = rig.ports.queue.deliveries.receive(10).await.unwrap();
    drop(come);
    let come = rig.ports.queue.deliveries.receive(10);
    let consumer::ports::Received::Leases(come) = come.await.unwrap() else {
        panic!("leases come once the queue has caught up");
    };
    rig.settle(&[&come[0]], waiting()).await;
    rig.settle(&[&come[0]], Outcome::Delivered).await;
    rig.settle(&[&come[1]], dead("x")).await;
    rig.cancel(alert.id).await;
    rig.control()
        .await
        .replay_one(rig.id(&alert, 1))
        .await
        .unwrap();
    let events = rig.events(start, 100).await;
    assert!(!events.gap);
    use DeliveryState::{Cancelled, Dead, Delivered, Queued, Waiting};
    let states: Vec<_> = events.items.iter().map(state).collect();
    let expected = [Waiting, Delivered, Dead, Cancelled, Queued].map(Some);
    assert_eq!(states[0], None);
    assert_eq!(states[1..], expected);
    assert!(events.items.is_sorted_by_key(|event| event.id));
    assert!(events.items.iter().all(|event| event.alert.id == alert.id));
    assert_eq!(events.next, events.items[5].id);
    let Happening::Delivery { id, .. } = events.items[1].happening else {
        panic!("the second is a delivery");
    };
    assert_eq!(id, rig.id(&alert, 0));
}

pub async fn what_happens_later_wakes_who_waits<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let history = rig.ports.history.clone();
    let start = history.now();
    let waiting = tokio::spawn(async move { history.events(start, 10).await.unwrap() });
    let alert = rig.accept(Normal, &[0]).await;
    let events = waiting.await.unwrap();
    assert_eq!(events.items[0].alert.id, alert.id);
}

pub async fn events_go_on_after_any_of_them_after_a_restart_too<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    let start = rig.history().await.now();
    for _ in 0..5 {
        rig.accept(Normal, &[0]).await;
    }
    let mut all = vec![];
    let mut after = start;
    while all.len() < 5 {
        let events = rig.events(after, 2).await;
        assert!(events.items.len() <= 2);
        all.extend(events.items);
        after = events.next;
    }
    let rig = rig.restart().await;
    for (place, event) in all.iter().enumerate().take(4) {
        let events = rig.events(event.id, 100).await;
        assert!(!events.gap);
        let later: Vec<_> = events.items.iter().map(|event| event.id).collect();
        let expected: Vec<_> = all[place + 1..].iter().map(|event| event.id).collect();
        assert_eq!(later, expected);
    }
    assert!(rig.history().await.now() >= all[4].id);
}

pub async fn an_event_from_elsewhere_is_a_gap<S: HistoryUnderTest>() {
    let rig = Rig::<S>::with_users(1).await;
    rig.accept(Normal, &[0]).await;
    let events = rig.events(EventId::end_of(1_000_000), 10).await;
    assert!(events.gap && events.items.is_empty());
    assert_eq!(events.next, rig.history().await.now());
}

pub async fn alerts_and_outcomes_are_told_in_one_order_wherever_reading_begins<
    S: HistoryUnderTest,
>() {
    let rig = Rig::<S>::with_users(1).await;
    let start = rig.history().await.now();
    let mut ids = vec![start];
    for _ in 0..3 {
        rig.accept(Normal, &[0]).await;
        ids.push(rig.history().await.now());
        rig.accept(Normal, &[0]).await;
        let come = rig.receive_all().await.leases;
        for lease in &come {
            rig.settle(&[lease], Outcome::Delivered).await;
            ids.push(rig.history().await.now());
        }
    }
    let all = rig.events(start, 1_000).await;
    assert!(!all.gap);
    assert!(all.items.is_sorted_by(|one, next| one.id < next.id));
    let of = |alert| all.items.iter().filter(move |one| one.alert.id == alert);
    for event in &all.items {
        let told: Vec<_> = of(event.alert.id).map(state).collect();
        assert_eq!(told, [None, Some(DeliveryState::Delivered)]);
    }
    for (place, known) in all.items.iter().enumerate() {
        for room in [1, 2, 100] {
            if place + 1 == all.items.len() {
                break;
            }
            let rest = rig.events(known.id, room).await;
            let rest: Vec<_> = rest.items.iter().map(|event| event.id).collect();
            let expected = all.items[place + 1..].iter().map(|event| event.id);
            assert_eq!(rest, expected.take(rest.len()).collect::<Vec<_>>());
            assert!(!rest.is_empty() && rest.len() <= room);
        }
    }
    assert!(ids.is_sorted());
    assert!(rig.history().await.now() >= all.items.last().unwrap().id);
}
