//! A user who is told in several places.

use serde_json::{Value, json};
use tests::harness::{Directory, LONG, Site, until};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn site() -> Site {
    let site = Site::with(Directory::of_users(1), |options| {
        options.with("--webhook-allow", "127.0.0.0/8")
    });
    site.mockup.give_hook("ops", SECRET);
    site
}

/// Adds a webhook to the first user; gives its path in the API.
fn add_hook(site: &Site, url: &str) -> String {
    let user = format!("/v1/users/{}/destinations", site.directory.users[0].id);
    let body = json!({"kind": "webhook", "address": url, "credential": SECRET});
    let answer = site.server.request("POST", &user, &body.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["data"]["id"].clone();
    format!("{user}/{}", id.as_str().unwrap())
}

fn states(site: &Site, alert: &str) -> Vec<(String, String)> {
    let answer = site
        .server
        .request("GET", &format!("/v1/alerts/{alert}"), "");
    let deliveries = answer.json()["data"]["deliveries"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let deliveries = deliveries.as_array().unwrap().iter();
    deliveries
        .map(|one| (text(&one["channel"]), text(&one["state"])))
        .collect()
}

#[test]
fn an_alert_reaches_a_users_slack_channel_and_webhook_and_counts_one_user() {
    let site = site();
    add_hook(&site, &format!("{}/_mock/hooks/ops", site.mockup.url()));
    let answer = site.server.alert(&["@user1", "@all"], "high", "node1 down");
    assert_eq!(answer.json()["data"]["userCount"], 1);
    let alert = answer.json()["data"]["alertId"].clone();
    let alert = alert.as_str().unwrap();

    assert_eq!(site.wait_for("C1", 1)[0].text, "[high] node1 down");
    let message = site.wait_for("hooks/ops", 1).remove(0);
    assert_eq!(message.text, "[high] node1 down");
    let webhook = message.webhook.unwrap();
    assert_eq!(webhook["verified"], true);
    assert_eq!(webhook["body"]["type"], "alert.raised");
    assert_eq!(webhook["body"]["data"]["alertIds"], json!([alert]));
    assert_eq!(webhook["body"]["data"]["deliveryId"], webhook["id"]);
    site.server.drain(LONG);
    until("both deliveries in the history", || {
        let delivered = |kind: &str| (kind.to_owned(), "delivered".to_owned());
        states(&site, alert) == [delivered("slack"), delivered("webhook")]
    });
    let answer = site
        .server
        .request("GET", &format!("/v1/alerts/{alert}"), "");
    assert_eq!(answer.json()["data"]["userCount"], 1);
}

#[test]
fn a_webhook_that_fails_is_tried_again_under_the_same_id_and_delays_nobody_else() {
    let site = site();
    site.mockup
        .set_faults(&json!({"channels": {"hooks/ops": {"status": 500}}}));
    add_hook(&site, &format!("{}/_mock/hooks/ops", site.mockup.url()));
    let alert = site.accepted(&["@user1"], "high", "node1 down");
    site.wait_for("C1", 1);
    site.wait_for_failures(1);
    site.mockup.set_faults(&json!({"loseAnswerRate": 1}));
    let first = site.wait_for("hooks/ops", 1).remove(0);
    site.mockup.set_faults(&json!({}));
    let again = site.wait_for("hooks/ops", 2).remove(1);
    let id = |message: tests::harness::Message| message.webhook.unwrap()["id"].clone();
    assert_eq!(id(first), id(again));
    site.server.drain(LONG);
    assert!(
        states(&site, &alert)
            .iter()
            .all(|(_, state)| state == "delivered")
    );
}

#[test]
fn a_webhook_inside_the_network_is_dead_lettered_with_the_reason_and_never_called() {
    let site = Site::new(1);
    let url = format!("{}/_mock/hooks/ops", site.mockup.url());
    add_hook(&site, &url);
    site.accepted(&["@user1"], "high", "node1 down");
    site.server.drain(LONG);
    let letters = site.server.request("GET", "/v1/dead-letters", "").json();
    let letter = letters["data"]["items"][0].to_string();
    assert!(letter.contains("not a public one"), "{letters}");
    let stats = site.mockup.stats();
    assert_eq!((stats.received, stats.accepted), (1, 1), "Slack's alone");
}

#[test]
fn a_removed_destination_is_told_no_more_and_the_first_cannot_go() {
    let site = site();
    let path = add_hook(&site, &format!("{}/_mock/hooks/ops", site.mockup.url()));
    assert_eq!(site.server.request("DELETE", &path, "").status, 204);
    let user = site.directory.users[0].id;
    let first = format!("/v1/users/{user}/destinations/{user}");
    assert_eq!(site.server.request("DELETE", &first, "").status, 409);
    site.accepted(&["@user1"], "high", "node1 down");
    site.server.drain(LONG);
    assert_eq!(site.mockup.stats().accepted, 1);
}
