//! Cancelling, replaying, discarding.

use std::sync::Arc;

use axum::body::Body;
use consumer::domain::Outcome;
use serde_json::json;

use super::site::{Site, each};
use crate::support::{Api, ONE, RemoteConsumers, request};

#[tokio::test]
async fn cancelling_answers_how_many_0_included() {
    let site = Site::new().await;
    let id = site.alert("@all", "high", "m").await;
    let path = format!("/v1/alerts/{id}/cancel");
    for count in [2, 0] {
        let answer = site.bare("POST", &path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.data(), json!({"cancelled": count, "sending": 0}));
    }
    let alert = site.get(&format!("/v1/alerts/{id}")).await.data();
    assert_eq!(alert["states"]["cancelled"], 2);
    assert!(alert["deliveries"][0]["cancelledAt"].is_string());
    assert!(alert["deliveries"][0].get("discardedAt").is_none());
}

#[tokio::test]
async fn a_dead_letter_is_replayed_and_409_while_it_is_on_its_way() {
    let site = Site::new().await;
    let ids = site.dead_letters().await;
    let path = format!("/v1/deliveries/{}/replay", ids[0]);
    let answer = site.bare("POST", &path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.data()["state"], "queued");
    assert!(answer.data()["replayedAt"].is_string());
    let answer = site.bare("POST", &path).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.envelope()["errorCode"], "DELIVERY_ON_ITS_WAY");
    let leases = site.receive(1).await;
    assert_eq!(leases[0].delivery_id().to_string(), ids[0]);
    site.settle(&leases, Outcome::Delivered).await;
    // And once more, now that the service has it.
    let answer = site.bare("POST", &path).await;
    assert_eq!(answer.data()["repeated"], true);
}

#[tokio::test]
async fn dead_letters_are_replayed_by_filters_or_only_counted() {
    let site = Site::new().await;
    site.dead_letters().await;
    let path = "/v1/dead-letters/replay";
    let dry = site.post(&format!("{path}?dryRun=true"), json!({})).await;
    assert_eq!(dry.data(), json!({"count": 2, "nextCursor": null}));
    let none = site.post(path, json!({"reason": "is_archived"})).await;
    assert_eq!(none.data()["count"], 0);
    let first = site
        .post(path, json!({"channel": "slack", "limit": 1.0}))
        .await;
    assert_eq!(first.data()["count"], 1);
    let cursor = first.data()["nextCursor"].clone();
    let rest = site.post(path, json!({"cursor": cursor})).await;
    assert_eq!(rest.data(), json!({"count": 1, "nextCursor": null}));
    assert_eq!(site.receive(2).await.len(), 2);
    assert_eq!(
        each(&site.get("/v1/dead-letters").await.data(), "id").len(),
        0
    );
}

#[tokio::test]
async fn all_that_went_to_a_place_is_replayed() {
    let site = Site::new().await;
    site.alert("@all", "low", "m").await;
    let leases = site.receive(2).await;
    site.settle(&leases, Outcome::Delivered).await;
    let path = "/v1/alerts/replay";
    let body = json!({"since": "2026-01-01T00:00:00Z", "address": "test_channel_id2"});
    let dry = site
        .post(&format!("{path}?dryRun=true"), body.clone())
        .await;
    assert_eq!(dry.data()["count"], 1);
    assert_eq!(site.post(path, body).await.data()["count"], 1);
    let again = site.receive(1).await;
    assert_eq!(*again[0].destination.address, *"test_channel_id2");
    let later = json!({"since": "2526-01-01T00:00:00Z", "address": "test_channel_id1"});
    assert_eq!(site.post(path, later).await.data()["count"], 0);
}

#[tokio::test]
async fn a_replay_that_cannot_be_read_is_400_naming_the_field() {
    let site = Site::new().await;
    let since = "2026-01-01T00:00:00Z";
    for (path, body, field) in [
        ("/v1/dead-letters/replay", json!({"since": "x"}), "since"),
        ("/v1/dead-letters/replay", json!({"reason": ""}), "reason"),
        ("/v1/dead-letters/replay", json!({"limit": 0}), "limit"),
        ("/v1/dead-letters/replay", json!({"limit": 10_001}), "limit"),
        ("/v1/dead-letters/replay", json!({"cursor": "x"}), "cursor"),
        ("/v1/dead-letters/replay?dryRun=x", json!({}), "dryRun"),
        ("/v1/alerts/replay", json!({"address": "C1"}), "since"),
        ("/v1/alerts/replay", json!({"since": since}), "address"),
        (
            "/v1/alerts/replay",
            json!({"since": since, "until": "2025-01-01T00:00:00Z", "address": "C1"}),
            "until",
        ),
        (
            "/v1/alerts/replay",
            json!({"since": since, "address": "C1", "channel": "mail"}),
            "channel",
        ),
        (
            "/v1/alerts/replay",
            json!({"since": since, "address": "C1", "channel": "webhook"}),
            "address",
        ),
    ] {
        let answer = site.post(path, body).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.envelope()["errors"][0]["field"], field, "{path}");
    }
}

#[tokio::test]
async fn what_other_processes_are_asked_to_do_is_202() {
    let site = Site::controlled(|_| Arc::new(RemoteConsumers)).await;
    let id = site.alert("@user_name1", "high", "m").await;
    let answer = site.bare("POST", &format!("/v1/alerts/{id}/cancel")).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.data(), json!({"requested": 3}));
    let alert = site.get(&format!("/v1/alerts/{id}")).await.data();
    let delivery = alert["deliveries"][0]["id"].as_str().unwrap();
    let path = format!("/v1/deliveries/{delivery}/replay");
    let answer = site.bare("POST", &path).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.data()["id"], delivery);
    for (path, status) in [
        ("/v1/dead-letters/replay", 202),
        ("/v1/dead-letters/replay?dryRun=true", 200),
    ] {
        let answer = site.post(path, json!({"limit": 7})).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.data(), json!({"count": 7, "nextCursor": null}));
    }
}

#[tokio::test]
async fn a_discarded_dead_letter_is_gone_from_the_list_and_told_in_its_record() {
    let site = Site::new().await;
    let ids = site.dead_letters().await;
    let path = format!("/v1/dead-letters/{}", ids[0]);
    let answer = site.bare("DELETE", &path).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (204, ""));
    assert_eq!(site.bare("DELETE", &path).await.status, 404);
    let left = site.get("/v1/dead-letters").await.data();
    assert_eq!(each(&left, "id"), ids[1..]);
    let record = site.get(&format!("/v1/deliveries/{}", ids[0])).await.data();
    assert_eq!(record["state"], "dead");
    assert!(record["discardedAt"].is_string());
}

#[tokio::test]
async fn what_the_store_cannot_do_is_503_with_a_time_to_try_again() {
    let api = Api::new();
    let json = |method: &str, path: String| {
        request(method, &path)
            .header("content-type", "application/json")
            .body(Body::from("{}"))
            .unwrap()
    };
    for (method, path, code) in [
        (
            "POST",
            format!("/v1/alerts/{ONE}/cancel"),
            "STORE_UNWRITABLE",
        ),
        ("POST", "/v1/dead-letters/replay".into(), "TOO_MANY_REPLAYS"),
        ("DELETE", format!("/v1/dead-letters/{ONE}"), "MAYBE_DONE"),
    ] {
        let answer = api.send(json(method, path)).await;
        assert_eq!(answer.status, 503, "{code}");
        assert_eq!(answer.envelope()["errorCode"], code);
        assert!(answer.header("retry-after").is_some());
    }
    let path = format!("/v1/deliveries/{ONE}/replay");
    let answer = api.send(json("POST", path)).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.envelope()["errorCode"], "CREDENTIAL_GONE");
}
