//! Coming to a database, and refusing to.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::SystemClock;
use postgres::{ConnectError, Postgres};
use producer::ports::DirectoryStore;
use tests::services;

use super::support::{Database, connect, execute, names, put_user, server, settings};

async fn refusal(url: &str, wait: Duration) -> ConnectError {
    let settings = postgres::Settings {
        wait,
        ..settings(url)
    };
    match Postgres::connect(settings, Arc::new(SystemClock::start())).await {
        Ok(_) => panic!("it was opened"),
        Err(refusal) => refusal,
    }
}

/// A wait that no test sits out.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_that_start_at_once_one_migrates_and_all_go_on() {
    let database = Database::new();
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let url = database.url.clone();
        starts.spawn(async move { connect(&url).await });
    }
    let stores = starts.join_all().await;
    assert_eq!(stores.len(), 10);
    let migrations = "SELECT version FROM refinery_schema_history ORDER BY version";
    assert_eq!(database.sql(migrations), "1\n2\n3\n4\n5\n6");
    execute(&stores[0], vec![put_user(1, "ann")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_can_be_brought_up_to_date_on_its_own() {
    let database = Database::new();
    for _ in 0..2 {
        postgres::migrate(database.url.parse().unwrap(), LONG)
            .await
            .unwrap();
    }
    assert_eq!(database.sql("SELECT count(*) FROM users"), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_may_make_no_tables_can_use_them() {
    let database = Database::new();
    postgres::migrate(database.url.parse().unwrap(), LONG)
        .await
        .unwrap();
    let guest = format!("guest_of_{}", database.name);
    server().administer(
        &database.name,
        &format!(
            "CREATE ROLE {guest} LOGIN PASSWORD 'guest';
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {guest};
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {guest}"
        ),
    );
    let url = format!(
        "postgres://{guest}:guest@{}/{}",
        server().address(),
        database.name
    );
    let store = connect(&url).await;
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    assert_eq!(names(&store.directory.snapshot()), ["ann"]);
    store.trim().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let database = Database::new();
    drop(connect(&database.url).await);
    database.sql("UPDATE refinery_schema_history SET version = 9999 WHERE version = 2");
    let refusal = refusal(&database.url, LONG).await;
    assert!(
        matches!(refusal, ConnectError::Newer { found: 9999, .. }),
        "{refusal}"
    );
    assert!(refusal.to_string().contains("run that version"));
    assert_eq!(
        database.sql("SELECT max(version) FROM refinery_schema_history"),
        "9999"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_programs_database_is_refused_and_left_as_it_is() {
    let database = Database::new();
    database.sql("CREATE TABLE users (name text)");
    let refusal = refusal(&database.url, LONG).await;
    assert!(matches!(refusal, ConnectError::Schema { .. }), "{refusal}");
    assert!(
        refusal.to_string().contains("another program (users)"),
        "{refusal}"
    );
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.sql(tables), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_hold_every_name_is_refused() {
    server().sql(
        services::Postgres::DATABASE,
        "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    let refusal = refusal(&server().url_of("latin"), LONG).await;
    assert!(refusal.to_string().contains("ENCODING 'UTF8'"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_at_once_and_shown_nowhere() {
    let url = server()
        .url()
        .replace(server().password(), "wrong-password");
    let refusal = refusal(&url, LONG).await;
    assert!(matches!(refusal, ConnectError::Refused { .. }), "{refusal}");
    let text = refusal.to_string();
    assert!(text.contains("--database-url"), "{text}");
    assert!(text.contains(&server().address().to_string()), "{text}");
    assert!(!format!("{text} {refusal:?}").contains("wrong-password"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_password_and_a_missing_database_are_refused_at_once() {
    let without = server()
        .url()
        .replace(&format!(":{}@", server().password()), "@");
    for url in [without, server().url_of("nowhere")] {
        let refusal = refusal(&url, LONG).await;
        assert!(matches!(refusal, ConnectError::Refused { .. }), "{refusal}");
    }
}

/// A URL at whose address nobody listens.
fn nobodys() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!(
        "postgres://ann:hushed@{}/errors",
        listener.local_addr().unwrap()
    )
}

#[tokio::test]
async fn without_a_wait_a_database_that_is_not_there_is_refused_at_once() {
    let refusal = refusal(&nobodys(), Duration::ZERO).await;
    assert!(
        matches!(refusal, ConnectError::Unreachable { .. }),
        "{refusal}"
    );
    let text = refusal.to_string();
    assert!(
        text.contains("--database-url") && text.contains("--wait"),
        "{text}"
    );
    assert!(!text.contains("hushed"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_while_it_is_waited_for_is_used() {
    let mut server = services::Postgres::start();
    server.stop();
    let url = server.url();
    let connecting = tokio::spawn(async move { connect(&url).await });
    server.start_again();
    let store = connecting.await.unwrap();
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
}

/// What is logged, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn while_it_waits_there_is_a_line_a_second_that_says_for_what() {
    let log = Log::default();
    let to = log.clone();
    // For all threads: where a thread without a subscriber is the first to come to a line, it
    // is off for those that have one, too (https://github.com/tokio-rs/tracing/issues/3611).
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || to.clone())
        .init();
    let url = nobodys();
    refusal(&url, Duration::from_secs(2)).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let place = url.split('@').nth(1).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(place)).collect();
    assert!((1..=2).contains(&lines.len()), "{text}");
    for line in lines {
        assert!(line.contains("waiting for PostgreSQL"), "{line}");
    }
    assert!(!text.contains("hushed"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_log_can_be_neither_changed_nor_shortened() {
    let database = Database::new();
    let store = database.connect().await;
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    let session = database.session().await;
    for statement in [
        "UPDATE audit SET who = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let refusal = session.batch_execute(statement).await.unwrap_err();
        let said = refusal.as_db_error().unwrap().message();
        assert!(said.contains("audit log"), "{said}");
    }
    assert_eq!(database.sql("SELECT who FROM audit"), "local");
}
