//! Those who fail are counted and slowed, and nobody else.

use std::{net::IpAddr, time::Duration};

use axum::body::Body;
use common::ApiTokenId;
use http_api::ClientAddress;
use producer::{
    domain::{ApiTokenName, ApiTokenRecord, ApiTokenSecret, Caller, Command, Grant, Scope},
    ports::{DirectoryStore, Mode},
};
use tokio::time::Instant;
use tower::ServiceExt;
use uuid::Uuid;

use crate::support::{Answer, Api, request};

/// An API with one token, over fakes that do not wait.
async fn api() -> (Api, String) {
    let api = Api::new();
    let secret = ApiTokenSecret::generate();
    let record = ApiTokenRecord {
        id: ApiTokenId(Uuid::from_u128(1)),
        name: ApiTokenName::parse("ci").unwrap(),
        hash: secret.hash(),
        grant: Grant::new([Scope::Admin].into_iter().collect(), None).unwrap(),
        expires_at: None,
    };
    let commands = vec![Command::CreateApiToken(record)];
    api.store
        .execute(commands, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
    (api, secret.text().expose().to_owned())
}

async fn ask(api: &Api, from: &str, token: &str) -> Answer {
    let from: IpAddr = from.parse().unwrap();
    let request = request("GET", "/v1/users")
        .extension(ClientAddress(from))
        .header("authorization", format!("Bearer {token}"));
    api.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn who_fails_often_waits_and_whose_token_is_taken_never_does() {
    let (api, token) = api().await;
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(ask(&api, "192.0.2.1", "en_guess").await.status, 401);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(ask(&api, "192.0.2.1", "en_guess").await.status, 401);
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    let begun = Instant::now();
    assert_eq!(ask(&api, "192.0.2.1", &token).await.status, 200);
    assert_eq!(ask(&api, "192.0.2.2", "en_guess").await.status, 401);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn of_very_many_failures_at_once_most_are_turned_away() {
    let (api, token) = api().await;
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let request = request("GET", "/v1/users")
            .extension(ClientAddress("192.0.2.1".parse().unwrap()))
            .header("authorization", "Bearer en_guess");
        let request = request.body(Body::empty()).unwrap();
        answers.spawn(api.router.clone().oneshot(request));
    }
    let mut statuses = Vec::new();
    while let Some(answer) = answers.join_next().await {
        let answer = answer.unwrap().unwrap();
        let again = answer.headers().contains_key("retry-after");
        statuses.push((answer.status().as_u16(), again));
    }
    statuses.sort_unstable();
    let expected: Vec<_> = [vec![(401, false); 74], vec![(429, true); 26]].concat();
    assert_eq!(statuses, expected);
    assert_eq!(ask(&api, "192.0.2.1", &token).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_token_guesses_nothing_and_is_not_slowed() {
    let (api, _) = api().await;
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(api.get("/v1/users").await.status, 401);
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_by_reason() {
    let (api, _) = api().await;
    api.get("/v1/users").await;
    let unknown = ApiTokenSecret::generate().text();
    ask(&api, "192.0.2.1", unknown.expose()).await;
    ask(&api, "192.0.2.1", "en_guess").await;
    let metrics = api.get("/metrics").await;
    for reason in ["missing", "unknown", "malformed"] {
        let line = format!("http_refused_tokens_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.text().contains(&line), "{}", metrics.text());
    }
}
