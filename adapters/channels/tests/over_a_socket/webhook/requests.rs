//! What a webhook is sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use consumer::{
    domain::{Digest, DigestId, Fault},
    ports::Part,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    SECRET, Sent, channel, refused, send,
    server::{Reply, Request, Seen, Server, answer},
};

fn accepting() -> Reply {
    Reply::Answer(answer("204 No Content", "", ""))
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let mut found = request.headers.iter();
    found
        .find_map(|line| line.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("no {name}"))
}

/// Whether the request is signed with [`SECRET`], worked out apart from the channel.
fn is_signed(request: &Request) -> bool {
    let key = BASE64_STANDARD.decode(&SECRET[6..]).unwrap();
    let content = format!(
        "{}.{}.{}",
        header(request, "webhook-id"),
        header(request, "webhook-timestamp"),
        request.body
    );
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content.as_bytes());
    header(request, "webhook-signature") == format!("v1,{}", BASE64_STANDARD.encode(tag))
}

#[tokio::test]
async fn a_message_is_posted_signed_with_what_is_known_of_it() {
    let mut server = Server::start(accepting()).await;
    let before = SystemTime::now();
    send(&server.url).await;
    let request = server.request().await;
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(header(&request, "content-type"), "application/json");
    assert_eq!(header(&request, "user-agent"), "error-notifier/0.1.0");
    assert_eq!(header(&request, "x-global-transaction-id"), "G1");
    let id = "00000000-0000-0000-0000-000000000007";
    assert_eq!(header(&request, "webhook-id"), id);
    let at: u64 = header(&request, "webhook-timestamp").parse().unwrap();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((seconds(before)..=seconds(SystemTime::now())).contains(&at));
    assert!(is_signed(&request));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let alert = body["data"]["alertIds"][0].as_str().unwrap().to_owned();
    assert_eq!(
        body,
        json!({"type": "alert.raised", "timestamp": "2026-11-23T08:00:00.123Z", "data": {
            "deliveryId": id, "alertIds": [alert], "severity": "high",
            "text": "[high] \"node1\" <down>\n장애", "part": 1, "parts": 1}})
    );
}

#[tokio::test]
async fn a_further_part_has_an_id_of_its_own() {
    let mut server = Server::start(accepting()).await;
    let mut sent = Sent::to(&server.url);
    sent.part = Part { number: 2, of: 3 };
    sent.by(&channel(Duration::from_secs(60))).await;
    let request = server.request().await;
    assert_eq!(
        header(&request, "webhook-id"),
        "00000000-0000-0000-0000-000000000007-2"
    );
    assert!(is_signed(&request));
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(
        (&body["data"]["part"], &body["data"]["parts"]),
        (&json!(2), &json!(3))
    );
}

#[tokio::test]
async fn a_digest_says_how_many_it_carries() {
    let mut server = Server::start(accepting()).await;
    let mut sent = Sent::to(&server.url);
    sent.digest = Some(Digest {
        id: DigestId(uuid::Uuid::from_u128(7)),
        text: "".into(),
        members: [3, 2, 0],
    });
    sent.by(&channel(Duration::from_secs(60))).await;
    let body: Value = serde_json::from_str(&server.request().await.body).unwrap();
    assert_eq!(body["type"], "alert.digest");
    assert_eq!(
        body["data"]["alerts"],
        json!({"high": 0, "normal": 2, "low": 3})
    );
    assert_eq!(body["data"]["severity"], "normal");
    assert_eq!(body["data"].get("alertIds"), None);
}

#[rstest]
#[case::removed("")]
#[case::a_slack_token("xoxb-1")]
#[case::not_base64("whsec_!!!!")]
#[tokio::test]
async fn a_secret_that_cannot_sign_is_refused_for_good_and_nothing_is_sent(#[case] secret: &str) {
    let mut server = Server::start(accepting()).await;
    let sent = Sent::to(&server.url).with_secret(secret);
    let refusal = refused(sent.by(&channel(Duration::from_secs(60))).await);
    assert_eq!((refusal.fault, refusal.lasting), (Fault::Credential, true));
    assert!(server.so_far().is_empty());
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    let mut server = Server::start(accepting()).await;
    let channel = channel(Duration::from_secs(60));
    for _ in 0..50 {
        Sent::to(&server.url).by(&channel).await;
    }
    let seen = server.so_far();
    let connections = seen.iter().filter(|seen| matches!(seen, Seen::Connected));
    assert!(connections.count() < 5);
}
