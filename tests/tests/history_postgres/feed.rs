//! What the feed of events promises beyond one producer.

use consumer::domain::Outcome;
use producer::ports::{EventId, Happening, History};

use crate::{
    recording::{accept, receive, settle},
    site::{Site, connect},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_has_the_same_id_on_each_producer_and_wakes_who_waits_there() {
    let site = Site::new().await;
    let other = connect(&site.url, &site.clock).await;
    let start = other.history.now();
    let waiting = tokio::spawn({
        let history = other.history.clone();
        async move { history.events(start, 10).await.unwrap() }
    });
    let alert = accept(&site, &[1]).await;
    site.record_new().await;
    let there = waiting.await.unwrap();
    assert_eq!(there.items[0].alert.id, alert.id);
    let here = site.store.history.events(start, 10).await.unwrap();
    assert_eq!(here.items[0].id, there.items[0].id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_on_at_another_producer_misses_nothing_although_that_one_is_behind() {
    let site = Site::new().await;
    let other = connect(&site.url, &site.clock).await;
    for _ in 0..3 {
        accept(&site, &[1]).await;
        site.record_new().await;
    }
    let events = site
        .store
        .history
        .events(EventId::default(), 2)
        .await
        .unwrap();
    let rest = other.history.events(events.next, 10).await.unwrap();
    assert!(!rest.gap);
    assert_eq!(rest.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_kept_any_more_is_a_gap() {
    let site = Site::new().await;
    for _ in 0..3 {
        accept(&site, &[1]).await;
        site.record_new().await;
    }
    site.sql("DELETE FROM feed WHERE id <= 2");
    let history = &site.store.history;
    let events = history.events(EventId::default(), 10).await.unwrap();
    assert!(events.gap);
    assert_eq!(events.items.len(), 1);
    let events = history.events(EventId::end_of(2), 10).await.unwrap();
    assert!(!events.gap);
    assert_eq!(events.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_to_many_is_told_of_in_many_answers() {
    const USERS: usize = 3_000;
    let site = Site::new().await;
    let users: Vec<u128> = (0..USERS as u128).collect();
    let alert = accept(&site, &users).await;
    for lease in receive(&site, USERS).await {
        settle(&site, &lease, 1, Outcome::Delivered).await;
    }
    site.record_new().await;
    let mut after = EventId::default();
    let mut told = 0;
    while told < 1 + USERS {
        let events = site.store.history.events(after, 100).await.unwrap();
        assert!(!events.items.is_empty() && events.items.len() <= 100);
        assert!(events.items.iter().all(|one| one.alert.id == alert.id));
        told += events.items.len();
        after = events.next;
    }
    assert_eq!(told, 1 + USERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_tells_when_it_happened_not_when_it_was_recorded() {
    let site = Site::new().await;
    let alert = accept(&site, &[1]).await;
    site.clock.advance(std::time::Duration::from_secs(5));
    let lease = receive(&site, 1).await.remove(0);
    settle(&site, &lease, 1, Outcome::Delivered).await;
    site.clock.advance(std::time::Duration::from_secs(3_600));
    site.record_new().await;
    let events = site
        .store
        .history
        .events(EventId::default(), 10)
        .await
        .unwrap();
    let [accepted, delivered] = &events.items[..] else {
        panic!("two events: {events:?}");
    };
    assert_eq!(accepted.at, alert.accepted_at);
    assert_eq!(delivered.at.since(accepted.at).as_secs(), 5);
    let Happening::Delivery { id, .. } = delivered.happening else {
        panic!("the second is a delivery");
    };
    assert_eq!(id, lease.delivery_id());
}
