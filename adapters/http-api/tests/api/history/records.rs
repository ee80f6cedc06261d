//! One alert, one delivery.

use consumer::{domain::Outcome, ports::DeliveryQueue};
use serde_json::json;

use super::site::{Site, dead};
use crate::support::{Api, NOBODY, ONE, TWO};

/// By name, since `@all` has no order.
const BOTH: [&str; 2] = ["@user_name1", "@user_name2"];

#[tokio::test]
async fn an_alert_is_shown_with_each_delivery_and_attempt() {
    let site = Site::new().await;
    let id = site.alert_to(&BOTH, "high", "node1 down").await;
    let leases = site.receive(2).await;
    site.settle(&leases[..1], Outcome::Delivered).await;
    site.settle(&leases[1..], dead()).await;
    let alert = site.get(&format!("/v1/alerts/{id}")).await.data();
    assert_eq!(alert["id"], id);
    assert_eq!(alert["severity"], "high");
    assert_eq!(alert["target"], json!(BOTH));
    assert_eq!(alert["userCount"], 2);
    assert_eq!(alert["states"]["delivered"], 1);
    assert_eq!(alert["states"]["dead"], 1);
    assert_eq!(alert["states"]["queued"], 0);
    assert_eq!(alert["nextCursor"], json!(null));
    assert_eq!(
        alert["deliveries"][0],
        json!({
            "id": leases[0].delivery_id(),
            "channel": "slack",
            "address": "test_channel_id1",
            "recipients": [{"id": ONE, "name": "user_name1", "target": "@user_name1"}],
            "state": "delivered",
            "attempts": [{
                "number": 1, "startedAt": "2026-11-23T08:00:00.5Z", "tookMs": 7.25,
                "result": "accepted", "status": 200, "providerId": "1503435956.000247",
            }],
        })
    );
    let second = &alert["deliveries"][1];
    assert_eq!(second["state"], "dead");
    assert_eq!(second["reason"], "refused for good: channel_not_found");
    assert_eq!(second["attempts"][0]["error"], "channel_not_found");
    assert_eq!(second["recipients"][0]["id"], TWO);
}

#[tokio::test]
async fn the_deliveries_of_an_alert_come_in_pages() {
    let site = Site::new().await;
    let id = site.alert_to(&BOTH, "low", "m").await;
    let path = format!("/v1/alerts/{id}?limit=1");
    let first = site.get(&path).await.data();
    let next = first["nextCursor"].as_str().unwrap();
    let second = site.get(&format!("{path}&cursor={next}")).await.data();
    assert_eq!(first["deliveries"][0]["recipients"][0]["id"], ONE);
    assert_eq!(second["deliveries"][0]["recipients"][0]["id"], TWO);
    assert_eq!(second["nextCursor"], json!(null));
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_alert() {
    let site = Site::new().await;
    let alert = site.alert("@user_name1", "low", "m").await;
    let leases = site.receive(1).await;
    site.store.queue.begins(leases[0].key());
    let id = leases[0].delivery_id();
    let shown = site.get(&format!("/v1/deliveries/{id}")).await.data();
    assert_eq!(shown["alertId"], alert);
    assert_eq!(shown["state"], "sending");
}

#[tokio::test]
async fn what_there_is_none_of_is_404_and_what_is_no_id_400() {
    let site = Site::new().await;
    for (method, path, code) in [
        ("GET", "/v1/alerts/{id}", "ALERT_NOT_FOUND"),
        ("POST", "/v1/alerts/{id}/cancel", "ALERT_NOT_FOUND"),
        ("GET", "/v1/deliveries/{id}", "DELIVERY_NOT_FOUND"),
        ("POST", "/v1/deliveries/{id}/replay", "DELIVERY_NOT_FOUND"),
        ("DELETE", "/v1/dead-letters/{id}", "DEAD_LETTER_NOT_FOUND"),
    ] {
        let answer = site.bare(method, &path.replace("{id}", NOBODY)).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.envelope()["errorCode"], code);
        let answer = site.bare(method, &path.replace("{id}", "1")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.envelope()["errors"][0]["field"], "id");
    }
}

#[tokio::test]
async fn a_history_that_fails_is_500_and_tells_nothing_of_the_inside() {
    let api = Api::new();
    for path in [
        "/v1/alerts".to_owned(),
        format!("/v1/alerts/{ONE}"),
        format!("/v1/deliveries/{ONE}"),
        "/v1/dead-letters".to_owned(),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(!answer.text().contains("fire"));
    }
}
