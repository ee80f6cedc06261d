//! Which alerts and dead letters a list shows, and what it refuses.

use consumer::domain::Outcome;

use super::site::{Site, dead, each};
use crate::support::{NOBODY, ONE, TWO};

#[tokio::test]
async fn alerts_are_listed_by_every_filter() {
    let site = Site::new().await;
    let one = site.alert("@user_name1", "high", "node1 down").await;
    let two = site.alert("@@group_name1", "low", "Disk Full").await;
    let three = site.alert("@user_name2", "normal", "node2 down").await;
    let leases = site.receive(3).await;
    site.settle(&leases[..1], Outcome::Delivered).await;
    for (query, expected) in [
        ("", vec![&three, &two, &one]),
        ("?severity=HIGH", vec![&one]),
        ("?user=user_name1", vec![&two, &one]),
        ("?user=@user_name2", vec![&three]),
        (&format!("?user={TWO}"), vec![&three]),
        (&format!("?user={NOBODY}"), vec![]),
        ("?group=group_name1", vec![&two]),
        ("?group=@@group_name1", vec![&two]),
        (&format!("?group={ONE}"), vec![&two]),
        ("?group=gone_group", vec![]),
        ("?state=delivered", vec![&one]),
        ("?state=queued", vec![&three, &two]),
        ("?q=DOWN", vec![&three, &one]),
        ("?q=disk%20full", vec![&two]),
        ("?since=2026-01-01T00:00:00Z", vec![&three, &two, &one]),
        ("?since=2526-01-01T00:00:00%2B09:00", vec![]),
        ("?until=2026-01-01T00:00:00Z", vec![]),
        ("?severity=low&user=user_name1&q=disk", vec![&two]),
    ] {
        let answer = site.get(&format!("/v1/alerts{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        let found = each(&answer.data(), "id");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query}");
    }
}

#[tokio::test]
async fn pages_of_alerts_follow_each_other() {
    let site = Site::new().await;
    let mut expected = vec![];
    for _ in 0..5 {
        expected.insert(0, site.alert("@user_name1", "low", "m").await);
    }
    let mut seen = vec![];
    let mut path = "/v1/alerts?limit=2".to_owned();
    loop {
        let page = site.get(&path).await.data();
        seen.extend(each(&page, "id"));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/v1/alerts?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_filter_that_is_not_allowed_is_400_naming_it() {
    let site = Site::new().await;
    let ids = site.dead_letters().await;
    site.alert("@all", "low", "m").await;
    let alerts = site.get("/v1/alerts?limit=1").await.data();
    let of_alerts = alerts["nextCursor"].as_str().unwrap();
    let letters = site.get("/v1/dead-letters?limit=1").await.data();
    let of_letters = letters["nextCursor"].as_str().unwrap();
    let long = "x".repeat(201);
    for (path, field) in [
        ("/v1/alerts?severity=urgent", "severity"),
        ("/v1/alerts?state=lost", "state"),
        ("/v1/alerts?state=", "state"),
        ("/v1/alerts?since=yesterday", "since"),
        ("/v1/alerts?until=2026-11-23", "until"),
        (
            "/v1/alerts?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
            "until",
        ),
        ("/v1/alerts?user=nobody_here", "user"),
        (&format!("/v1/alerts?group={NOBODY}"), "group"),
        ("/v1/alerts?group=", "group"),
        ("/v1/alerts?q=", "q"),
        (&format!("/v1/alerts?q={long}"), "q"),
        ("/v1/alerts?limit=0", "limit"),
        ("/v1/alerts?limit=1001", "limit"),
        ("/v1/alerts?cursor=x", "cursor"),
        (&format!("/v1/alerts?cursor={of_letters}"), "cursor"),
        (&format!("/v1/dead-letters?cursor={of_alerts}"), "cursor"),
        ("/v1/dead-letters?since=x", "since"),
        ("/v1/dead-letters?reason=", "reason"),
        ("/v1/dead-letters?limit=-1", "limit"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.envelope()["errors"][0]["field"], field, "{path}");
    }
    let answer = site.get(&format!("/v1/alerts/{}?cursor=AQE", ids[0])).await;
    assert_eq!(answer.envelope()["errors"][0]["field"], "cursor");
}

#[tokio::test]
async fn dead_letters_are_listed_by_every_filter() {
    let site = Site::new().await;
    let ids = site.dead_letters().await;
    let both = vec![ids[1].clone(), ids[0].clone()];
    for (query, expected) in [
        ("", &both),
        ("?channel=slack", &both),
        ("?channel=webhook", &vec![]),
        ("?reason=channel_not_found", &both),
        ("?reason=is_archived", &vec![]),
        ("?since=2026-01-01T00:00:00Z", &both),
        ("?since=2526-01-01T00:00:00Z", &vec![]),
    ] {
        let answer = site.get(&format!("/v1/dead-letters{query}")).await;
        assert_eq!(&each(&answer.data(), "id"), expected, "{query}");
    }
    let page = site.get("/v1/dead-letters").await.data();
    assert_eq!(page["items"][0]["message"], "node1 down");
    assert_eq!(
        page["items"][0]["reason"],
        "refused for good: channel_not_found"
    );
}

#[tokio::test]
async fn a_message_in_a_list_is_cut_and_whole_in_its_record() {
    let site = Site::new().await;
    let message = "장".repeat(1_001);
    let id = site.alert("@user_name1", "low", &message).await;
    let page = site.get("/v1/alerts").await.data();
    let shown = page["items"][0]["message"].as_str().unwrap();
    assert_eq!(shown.chars().count(), 1_000);
    let record = site.get(&format!("/v1/alerts/{id}")).await.data();
    assert_eq!(record["message"], message);
    let leases = site.receive(1).await;
    site.settle(&leases, dead()).await;
}
