//! How destinations stand: who waits for what, who fails, which breakers are open.

use std::process::Output;

use serde_json::{Value, json};
use tests::harness::{Directory, LONG, Site, command, free_address, program, until, wait_for};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The items and breakers of all pages.
fn listed(site: &Site, query: &str) -> (Vec<Value>, Vec<Value>) {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/destinations?limit=2&cursor={cursor}{query}");
        let answer = site.server.request("GET", &path, "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("token-"), "{}", answer.text());
        let data = answer.json()["data"].clone();
        items.extend(data["items"].as_array().unwrap().iter().cloned());
        match data["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return (items, data["breakers"].as_array().unwrap().clone()),
        }
    }
}

/// The destination at that address.
fn at(site: &Site, address: &str) -> Option<Value> {
    let (items, _) = listed(site, "");
    items.into_iter().find(|item| item["address"] == address)
}

/// What the command line says of them.
fn printed(site: &Site) -> String {
    let url = format!("http://{}", site.server.address());
    let Output { stdout, status, .. } = command(program())
        .args(["destination", "list", "--url", &url])
        .output()
        .unwrap();
    assert!(status.success());
    String::from_utf8(stdout).unwrap()
}

#[test]
fn a_destination_that_is_well_and_at_rest_is_not_named() {
    let site = Site::new(1);
    site.accepted(&["@user1"], "low", "node1 down");
    site.server.drain(LONG);
    until("nothing to be said", || {
        listed(&site, "") == (vec![], vec![])
    });
}

#[test]
fn a_limited_and_a_failing_destination_are_named_with_what_they_wait_for_and_how_much() {
    let site = Site::new(3);
    site.mockup.set_faults(&json!({"channels": {
        "C1": {"status": 429, "retryAfter": 600},
        "C2": {"status": 500},
    }}));
    for severity in ["high", "low", "low"] {
        site.accepted(&["@all"], severity, "node1 down");
    }
    let limited = wait_for("the limited one", LONG, || {
        at(&site, "C1").filter(|one| one["state"] == "retry_after" && one["waiting"]["low"] == 2)
    });
    assert_eq!(limited["channel"], "slack");
    assert_eq!(
        limited["waiting"],
        json!({"high": 1, "normal": 0, "low": 2})
    );
    let until: jiff::Timestamp = limited["until"].as_str().unwrap().parse().unwrap();
    let ahead = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((1..=600).contains(&ahead), "{ahead}");
    assert!(limited["error"].as_str().unwrap().len() > 2, "{limited}");

    let failing = wait_for("the failing one", LONG, || {
        at(&site, "C2").filter(|one| one["state"] == "backoff")
    });
    assert!(failing["failures"].as_u64().unwrap() >= 1, "{failing}");
    assert!(failing["failingSince"].is_string() && failing["until"].is_string());
    assert_eq!(at(&site, "C3"), None, "the third is well");

    let (items, _) = listed(&site, "&state=retry_after&channel=slack");
    assert_eq!(items.len(), 1);
    assert_eq!(listed(&site, "&channel=webhook").0, Vec::<Value>::new());
    assert!(
        printed(&site).contains("C1       retry_after"),
        "{}",
        printed(&site)
    );
}

#[test]
fn the_breaker_of_a_host_that_is_down_is_named_with_what_waits_behind_it() {
    let site = Site::with(Directory::of_users(6), |options| {
        options.with("--webhook-allow", "127.0.0.0/8")
    });
    // Nobody listens there.
    let origin = format!("http://{}", free_address());
    for (number, user) in site.directory.users.iter().enumerate() {
        let path = format!("/v1/users/{}/destinations", user.id);
        let address = format!("{origin}/hook{number}");
        let body = json!({"kind": "webhook", "address": address, "credential": SECRET});
        let answer = site.server.request("POST", &path, &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    site.accepted(&["@all"], "normal", "node1 down");
    let name = format!("webhook {origin}");
    let breaker = wait_for("the breaker", LONG, || {
        let (_, breakers) = listed(&site, "");
        breakers
            .into_iter()
            .find(|one| one["name"] == name.as_str())
    });
    assert_eq!(breaker["kind"], "host");
    assert_ne!(breaker["state"], "closed");
    assert!(
        breaker["since"].is_string() && breaker["error"].is_string(),
        "{breaker}"
    );
    until("a destination that waits for it", || {
        let (items, _) = listed(&site, "&state=host_breaker");
        items.iter().any(|one| one["host"] == name.as_str())
    });
    until("the breaker in the metrics", || {
        let of = |state| {
            let metric = format!(r#"error_notifier_breakers{{kind="host",state="{state}"}}"#);
            site.server.metric(&metric)
        };
        [of("open"), of("half_open")]
            .into_iter()
            .flatten()
            .sum::<f64>()
            == 1.0
    });
    assert!(printed(&site).contains(&name));
}

#[test]
fn the_breaker_of_a_credential_names_it_by_number_alone() {
    let site = Site::new(1);
    site.mockup
        .set_faults(&json!({"channels": {"C1": {"error": "invalid_auth"}}}));
    for _ in 0..2 {
        site.accepted(&["@user1"], "normal", "node1 down");
    }
    let waiting = wait_for("the one that waits", LONG, || {
        at(&site, "C1").filter(|one| one["state"] == "credential_breaker")
    });
    assert_eq!(waiting["waiting"]["normal"], 1);
    let (_, breakers) = listed(&site, "");
    let number: u64 = breakers[0]["name"].as_str().unwrap().parse().unwrap();
    assert!(number > 0);
    assert_eq!(breakers[0]["kind"], "credential");
    assert_eq!(breakers[0]["error"], "invalid_auth");
}
