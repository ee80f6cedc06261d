//! What goes on while a server is away.

use serde_json::json;
use tests::{
    harness::{Connection, Directory, LONG, wait_for},
    scaled_out::{Site, SiteOptions},
    services::{Kafka, Postgres},
};

use crate::wait_for_messages;

#[test]
fn without_the_database_alerts_are_accepted_and_delivered_and_the_history_catches_up() {
    let mut postgres = Postgres::start();
    let options = SiteOptions::on(Kafka::shared(), &postgres);
    let database = options.database_name().to_owned();
    let site = Site::start(options, Directory::of_users(1), 1, 1);
    let producer = &site.producers[0];
    postgres.stop();
    for number in 0..20 {
        let answer = producer.alert(&["@user1"], "low", &format!("alert {number}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    wait_for_messages(&site, "C1", 20);
    // With a key it cannot be known whether it was accepted before.
    let mut connection = Connection::open(producer.address()).unwrap();
    let body = json!({ "target": ["@user1"], "severity": "low", "message": "keyed" }).to_string();
    let keyed = [("Idempotency-Key", "key-1")];
    let refused = connection.request("POST", "/v1/alerts", &keyed, body.as_bytes());
    let refused = refused.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    let user = json!({ "name": "somebody", "token": "t", "channelId": "C9" }).to_string();
    let refused = producer.request("POST", "/v1/users", &user);
    assert_eq!(refused.status, 503, "{}", refused.text());

    postgres.start_again();
    wait_for("the history to catch up", LONG, || {
        let known = postgres.sql(&database, "SELECT count(*) FROM delivery WHERE state = 3");
        (known.trim() == "20").then_some(())
    });
    wait_for("the directory to be written again", LONG, || {
        (producer.request("POST", "/v1/users", &user).status == 201).then_some(())
    });
}

#[test]
fn without_brokers_alerts_are_refused_with_a_time_to_come_again_and_then_accepted() {
    let mut kafka = Kafka::start(1);
    let options = SiteOptions::on(&kafka, Postgres::shared());
    let site = Site::start(options, Directory::of_users(1), 1, 1);
    let producer = &site.producers[0];
    assert_eq!(producer.alert(&["@user1"], "low", "before").status, 200);
    wait_for_messages(&site, "C1", 1);
    kafka.kill(1);
    wait_for("a refusal", LONG, || {
        let answer = producer.alert(&["@user1"], "low", "meanwhile");
        let is_certain = answer.json()["errorCode"] != "MAYBE_ACCEPTED";
        let is_refused = answer.status == 503 && is_certain;
        is_refused.then(|| assert!(answer.header("retry-after").is_some()))
    });
    let ready = producer.request("GET", "/health/ready", "");
    assert_eq!(ready.status, 503, "{}", ready.text());
    kafka.start_again(1);
    wait_for("an alert that is accepted", LONG, || {
        (producer.alert(&["@user1"], "high", "after").status == 200).then_some(())
    });
    wait_for("its delivery", LONG, || {
        let texts = site.mockup.texts("C1");
        texts.contains(&"[high] after".to_owned()).then_some(())
    });
}
