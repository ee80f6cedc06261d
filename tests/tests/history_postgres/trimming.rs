//! What trimming promises: what has ended goes when it is old, in steps, once.

use std::time::Duration;

use consumer::domain::Outcome;
use producer::ports::{AlertFilter, DeadLetterFilter, History};

use crate::{
    recording::{accept, dead, receive, settle, waiting},
    site::{Site, connect},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many rows each table has.
fn rows(site: &Site, tables: &[&str]) -> Vec<String> {
    let count = |table| site.sql(&format!("SELECT count(*) FROM {table}"));
    tables
        .iter()
        .map(|table| count(table).trim().to_owned())
        .collect()
}

/// More than fill two blocks, and alerts after them: what they were accepted with has
/// ended. Such that a block is complete, 1,024 sequence numbers have to pass.
async fn fill(site: &Site, count: usize) {
    for _ in 0..count {
        accept(site, &[]).await;
    }
    site.record_new().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_goes_after_the_retention_and_what_has_not_stays() {
    let site = Site::new().await;
    let ended = accept(&site, &[1]).await;
    let open = accept(&site, &[2]).await;
    let leases = receive(&site, 2).await;
    settle(&site, &leases[0], 1, waiting()).await;
    settle(&site, &leases[0], 2, Outcome::Delivered).await;
    settle(&site, &leases[1], 1, waiting()).await;
    fill(&site, 2_100).await;
    site.clock.advance(7 * DAY - Duration::from_secs(1));
    site.store.trim_history().await.unwrap();
    assert!(site.detail(ended.id).await.is_some());
    site.clock.advance(Duration::from_secs(61));
    let young = accept(&site, &[3]).await;
    site.record_new().await;
    site.store.trim_history().await.unwrap();
    assert!(site.detail(ended.id).await.is_none());
    assert!(site.detail(open.id).await.is_some());
    assert!(site.detail(young.id).await.is_some());
    let page = site.store.history.alerts(AlertFilter::default(), None, 10);
    assert_eq!(page.await.unwrap().items.len(), 2);
    assert_eq!(
        rows(
            &site,
            &["alert", "delivery", "attempt", "adopted_credential"]
        ),
        ["2", "1", "0", "2"]
    );
    assert_eq!(site.sql("SELECT sum(open) FROM alert_block").trim(), "2");
    // What has never ended, as far as the queue told, goes in the end.
    site.clock.advance(30 * DAY);
    site.store.trim_history().await.unwrap();
    assert!(site.detail(open.id).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_stays_for_thirty_days_and_a_discarded_one_does_not() {
    let site = Site::new().await;
    for user in [1, 2] {
        accept(&site, &[user]).await;
    }
    for lease in receive(&site, 2).await {
        settle(&site, &lease, 1, dead()).await;
    }
    fill(&site, 2_100).await;
    let history = site.store.history.clone();
    let dead = async || {
        let page = history.dead_letters(DeadLetterFilter::default(), None, 10);
        page.await.unwrap().items
    };
    let letters = dead().await;
    assert_eq!(letters.len(), 2);
    producer::ports::ControlStore::discard(&*history, letters[0].detail.delivery.id)
        .await
        .unwrap();
    site.clock.advance(8 * DAY);
    site.store.trim_history().await.unwrap();
    assert_eq!(rows(&site, &["alert", "delivery"]), ["1", "1"]);
    assert_eq!(dead().await.len(), 1);
    site.clock.advance(22 * DAY + Duration::from_secs(1));
    site.store.trim_history().await.unwrap();
    assert_eq!(dead().await.len(), 0);
    assert_eq!(rows(&site, &["alert", "delivery"]), ["0", "0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_producers_trims() {
    let site = Site::new().await;
    let other = connect(&site.url, &site.clock).await;
    accept(&site, &[]).await;
    fill(&site, 2_100).await;
    site.clock.advance(8 * DAY);
    site.store.trim_history().await.unwrap();
    let left = rows(&site, &["alert"]);
    assert_eq!(left, ["0"]);
    accept(&site, &[]).await;
    site.record_new().await;
    site.sql("UPDATE alert SET accepted_at = 0");
    site.sql("UPDATE alert_block SET first_at = 0, last_at = 0");
    // It was done a moment ago.
    other.trim_history().await.unwrap();
    assert_eq!(rows(&site, &["alert"]), ["1"]);
    site.clock.advance(Duration::from_secs(60));
    other.trim_history().await.unwrap();
    assert_eq!(rows(&site, &["alert"]), ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_to_many_goes_in_steps() {
    const USERS: usize = 5_000;
    let site = Site::new().await;
    let users: Vec<u128> = (0..USERS as u128).collect();
    let alert = accept(&site, &users).await;
    for lease in receive(&site, USERS).await {
        settle(&site, &lease, 1, Outcome::Delivered).await;
    }
    fill(&site, 2_100).await;
    assert_eq!(rows(&site, &["delivery"]), ["5000"]);
    site.clock.advance(8 * DAY);
    site.store.trim_history().await.unwrap();
    assert!(site.detail(alert.id).await.is_none());
    assert_eq!(
        rows(&site, &["alert", "delivery", "alert_block"])[..2],
        ["0", "0"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_for_an_alert_that_is_gone_goes_too() {
    let site = Site::new().await;
    let alert = accept(&site, &[1]).await;
    let lease = receive(&site, 1).await.remove(0);
    fill(&site, 2_100).await;
    site.clock.advance(31 * DAY);
    site.store.trim_history().await.unwrap();
    assert!(site.detail(alert.id).await.is_none());
    settle(&site, &lease, 1, Outcome::Delivered).await;
    site.record_new().await;
    assert_eq!(rows(&site, &["delivery"]), ["1"]);
    site.clock.advance(Duration::from_secs(61));
    site.store.trim_history().await.unwrap();
    assert_eq!(rows(&site, &["delivery"]), ["0"]);
}
