//! Several processes on one database, and people with `psql`.

use std::sync::Arc;

use common::{Alert, AlertId, Gtid, Recipient, Recipients, Severity, UtcMillis};
use consumer::{
    domain::{Lease, Position, Progress},
    ports::Credentials,
};
use producer::{
    domain::{Caller, Command, Directory, DirectoryError},
    ports::{DirectoryStore, Mode, StoreError},
};

use super::support::{
    Database, connect, execute, group_id, members, names, put_group, put_user, record, server,
    until, until_so, user_id,
};

/// ann and ben, both in `everyone`.
fn two_users() -> Vec<Command> {
    vec![
        put_user(1, "ann"),
        put_user(2, "ben"),
        put_group(1, "everyone", &[1, 2]),
    ]
}

fn token(directory: &Directory, n: u128) -> String {
    let user = directory.user(user_id(n)).unwrap();
    let credential = &user.destinations.first().credential;
    credential.secret.expose().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_follow_each_other() {
    let database = Database::new();
    let (one, other) = (database.connect().await, database.connect().await);
    execute(&one, two_users()).await.unwrap();
    until("ann and ben", &other, |now| members(now, 1) == [1, 2]).await;
    let changes = vec![
        put_user(1, "ben's namesake"),
        Command::RemoveUser(user_id(2)),
        put_user(3, "ben"),
        Command::Subscribe(group_id(1), user_id(3)),
    ];
    execute(&other, changes).await.unwrap();
    until("the changes", &one, |now| members(now, 1) == [1, 3]).await;
    for store in [&one, &other] {
        let now = store.directory.snapshot();
        assert_eq!(names(&now), ["ben", "ben's namesake"]);
        assert_eq!(now.user_named("ben").unwrap().id, user_id(3));
        assert_eq!(token(&now, 3), "token3");
        assert!(now.user(user_id(2)).is_none());
    }
    execute(&one, vec![Command::RemoveGroup(group_id(1))])
        .await
        .unwrap();
    until("no group", &other, |now| now.group_count() == 0).await;
    assert_eq!(other.directory.snapshot().groups_of(user_id(1)).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_judged_by_what_others_have_just_written() {
    let database = Database::new();
    let (one, other) = (database.connect().await, database.connect().await);
    for n in 1..50 {
        let name = format!("user{n}");
        execute(&one, vec![put_user(n, &name)]).await.unwrap();
        let taken = vec![put_user(1000 + n, &name)];
        let refused = execute(&other, taken).await.unwrap_err();
        let expected = StoreError::Refused(vec![(0, DirectoryError::UserNameTaken)]);
        assert_eq!(refused, expected);
        assert!(other.directory.snapshot().user_named(&name).is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_processes_that_create_one_name_at_once_one_does() {
    let database = Database::new();
    let mut stores = Vec::new();
    for _ in 0..5 {
        stores.push(database.connect().await);
    }
    let mut calls = tokio::task::JoinSet::new();
    for (n, store) in (1_u128..).zip(&stores) {
        let directory = store.directory.clone();
        let create = vec![put_user(n, "ann")];
        calls.spawn(async move {
            directory
                .execute(create, Mode::Commit, &Caller::LOCAL)
                .await
                .is_ok()
        });
    }
    let done = calls.join_all().await;
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    for store in &stores {
        until("ann", store, |now| now.user_count() == 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_edits_with_sql_counts() {
    let database = Database::new();
    let store = database.connect().await;
    execute(&store, two_users()).await.unwrap();

    database.sql("UPDATE users SET name = CASE name WHEN 'ann' THEN 'ben' ELSE 'ann' END");
    until("exchanged names", &store, |now| {
        now.user_named("ann")
            .is_some_and(|ann| ann.id == user_id(2))
            && now
                .user_named("ben")
                .is_some_and(|ben| ben.id == user_id(1))
    })
    .await;

    let of_ben = "SELECT credential_id FROM user_destination p JOIN users u ON u.id = p.user_id
         WHERE u.name = 'ben'";
    let token1 = database.sql(of_ben);
    database.sql(
        "WITH new AS (
           INSERT INTO credential (secret) VALUES ('rotated') RETURNING id)
         UPDATE user_destination p SET credential_id = new.id, updated_at = now()
         FROM new, users u WHERE u.name = 'ben' AND p.user_id = u.id AND p.position = 0",
    );
    until("the rotated token", &store, |now| {
        token(now, 1) == "rotated"
    })
    .await;
    let retired = "SELECT id FROM credential WHERE retired_at IS NOT NULL";
    assert_eq!(database.sql(retired), token1);

    database.sql(
        "WITH place AS (
           INSERT INTO destination (kind, base_url, address) VALUES ('slack', '', 'by hand') RETURNING id),
         new AS (INSERT INTO users (id, name)
           VALUES ('00000000-0000-0000-0000-000000000003', 'carl') RETURNING id)
         INSERT INTO user_destination (user_id, position, destination_id, credential_id)
         SELECT new.id, 0, place.id, (SELECT min(id) FROM credential) FROM new, place",
    );
    database.sql("INSERT INTO noti_group_user SELECT g.id, u.id FROM noti_group g, users u WHERE u.name = 'carl'");
    until("carl", &store, |now| members(now, 1) == [1, 2, 3]).await;
    let carl = store.directory.snapshot().user(user_id(3)).unwrap().clone();
    let place = &carl.destinations.first().destination;
    let expected = common::Destination::new(common::ChannelKind::SLACK, "", "by hand");
    assert_eq!(**place, expected);

    database.sql("DELETE FROM users WHERE name = 'ann'; DELETE FROM noti_group_user WHERE user_id = '00000000-0000-0000-0000-000000000003'");
    until("the deletions", &store, |now| members(now, 1) == [1]).await;
    assert_eq!(names(&store.directory.snapshot()), ["ben", "carl"]);

    database.sql("TRUNCATE users, noti_group CASCADE");
    until("nobody", &store, |now| {
        now.user_count() == 0 && now.group_count() == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_counts_whatever_search_path_and_role_it_is_made_with() {
    let database = Database::new();
    let store = database.connect().await;
    execute(&store, two_users()).await.unwrap();
    server().administer(
        &database.name,
        "SET search_path = pg_catalog; DELETE FROM public.users WHERE name = 'ann'",
    );
    until("no ann", &store, |now| names(now) == ["ben"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_refer_to_cannot_be_edited_by_mistake() {
    let database = Database::new();
    let store = database.connect().await;
    execute(&store, two_users()).await.unwrap();
    for (edit, mends) in [
        (
            "UPDATE destination SET address = 'elsewhere'",
            "insert another",
        ),
        ("UPDATE credential SET secret = 'other'", "insert another"),
        ("UPDATE users SET name = 'all'", "users_name_check"),
        (
            "UPDATE noti_group SET name = 'four'",
            "noti_group_name_check",
        ),
    ] {
        let refused = server().try_sql(&database.name, server().password(), edit);
        let refused = refused.unwrap_err();
        assert!(refused.contains(mends), "{edit}: {refused}");
    }
    assert_eq!(names(&store.directory.snapshot()), ["ann", "ben"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_cannot_be_told_is_left_out_until_they_can() {
    let database = Database::new();
    let (store, other) = (database.connect().await, database.connect().await);
    execute(&store, two_users()).await.unwrap();
    database.sql("UPDATE user_destination SET position = 1, id = user_id WHERE user_id = '00000000-0000-0000-0000-000000000001'");
    for store in [&store, &other] {
        until("ben alone", store, |now| {
            names(now) == ["ben"] && members(now, 1) == [2]
        })
        .await;
    }
    // Whoever begins now sees the same.
    let late = database.connect().await;
    assert_eq!(members(&late.directory.snapshot(), 1), [2]);
    // The name is taken nevertheless, and says so.
    let refused = execute(&store, vec![put_user(3, "ann")]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Failed(reason) if reason.contains("users_name_key")));
    database.sql("UPDATE user_destination SET position = 0, id = NULL WHERE position = 1");
    for store in [&store, &other, &late] {
        until("both", store, |now| {
            names(now) == ["ann", "ben"] && members(now, 1) == [1, 2]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_that_fails_fails_alone() {
    let database = Database::new();
    let store = database.connect().await;
    // A row that no directory shows, and whose name is taken nevertheless.
    database.sql(
        "INSERT INTO users (id, name) VALUES ('00000000-0000-0000-0000-0000000000ff', 'ghost')",
    );
    let mut calls = tokio::task::JoinSet::new();
    for n in 1..=20 {
        let name = if n == 7 {
            "ghost".to_owned()
        } else {
            format!("user{n}")
        };
        let (directory, put) = (store.directory.clone(), vec![put_user(n, &name)]);
        calls.spawn(async move {
            (
                n,
                directory.execute(put, Mode::Commit, &Caller::LOCAL).await,
            )
        });
    }
    for (n, answer) in calls.join_all().await {
        assert_eq!(answer.is_err(), n == 7, "{n}: {answer:?}");
    }
    assert_eq!(store.directory.snapshot().user_count(), 19);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_not_missed_by_who_has_followed_further() {
    let database = Database::new();
    let (store, other) = (database.connect().await, database.connect().await);
    execute(&store, two_users()).await.unwrap();
    // A person's transaction that has its number of the log, and takes its time.
    let person = database.session().await;
    person
        .batch_execute("BEGIN; UPDATE users SET name = 'late' WHERE name = 'ann'")
        .await
        .unwrap();
    // One that began later has to wait for it, and so has a higher number.
    let directory = other.directory.clone();
    let later = tokio::spawn(async move {
        let rename = vec![put_user(2, "later")];
        directory
            .execute(rename, Mode::Commit, &Caller::LOCAL)
            .await
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    until_so("the later one to wait", || database.sql(waiting) == "1").await;
    assert_eq!(names(&store.directory.snapshot()), ["ann", "ben"]);
    person.batch_execute("COMMIT").await.unwrap();
    later.await.unwrap().unwrap();
    assert_eq!(names(&other.directory.snapshot()), ["late", "later"]);
    until("both", &store, |now| names(now) == ["late", "later"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rolled_back_is_followed_by_nobody() {
    let database = Database::new();
    let store = database.connect().await;
    execute(&store, two_users()).await.unwrap();
    let person = database.session().await;
    person
        .batch_execute(
            "BEGIN; DELETE FROM users; ROLLBACK; UPDATE users SET name = 'anna' WHERE name = 'ann'",
        )
        .await
        .unwrap();
    until("anna", &store, |now| names(now) == ["anna", "ben"]).await;
    assert_eq!(members(&store.directory.snapshot(), 1), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_restored_is_read_anew() {
    let database = Database::new();
    let (store, other) = (database.connect().await, database.connect().await);
    execute(&store, two_users()).await.unwrap();
    until("ann and ben", &other, |now| now.user_count() == 2).await;
    // As after a restore: other rows, under the log's numbers of before.
    server().administer(
        &database.name,
        "SET session_replication_role = replica;
         DELETE FROM noti_group_user WHERE user_id = '00000000-0000-0000-0000-000000000001';
         DELETE FROM user_destination WHERE user_id = '00000000-0000-0000-0000-000000000001';
         DELETE FROM users WHERE name = 'ann';
         UPDATE directory_change SET at = at - interval '1 day'",
    );
    // Whoever changes something sees it at once, and whoever follows by that.
    execute(&store, vec![put_user(3, "carl")]).await.unwrap();
    assert_eq!(names(&store.directory.snapshot()), ["ben", "carl"]);
    until("the restored", &other, |now| names(now) == ["ben", "carl"]).await;
    assert_eq!(members(&other.directory.snapshot(), 1), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_import_is_followed_whole() {
    let database = Database::new();
    let (store, other) = (database.connect().await, connect(&database.url).await);
    let users = 1..=20_000_u128;
    let mut import: Vec<_> = users
        .clone()
        .map(|n| put_user(n, &format!("user{n}")))
        .collect();
    import.push(put_group(1, "everyone", &users.collect::<Vec<_>>()));
    execute(&store, import).await.unwrap();
    until("the import", &other, |now| now.user_count() == 20_000).await;
    assert_eq!(members(&other.directory.snapshot(), 1).len(), 20_000);
    database.sql("DELETE FROM users WHERE name LIKE 'user1%'");
    until("the deletion", &other, |now| now.user_count() == 8_889).await;
    assert_eq!(members(&other.directory.snapshot(), 1).len(), 8_889);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_another_process_has_changed_is_the_one_that_is_sent_with() {
    let database = Database::new();
    let (store, other) = (database.connect().await, database.connect().await);
    execute(&store, two_users()).await.unwrap();
    let ann = store.directory.snapshot().user(user_id(1)).unwrap().clone();
    let place = ann.destinations.first();
    let alert = Alert {
        id: AlertId::generate(),
        caller: None,
        gtid: Gtid::random(),
        severity: Severity::Normal,
        message: "node1 down".into(),
        targets: ["@ann".into()].into(),
        accepted_at: UtcMillis(0),
        verbatim: false,
    };
    let lease = Lease {
        position: Position {
            sequence: 1,
            ordinal: 0,
        },
        alert: Arc::new(alert),
        accepted_as: None,
        destination: place.destination.clone(),
        credential: place.credential.clone(),
        recipients: Recipients::from_elem(
            Recipient {
                user: user_id(1),
                target: 0,
            },
            1,
        ),
        progress: Progress::default(),
        digest: None,
    };
    let used = || store.directory.current(&lease).secret.expose().to_owned();
    assert_eq!(used(), "token1");
    // ann takes ben's token.
    let changed = Command::PutUser(producer::domain::UserRecord {
        token: Some(producer::domain::Token::parse("token2").unwrap()),
        ..record(1, "ann")
    });
    execute(&other, vec![changed]).await.unwrap();
    until("the token", &store, |now| token(now, 1) == "token2").await;
    assert_eq!(used(), "token2");
    execute(&other, vec![Command::RemoveUser(user_id(1))])
        .await
        .unwrap();
    until("no ann", &store, |now| now.user(user_id(1)).is_none()).await;
    assert_eq!(used(), "token1", "that of acceptance");
}
