//! What idempotency keys promise: a request counts once, however often it is sent.

use common::Severity::Normal;
use producer::ports::{AcceptError, Acceptance, IdempotencyKey};

use super::{
    QueueUnderTest,
    rig::{Rig, alerts},
};

fn key(scope: &str, fingerprint: u8, answer: &str) -> IdempotencyKey {
    IdempotencyKey {
        scope: scope.into(),
        key: "key1".into(),
        fingerprint: [fingerprint; 16],
        answer: answer.into(),
    }
}

fn replayed(answer: &str) -> Result<Acceptance, AcceptError> {
    let answer = answer.to_owned();
    Ok(Acceptance::Replayed { answer })
}

pub async fn a_repeated_request_is_answered_as_the_first_and_told_once<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    let first = rig.accept_with_key(2, key("", 1, "first")).await;
    assert_eq!(first, Ok(Acceptance::Accepted));
    for _ in 0..3 {
        let again = rig.accept_with_key(2, key("", 1, "again")).await;
        assert_eq!(again, replayed("first"));
    }
    assert_eq!(rig.receive_all().await.len(), 2);
    let mut rig = rig.restart().await;
    assert_eq!(rig.receive_all().await.len(), 2);
}

pub async fn another_request_under_the_same_key_is_a_conflict_and_tells_nobody<
    Q: QueueUnderTest,
>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    rig.accept_with_key(1, key("", 1, "first")).await.unwrap();
    let other = rig.accept_with_key(2, key("", 2, "other")).await;
    assert_eq!(other, Err(AcceptError::KeyConflict));
    let again = rig.accept_with_key(1, key("", 1, "again")).await;
    assert_eq!(again, replayed("first"));
    assert_eq!(rig.receive_all().await.len(), 1);
    let mut rig = rig.restart().await;
    assert_eq!(rig.receive_all().await.len(), 1);
}

pub async fn without_a_key_a_repeated_request_is_another_alert<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    let one = rig.accept(Normal, 1).await;
    let other = rig.accept(Normal, 1).await;
    assert_eq!(alerts(&rig.receive_all().await), [one, other]);
}

pub async fn the_same_key_of_another_caller_is_another_key<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    for (scope, fingerprint) in [("", 1), ("caller1", 1), ("caller2", 2)] {
        let answer = rig.accept_with_key(1, key(scope, fingerprint, scope)).await;
        assert_eq!(answer, Ok(Acceptance::Accepted), "{scope:?}");
    }
    let again = rig.accept_with_key(1, key("caller2", 2, "")).await;
    assert_eq!(again, replayed("caller2"));
    assert_eq!(rig.receive_all().await.len(), 3);
}

/// Sends 100 requests under one key at once, each with its own answer; says what
/// became of them.
async fn at_once<Q: QueueUnderTest>(
    rig: &Rig<Q>,
    fingerprint: impl Fn(u8) -> u8,
) -> Vec<(u8, Result<Acceptance, AcceptError>)> {
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..100 {
        let accepted = rig.alert(Normal, rig.deliveries(2));
        let key = key("", fingerprint(n), &n.to_string());
        let queue = rig.ports.alerts.clone();
        calls.spawn(async move { (n, queue.accept(accepted, Some(key)).await) });
    }
    calls.join_all().await
}

pub async fn of_many_twins_at_once_one_is_accepted<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    let answers = at_once(&rig, |_| 1).await;
    let accepted = |(_, answer): &&(_, _)| *answer == Ok(Acceptance::Accepted);
    let accepted: Vec<_> = answers.iter().filter(accepted).collect();
    assert_eq!(accepted.len(), 1);
    let first = accepted[0].0;
    for (n, answer) in answers.iter().filter(|(n, _)| *n != first) {
        assert_eq!(*answer, replayed(&first.to_string()), "{n}");
    }
    assert_eq!(rig.receive_all().await.len(), 2);
}

pub async fn of_many_rivals_at_once_one_is_accepted<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(2).await;
    let answers = at_once(&rig, |n| n).await;
    let count = |expected| answers.iter().filter(|(_, a)| *a == expected).count();
    assert_eq!(count(Ok(Acceptance::Accepted)), 1);
    assert_eq!(count(Err(AcceptError::KeyConflict)), 99);
    assert_eq!(rig.receive_all().await.len(), 2);
}

pub async fn a_key_survives_a_restart<Q: QueueUnderTest>() {
    let rig = Rig::<Q>::with_users(1).await;
    rig.accept_with_key(1, key("", 1, "first")).await.unwrap();
    let mut rig = rig.restart().await;
    let again = rig.accept_with_key(1, key("", 1, "again")).await;
    assert_eq!(again, replayed("first"));
    let other = rig.accept_with_key(1, key("", 2, "other")).await;
    assert_eq!(other, Err(AcceptError::KeyConflict));
    assert_eq!(rig.receive_all().await.len(), 1);
}

pub async fn a_request_that_reached_nobody_is_replayed_too<Q: QueueUnderTest>() {
    let mut rig = Rig::<Q>::with_users(1).await;
    let first = rig.accept_with_key(0, key("", 1, "nobody")).await;
    assert_eq!(first, Ok(Acceptance::Accepted));
    let again = rig.accept_with_key(1, key("", 1, "somebody")).await;
    assert_eq!(again, replayed("nobody"));
    rig.assert_nothing_comes().await;
}
