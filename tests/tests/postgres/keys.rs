//! Idempotency keys across processes.

use common::AlertId;
use producer::ports::{Claim, IdempotencyKey, IdempotencyKeys};

use super::support::{Database, until_so};

fn key() -> IdempotencyKey {
    IdempotencyKey {
        scope: "caller".into(),
        key: "key1".into(),
        fingerprint: [1; 16],
        answer: "first".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_at_other_processes_wait_for_word_of_the_end() {
    let database = Database::new();
    let (one, other) = (database.connect().await, database.connect().await);
    let alert = AlertId::generate();
    assert_eq!(one.keys.claim(&key(), alert).await, Ok(Claim::Claimed));
    let mut twins = tokio::task::JoinSet::new();
    for keys in [one.keys.clone(), other.keys.clone(), other.keys.clone()] {
        twins.spawn(async move { keys.claim(&key(), AlertId::generate()).await });
    }
    let awaited = "SELECT is_awaited FROM idempotency_key";
    until_so("a twin to wait", || database.sql(awaited) == "t").await;
    one.keys.complete(&key(), alert).await.unwrap();
    let answer = "first".to_owned();
    for claim in twins.join_all().await {
        let answer = answer.clone();
        assert_eq!(claim, Ok(Claim::Done { answer }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twins_that_hear_of_a_failure_one_goes_on_and_the_others_wait_for_it() {
    let database = Database::new();
    let (one, other) = (database.connect().await, database.connect().await);
    let alert = AlertId::generate();
    assert_eq!(one.keys.claim(&key(), alert).await, Ok(Claim::Claimed));
    let mut twins = tokio::task::JoinSet::new();
    for keys in [one.keys.clone(), other.keys.clone(), other.keys.clone()] {
        twins.spawn(async move {
            let claim = keys.claim(&key(), AlertId::generate()).await.unwrap();
            if let Claim::Pending { alert, .. } = &claim {
                keys.complete(&key(), *alert).await.unwrap();
            }
            claim
        });
    }
    let awaited = "SELECT is_awaited FROM idempotency_key";
    until_so("a twin to wait", || database.sql(awaited) == "t").await;
    one.keys.release(&key(), alert).await.unwrap();
    let claims = twins.join_all().await;
    let answer = "first".to_owned();
    let goes_on = Claim::Pending {
        alert,
        answer: answer.clone(),
    };
    assert_eq!(claims.iter().filter(|one| **one == goes_on).count(), 1);
    let done = Claim::Done { answer };
    assert_eq!(claims.iter().filter(|one| **one == done).count(), 2);
}
