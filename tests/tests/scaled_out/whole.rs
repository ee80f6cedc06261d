//! From a request to a producer until its reader sees it, and what is told of it.

use serde_json::{Value, json};
use tests::{
    harness::{Directory, LONG, wait_for},
    scaled_out::{Member, Site, SiteOptions},
    services::{Kafka, Postgres},
};

use crate::{site, wait_for_messages};

/// The id of an alert that must be accepted.
fn accepted(producer: &Member, targets: &[&str], severity: &str, message: &str) -> String {
    let answer = producer.alert(targets, severity, message);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"]["alertId"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until a producer's history has all deliveries of an alert in that state.
fn await_state(producer: &Member, alert: &str, state: &str) -> Value {
    wait_for("a state in the history", LONG, || {
        let answer = producer.request("GET", &format!("/v1/alerts/{alert}"), "");
        if answer.status != 200 {
            return None;
        }
        let data = answer.json()["data"].clone();
        let deliveries = data["deliveries"].as_array()?;
        let is_so = !deliveries.is_empty() && deliveries.iter().all(|one| one["state"] == state);
        is_so.then_some(data)
    })
}

#[test]
fn an_alert_of_one_producer_is_delivered_and_in_the_history_of_the_other() {
    let site = site(3, 2, 2);
    let alert = accepted(
        &site.producers[0],
        &["@user1", "@user2"],
        "high",
        "node1 down",
    );
    let first = wait_for_messages(&site, "C1", 1);
    assert_eq!(first[0].text, "[high] node1 down");
    assert_eq!(first[0].token, "token-1");
    wait_for_messages(&site, "C2", 1);
    await_state(&site.producers[1], &alert, "delivered");
    assert_eq!(site.mockup.messages().len(), 2);
}

#[test]
fn a_change_of_the_directory_at_one_producer_is_used_by_the_other() {
    let site = site(1, 2, 1);
    let user = json!({ "name": "somebody", "token": "token-of-somebody", "channelId": "C9" });
    let answer = site.producers[0].request("POST", "/v1/users", &user.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait_for("the other producer to know", LONG, || {
        let answer = site.producers[1]
            .alert(&["@somebody"], "low", "hello")
            .json();
        (answer["data"]["userCount"] == 1).then_some(())
    });
    let messages = wait_for_messages(&site, "C9", 1);
    assert_eq!(messages[0].token, "token-of-somebody");
}

#[test]
fn a_request_repeated_with_its_key_at_the_other_producer_is_one_alert() {
    let site = site(1, 2, 1);
    let body = json!({ "target": ["@user1"], "severity": "low", "message": "once" }).to_string();
    let post = |producer: &Member| {
        let mut connection = tests::harness::Connection::open(producer.address()).unwrap();
        let headers = [("Idempotency-Key", "key-1")];
        let answer = connection.request("POST", "/v1/alerts", &headers, body.as_bytes());
        answer.unwrap()
    };
    let first = post(&site.producers[0]);
    let second = post(&site.producers[1]);
    assert_eq!(
        (first.status, second.status),
        (200, 200),
        "{}",
        second.text()
    );
    assert_eq!(first.json()["data"], second.json()["data"]);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    accepted(&site.producers[0], &["@user1"], "low", "after it");
    let texts: Vec<_> = wait_for_messages(&site, "C1", 2)
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts, ["[low] once", "[low] after it"]);
}

#[test]
fn what_has_not_been_sent_is_cancelled_at_any_producer() {
    let site = site(1, 2, 1);
    site.mockup.set_faults(&json!({ "latencyMs": 3_000 }));
    let first = accepted(&site.producers[0], &["@user1"], "low", "under way");
    site.mockup.wait_for(0);
    let second = accepted(&site.producers[0], &["@user1"], "low", "behind it");
    wait_for("the other producer to know it", LONG, || {
        let answer = site.producers[1].request("GET", &format!("/v1/alerts/{second}"), "");
        (answer.status == 200).then_some(())
    });
    let asked = site.producers[1].request("POST", &format!("/v1/alerts/{second}/cancel"), "");
    assert_eq!(asked.status, 202, "{}", asked.text());
    assert_eq!(asked.json()["data"]["requested"], 1);
    await_state(&site.producers[0], &second, "cancelled");
    await_state(&site.producers[0], &first, "delivered");
    assert_eq!(site.mockup.texts("C1"), ["[low] under way"]);
}

#[test]
fn a_dead_letter_is_listed_and_replayed_at_any_producer() {
    let site = site(1, 2, 1);
    site.mockup
        .set_faults(&json!({ "channels": { "C1": { "error": "channel_not_found" } } }));
    let alert = accepted(&site.producers[0], &["@user1"], "high", "node1 down");
    await_state(&site.producers[1], &alert, "dead");
    let letters = site.producers[1]
        .request("GET", "/v1/dead-letters", "")
        .json();
    assert_eq!(
        letters["data"]["items"].as_array().unwrap().len(),
        1,
        "{letters}"
    );
    site.mockup.set_faults(&json!({}));
    let asked = site.producers[1].request("POST", "/v1/dead-letters/replay", "{}");
    assert_eq!(asked.status, 202, "{}", asked.text());
    await_state(&site.producers[0], &alert, "delivered");
    assert_eq!(site.mockup.texts("C1"), ["[high] node1 down"]);
}

#[test]
fn serve_with_a_database_and_brokers_is_producer_and_consumer_in_one_process() {
    let options = SiteOptions::on(Kafka::shared(), Postgres::shared());
    let mut site = Site::new(options, Directory::of_users(2));
    let mut whole = site.whole();
    whole.start();
    site.directory.import_at(whole.address());
    let alert = accepted(&whole, &["@user1", "@user2"], "normal", "node1 down");
    await_state(&whole, &alert, "delivered");
    whole.stop();
    // What it had is where a producer and a consumer find it.
    site.add_producer();
    site.add_consumer();
    await_state(&site.producers[0], &alert, "delivered");
    accepted(&site.producers[0], &["@user1"], "normal", "node2 down");
    let texts: Vec<_> = wait_for_messages(&site, "C1", 2)
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts, ["[normal] node1 down", "[normal] node2 down"]);
}

#[test]
fn a_consumer_says_how_it_is_and_what_it_has_done() {
    let site = site(1, 1, 1);
    accepted(&site.producers[0], &["@user1"], "high", "node1 down");
    wait_for_messages(&site, "C1", 1);
    let consumer = &site.consumers[0];
    assert_eq!(consumer.request("GET", "/health/live", "").status, 200);
    assert_eq!(consumer.request("GET", "/v1/users", "").status, 404);
    wait_for("a delivery that is counted", LONG, || {
        let sent = consumer.metric("error_notifier_accepted_to_sent_seconds_count");
        (sent == Some(1.0)).then_some(())
    });
}
