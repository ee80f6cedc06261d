//! The stream of events.

use std::time::Duration;

use axum::{body::Body, http::Response};
use consumer::domain::Outcome;
use http_body_util::BodyExt;
use producer::domain::Scope;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::site::{Site, dead};
use crate::{
    access::holders::{json_with_token, revoke, with_scopes, with_token},
    support::request,
};

/// Longer than anything here takes.
const HANG: Duration = Duration::from_secs(60);

struct Stream {
    body: Body,
    text: String,
}

/// An event as it came: id, name, data.
#[derive(Debug)]
struct Came {
    id: String,
    name: String,
    data: Value,
}

impl Stream {
    async fn open(site: &Site, after: Option<&str>) -> Self {
        let mut asked = request("GET", "/v1/events");
        if let Some(id) = after {
            asked = asked.header("last-event-id", id);
        }
        let asked = asked.body(Body::empty()).unwrap();
        Self::of(site.router.clone().oneshot(asked).await.unwrap()).await
    }

    async fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/event-stream");
        let mut stream = Self {
            body: response.into_body(),
            text: String::new(),
        };
        assert_eq!(stream.block().await.unwrap(), ": open");
        stream
    }

    /// The next block; `None` at the stream's end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let frame = tokio::time::timeout(HANG, self.body.frame()).await;
            let data = frame.expect("nothing comes")?.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn next(&mut self) -> Came {
        loop {
            let block = self.block().await.unwrap();
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| {
                let mut lines = block.lines();
                let found = lines.find_map(|line| line.strip_prefix(name));
                found.unwrap_or_default().to_owned()
            };
            return Came {
                id: field("id: "),
                name: field("event: "),
                data: serde_json::from_str(&field("data: ")).unwrap_or_default(),
            };
        }
    }
}

#[tokio::test]
async fn alerts_and_deliveries_are_told_as_they_happen() {
    let site = Site::new().await;
    site.alert("@user_name1", "low", "before the stream").await;
    let mut stream = Stream::open(&site, None).await;
    let id = site.alert("@all", "high", "node1 down").await;
    let leases = site.receive(3).await;
    let high: Vec<_> = leases
        .iter()
        .filter(|one| one.alert.id.to_string() == id)
        .collect();
    assert_eq!(high.len(), 2);
    site.settle(&[high[0].clone()], Outcome::Delivered).await;
    site.settle(&[high[1].clone()], dead()).await;
    let first = stream.next().await;
    assert_eq!(first.name, "alert");
    assert_eq!(first.data["alertId"], id);
    assert_eq!(first.data["severity"], "high");
    assert_eq!(first.data["message"], "node1 down");
    assert_eq!(first.data["userCount"], 2);
    assert!(first.data["at"].is_string());
    let second = stream.next().await;
    assert_eq!(second.name, "delivery");
    let delivery = high[0].delivery_id().to_string();
    assert_eq!(second.data["deliveryId"], delivery);
    assert_eq!(second.data["state"], "delivered");
    assert_eq!(second.data["address"], *high[0].destination.address);
    assert_eq!(stream.next().await.data["state"], "dead");
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    let mut expected = vec![];
    for _ in 0..3 {
        expected.push(site.alert("@user_name1", "low", "m").await);
    }
    let first = stream.next().await;
    drop(stream);
    let mut stream = Stream::open(&site, Some(&first.id)).await;
    for id in &expected[1..] {
        assert_eq!(stream.next().await.data["alertId"], *id);
    }
}

#[tokio::test]
async fn an_id_of_another_server_is_a_gap_and_the_stream_goes_on_from_now() {
    let site = Site::new().await;
    site.alert("@user_name1", "low", "m").await;
    let mut stream = Stream::open(&site, Some("999999-0")).await;
    assert_eq!(stream.next().await.name, "gap");
    stream.next().await;
    let id = site.alert("@user_name1", "low", "m").await;
    assert_eq!(stream.next().await.data["alertId"], id);
}

#[tokio::test]
async fn what_is_no_event_id_is_400_naming_the_header() {
    let site = Site::new().await;
    for id in ["x", "", "1", "1-", "-1-1"] {
        let asked = request("GET", "/v1/events").header("last-event-id", id);
        let answer = site.send(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 400, "{id:?}");
        let field = &answer.envelope()["errors"][0]["field"];
        assert_eq!(field, "Last-Event-ID");
    }
}

#[tokio::test]
async fn streams_end_when_the_process_is_to_end() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    site.readiness.drain();
    assert_eq!(stream.block().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_it_was_opened_with() {
    let site = Site::new().await;
    let mut open = Stream::open(&site, None).await;
    let holder = with_scopes(&site, &[Scope::AlertsRead, Scope::AlertsWrite]).await;
    let asked = with_token("GET", "/v1/events", Some(&holder.token));
    let mut stream = Stream::of(site.router.clone().oneshot(asked).await.unwrap()).await;
    let post = |message: &str| {
        let body = json!({"target": ["@all"], "severity": "low", "message": message});
        json_with_token("POST", "/v1/alerts", &holder.token, &body)
    };
    assert_eq!(site.send(post("node1 down")).await.status, 200);
    assert_eq!(stream.next().await.data["message"], "node1 down");
    // The first token closes the API to those who came without one.
    assert_eq!(open.block().await, None);
    let writer = with_scopes(&site, &[Scope::AlertsWrite]).await;
    revoke(&site, holder.id).await;
    let body = json!({"target": ["@all"], "severity": "low", "message": "node2 down"});
    let after = json_with_token("POST", "/v1/alerts", &writer.token, &body);
    assert_eq!(site.send(after).await.status, 200);
    assert_eq!(stream.block().await, None);
}

#[tokio::test]
async fn one_stream_too_many_is_503_and_an_ended_one_makes_room() {
    let site = Site::new().await;
    let mut streams = vec![];
    for _ in 0..64 {
        streams.push(Stream::open(&site, None).await);
    }
    let answer = site.get("/v1/events").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.envelope()["errorCode"], "TOO_MANY_STREAMS");
    drop(streams);
    // The ended ones find out when they have something to send.
    loop {
        site.alert("@user_name1", "low", "m").await;
        let asked = request("GET", "/v1/events").body(Body::empty()).unwrap();
        let response = site.router.clone().oneshot(asked).await.unwrap();
        if response.status() == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_shows_that_it_is_alive() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(stream.block().await.unwrap(), ": alive");
    assert!(begun.elapsed() >= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let site = Site::new().await;
    let mut stream = Stream::open(&site, None).await;
    let mut count = 0;
    // Sooner or later the stream ends by an error, since nobody reads it.
    let broken = loop {
        site.alert("@user_name1", "low", "m").await;
        count += 1;
        tokio::time::sleep(Duration::from_secs(11)).await;
        if count == 10 {
            break loop {
                let frame = tokio::time::timeout(HANG, stream.body.frame()).await;
                match frame.expect("nothing comes") {
                    Some(Ok(_)) => {}
                    other => break matches!(other, Some(Err(_))),
                }
            };
        }
    };
    assert!(broken);
    assert!(site.now().0 > 0);
}
