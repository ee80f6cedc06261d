//! Reading a data folder from beside the process that uses it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use common::{Severity::Normal, UtcMillis};
use producer::{
    domain::{Caller, resolve},
    ports::{AlertQueue, DirectoryStore, Mode},
};
use rusqlite::Connection;

use crate::{
    OpenError, Store, backup,
    fixtures::{FakeClock, alert, put_user, settings},
    folder::database,
    read_directory,
};

async fn store_with_users(path: &Path, count: u128) -> Store {
    let store = Store::open(settings(path), Arc::new(FakeClock::default())).unwrap();
    let users = (1..=count).map(|n| put_user(n, &format!("channel{n}"), &format!("token{n}")));
    let executed = store
        .directory
        .execute(users.collect(), Mode::Commit, &Caller::LOCAL)
        .await;
    executed.unwrap();
    store
}

fn count(connection: &Connection, query: &str) -> i64 {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_alerts_arrive_is_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with_users(folder.path(), 10).await;
    let (queue, directory) = (store.queue.clone(), store.directory.snapshot());
    let is_done = Arc::new(AtomicBool::new(false));
    let until = is_done.clone();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let writing = tokio::spawn(async move {
        let mut begun = Some(begun);
        let mut accepted = 0;
        while !until.load(Ordering::SeqCst) {
            let found = resolve(&directory, &["@all".into()]);
            let alert = alert(Normal, UtcMillis(0), found.deliveries);
            queue.accept(alert, None).await.unwrap();
            accepted += 1;
            if accepted == 20
                && let Some(begun) = begun.take()
            {
                begun.send(()).unwrap();
            }
        }
        accepted
    });
    has_begun.await.unwrap();
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let (from, to) = (folder.path().to_owned(), database(&copy));
    let target = to.clone();
    tokio::task::spawn_blocking(move || backup(&from, &target))
        .await
        .unwrap()
        .unwrap();
    let key = crate::folder::secret_key(folder.path());
    std::fs::copy(key, crate::folder::secret_key(&copy)).unwrap();
    is_done.store(true, Ordering::SeqCst);
    let accepted = writing.await.unwrap();
    store.close();

    let connection = Connection::open(&to).unwrap();
    let ok: String = connection
        .pragma_query_value(None, "integrity_check", |row| row.get(0))
        .unwrap();
    assert_eq!(ok, "ok");
    let alerts = count(&connection, "SELECT count(*) FROM alert");
    assert!((20..=accepted).contains(&alerts), "{alerts} of {accepted}");
    let unqueued = "SELECT count(*) FROM alert WHERE sequence NOT IN
                    (SELECT sequence FROM open_alert WHERE open = 10)";
    assert_eq!(count(&connection, unqueued), 0);
    drop(connection);
    // The copy is a data folder's database.
    let restored = Store::open(settings(&copy), Arc::new(FakeClock::default())).unwrap();
    assert_eq!(restored.directory.snapshot().user_count(), 10);
    restored.close();
}

#[tokio::test]
async fn a_folder_that_no_server_uses_is_backed_up_too_and_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    store_with_users(folder.path(), 3).await.close();
    let to = folder.path().join("copy.db");
    backup(folder.path(), &to).unwrap();
    let mode = std::fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let connection = Connection::open(&to).unwrap();
    assert_eq!(count(&connection, "SELECT count(*) FROM users"), 3);
}

#[tokio::test]
async fn a_backup_does_not_write_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    store_with_users(folder.path(), 1).await.close();
    let to = folder.path().join("copy.db");
    std::fs::write(&to, "precious").unwrap();
    let refusal = backup(folder.path(), &to).unwrap_err();
    assert!(refusal.to_string().contains("copy.db"), "{refusal}");
    assert_eq!(std::fs::read(&to).unwrap(), b"precious");
}

#[test]
fn a_folder_without_a_database_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    let refusal = backup(folder.path(), &to).unwrap_err();
    assert!(matches!(refusal, OpenError::Folder { .. }), "{refusal}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_backup_that_fails_leaves_no_half_of_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(database(folder.path()), "no database".repeat(100)).unwrap();
    let to = folder.path().join("copy.db");
    backup(folder.path(), &to).unwrap_err();
    assert!(!to.exists());
}

#[tokio::test]
async fn the_directory_is_read_from_beside_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with_users(folder.path(), 2).await;
    let directory = read_directory(folder.path(), None).unwrap();
    let user = directory.user_named("user2").unwrap();
    assert_eq!(
        user.destinations.first().credential.secret.expose(),
        "token2"
    );
    store.close();
}
