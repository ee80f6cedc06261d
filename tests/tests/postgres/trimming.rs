//! What has served its time goes, and nothing else.

use common::AlertId;
use producer::{
    domain::Command,
    ports::{Claim, DirectoryStore, IdempotencyKey, IdempotencyKeys},
};

use super::support::{Database, execute, names, put_user, until, user_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_more_than_a_day_ago_go() {
    let database = Database::new();
    let store = database.connect().await;
    let key = |name: &str| IdempotencyKey {
        scope: String::new(),
        key: name.into(),
        fingerprint: [1; 16],
        answer: String::new(),
    };
    for name in ["old", "young"] {
        let claim = store.keys.claim(&key(name), AlertId::generate()).await;
        assert_eq!(claim, Ok(Claim::Claimed));
    }
    // More than one step.
    database.sql(
        "UPDATE idempotency_key SET created_at = now() - interval '25 hours' WHERE key = 'old';
         INSERT INTO idempotency_key (scope, key, fingerprint, alert_id, answer, created_at)
         SELECT 'many', n, '', gen_random_uuid(), '', now() - interval '2 days'
         FROM generate_series(1, 2500) n",
    );
    store.trim().await.unwrap();
    assert_eq!(database.sql("SELECT key FROM idempotency_key"), "young");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_keeps_a_day_and_its_last_row_and_who_is_behind_reads_anew() {
    let database = Database::new();
    let (store, other) = (database.connect().await, database.connect().await);
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    until("ann", &other, |now| now.user_count() == 1).await;
    database.sql("UPDATE directory_change SET at = at - interval '2 days'");
    store.trim().await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM directory_change"), "1");
    execute(&store, vec![put_user(2, "ben")]).await.unwrap();
    until("ben", &other, |now| names(now) == ["ann", "ben"]).await;
    store.trim().await.unwrap();
    assert_eq!(
        database.sql("SELECT min(at) > now() - interval '1 day' FROM directory_change"),
        "t"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_nobody_has_go_when_no_dead_letter_can_be_so_old() {
    let database = Database::new();
    let store = database.connect().await;
    let users = (1..=3).map(|n| put_user(n, &format!("user{n}")));
    execute(&store, users.collect()).await.unwrap();
    let gone = (1..=2).map(|n| Command::RemoveUser(user_id(n)));
    execute(&store, gone.collect()).await.unwrap();
    let retired = "SELECT count(*) FROM credential WHERE retired_at IS NOT NULL";
    assert_eq!(database.sql(retired), "2");
    // One that comes back is no longer retired.
    execute(&store, vec![put_user(1, "user1")]).await.unwrap();
    assert_eq!(database.sql(retired), "1");
    store.trim().await.unwrap();
    assert_eq!(database.sql("SELECT count(*) FROM credential"), "3");
    database.sql("UPDATE credential SET retired_at = now() - interval '32 days' WHERE retired_at IS NOT NULL");
    store.trim().await.unwrap();
    let left = "SELECT count(*), count(p.user_id) FROM credential c
         LEFT JOIN user_destination p ON p.credential_id = c.id";
    assert_eq!(database.sql(left), "2|2");
    assert_eq!(store.directory.snapshot().user_count(), 2);
}
