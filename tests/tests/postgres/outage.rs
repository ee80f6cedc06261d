//! A database that goes away and comes back.

use common::AlertId;
use producer::{
    domain::{Caller, Command},
    ports::{Claim, DirectoryStore, IdempotencyKey, IdempotencyKeys, KeysError, Mode, StoreError},
};
use tests::services;

use super::{
    proxy::{Loses, Proxy},
    support::{Database, connect, execute, names, put_user, server, until, until_so, user_id},
};

fn is_unwritable<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Unwritable(_)))
}

fn key() -> IdempotencyKey {
    IdempotencyKey {
        scope: String::new(),
        key: "key1".into(),
        fingerprint: [1; 16],
        answer: "first".into(),
    }
}

/// What happens while the database is away, and after.
async fn goes_and_comes_back(
    server: &mut services::Postgres,
    go: impl FnOnce(&mut services::Postgres),
    come: impl FnOnce(&mut services::Postgres),
) {
    let store = connect(&server.url()).await;
    let other = connect(&server.url()).await;
    execute(&store, vec![put_user(1, "ann"), put_user(2, "ben")])
        .await
        .unwrap();
    until("ann and ben", &other, |now| now.user_count() == 2).await;
    assert_eq!(store.health(), Ok(()));

    go(server);
    let refused = execute(&store, vec![put_user(3, "carl")]).await;
    assert!(is_unwritable(&refused), "{refused:?}");
    let first = AlertId::generate();
    let claim = store.keys.claim(&key(), first).await;
    assert!(matches!(claim, Err(KeysError::Away(_))), "{claim:?}");
    until_so("word of it", || store.health().is_err()).await;
    assert_eq!(names(&store.directory.snapshot()), ["ann", "ben"]);

    come(server);
    server.sql(
        services::Postgres::DATABASE,
        "UPDATE users SET name = 'anna' WHERE name = 'ann'",
    );
    for store in [&store, &other] {
        until("what changed meanwhile", store, |now| {
            names(now) == ["anna", "ben"]
        })
        .await;
        until_so("health", || store.health().is_ok()).await;
    }
    execute(&store, vec![put_user(3, "carl")]).await.unwrap();
    until("carl", &other, |now| names(now) == ["anna", "ben", "carl"]).await;
    // The question may have arrived after all, and been carried out later.
    let answer = "first".into();
    let arrived = Claim::Pending {
        alert: first,
        answer,
    };
    let claim = store.keys.claim(&key(), AlertId::generate()).await.unwrap();
    assert!([Claim::Claimed, arrived].contains(&claim), "{claim:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_costs_changes_alone_and_is_followed_on_when_it_is_back() {
    let mut server = services::Postgres::start();
    goes_and_comes_back(
        &mut server,
        services::Postgres::stop,
        services::Postgres::start_again,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_is_followed_on_when_it_is_back() {
    let mut server = services::Postgres::start();
    goes_and_comes_back(
        &mut server,
        services::Postgres::kill,
        services::Postgres::start_again,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_says_nothing_is_given_up_in_time() {
    let mut server = services::Postgres::start();
    goes_and_comes_back(
        &mut server,
        |server| server.pause(),
        |server| server.resume(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_who_ask_while_it_says_nothing_all_are_refused_and_none_later_done() {
    let server = services::Postgres::start();
    let store = connect(&server.url()).await;
    server.pause();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let (directory, put) = (store.directory.clone(), vec![put_user(n, "ann")]);
        calls.spawn(async move { directory.execute(put, Mode::Commit, &Caller::LOCAL).await });
    }
    for answer in calls.join_all().await {
        assert!(is_unwritable(&answer), "{answer:?}");
    }
    server.resume();
    until_so("health", || store.health().is_ok()).await;
    execute(&store, vec![put_user(2000, "ben")]).await.unwrap();
    assert_eq!(names(&store.directory.snapshot()), ["ben"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_holds_the_directory_costs_changes_alone_and_for_a_bounded_time() {
    let database = Database::new();
    let store = database.connect().await;
    let person = database.session().await;
    person
        .batch_execute("BEGIN; DELETE FROM users")
        .await
        .unwrap();
    let refused = execute(&store, vec![put_user(1, "ann")]).await;
    assert!(is_unwritable(&refused), "{refused:?}");
    person.batch_execute("ROLLBACK").await.unwrap();
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
}

/// The URL of a database through a proxy.
async fn through(database: &Database, loses: Loses) -> (Proxy, String) {
    let proxy = Proxy::to(server().address(), loses).await;
    let direct = server().address().to_string();
    let url = database.url.replace(&direct, &proxy.address.to_string());
    assert_ne!(url, database.url);
    (proxy, url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_answer_was_lost_is_found_out_to_be_done() {
    let database = Database::new();
    let (proxy, url) = through(&database, Loses::Answer).await;
    let store = connect(&url).await;
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    proxy.arm();
    execute(&store, vec![put_user(2, "ben")]).await.unwrap();
    assert!(proxy.has_lost());
    assert_eq!(names(&store.directory.snapshot()), ["ann", "ben"]);
    assert_eq!(database.sql("SELECT count(*) FROM users"), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_commit_was_lost_is_found_out_not_to_be_done() {
    let database = Database::new();
    let (proxy, url) = through(&database, Loses::Question).await;
    let store = connect(&url).await;
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    proxy.arm();
    let refused = execute(&store, vec![Command::RemoveUser(user_id(1))]).await;
    assert!(is_unwritable(&refused), "{refused:?}");
    assert!(proxy.has_lost());
    assert_eq!(names(&store.directory.snapshot()), ["ann"]);
    assert_eq!(database.sql("SELECT name FROM users"), "ann");
}
