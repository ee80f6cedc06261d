//! Secrets in the data folder: sealed, and with which keys it is opened.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use producer::{
    domain::{Caller, Command},
    ports::{DirectoryStore, Mode, RotationError, SecretRotation},
};
use refinery::Target;
use rusqlite::{Connection, params};
use sealing::{Keyring, Vault};

use crate::{
    OpenError, Settings, Store, Synchronous,
    fixtures::{FakeClock, put_user, settings},
    folder, schema,
};

const TOKEN: &str = "xoxb-canary-in-the-data-folder";
const OTHER: &str = "xoxb-canary-of-somebody-else";

fn open(path: &Path) -> Result<Store, OpenError> {
    open_with(path, None)
}

fn open_with(path: &Path, key: Option<Arc<Vault>>) -> Result<Store, OpenError> {
    let settings = Settings {
        secret_key: key,
        ..settings(path)
    };
    Store::open(settings, Arc::new(FakeClock::default()))
}

fn refusal(path: &Path, key: Option<Arc<Vault>>) -> String {
    match open_with(path, key) {
        Ok(_) => panic!("it was opened"),
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(!text.contains('\n'), "one line: {text}");
            text
        }
    }
}

fn given(keys: &str) -> Option<Arc<Vault>> {
    let ring = Keyring::from_environment(keys).unwrap();
    Some(Arc::new(Vault::of_ring(ring).unwrap()))
}

async fn execute(store: &Store, commands: Vec<Command>) {
    let executed = store
        .directory
        .execute(commands, Mode::Commit, &Caller::LOCAL)
        .await;
    executed.unwrap();
}

/// A folder that was used: a user with a token, one whose token was changed, one who is
/// gone; closed again.
async fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store).await;
    store.close();
    folder
}

async fn fill(store: &Store) {
    let users = vec![
        put_user(1, "channel1", TOKEN),
        put_user(2, "channel2", OTHER),
        put_user(3, "channel3", "xoxb-canary-of-the-deleted"),
    ];
    execute(store, users).await;
    let changed = put_user(2, "channel2", "xoxb-canary-rotated");
    let removed = Command::RemoveUser(crate::fixtures::user_id(3));
    execute(store, vec![changed, removed]).await;
}

fn token_of(store: &Store, name: &str) -> String {
    let directory = store.directory.snapshot();
    let user = directory.user_named(name).unwrap();
    let credential = &user.destinations.first().credential;
    credential.secret.expose().to_owned()
}

/// The files of the folder that hold `text`.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(holds).collect()
}

/// All of the folder, to see that it stays as it is.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    let mut all: Vec<_> = entries.map(|entry| read(entry.unwrap().path())).collect();
    // What SQLite makes for itself, and a write-ahead log with nothing in it.
    all.retain(|(path, bytes)| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_empty_log = name.ends_with("-wal") && bytes.is_empty();
        !name.ends_with("-shm") && !is_empty_log
    });
    all.sort();
    all
}

fn key_of(folder: &Path) -> PathBuf {
    folder::secret_key(folder)
}

#[tokio::test]
async fn no_token_is_in_the_clear_in_any_file_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store).await;
    // While it is used, with what is in the write-ahead log; and after.
    assert_eq!(holding(folder.path(), "xoxb-canary"), Vec::<PathBuf>::new());
    store.close();
    assert_eq!(holding(folder.path(), "xoxb-canary"), Vec::<PathBuf>::new());
    // What is not sealed is found.
    assert!(!holding(folder.path(), "channel1").is_empty());
    let again = open(folder.path()).unwrap();
    assert_eq!(token_of(&again, "user1"), TOKEN);
    again.close();
}

#[tokio::test]
async fn the_first_start_makes_a_key_for_its_owner_alone_and_later_ones_use_it() {
    let folder = used_folder().await;
    let key = key_of(folder.path());
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let before = fs::read(&key).unwrap();
    open(folder.path()).unwrap().close();
    assert!(fs::read(&key).unwrap() == before);
}

#[tokio::test]
async fn where_a_key_is_named_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let keys = "mine:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let store = open_with(folder.path(), given(keys)).unwrap();
    fill(&store).await;
    store.close();
    assert!(!key_of(folder.path()).exists());
    let again = open_with(folder.path(), given(keys)).unwrap();
    assert_eq!(token_of(&again, "user1"), TOKEN);
    again.close();
}

#[tokio::test]
async fn a_wrong_key_is_one_clear_line_and_changes_nothing() {
    let folder = used_folder().await;
    let before = contents(folder.path());
    let same_id = given("k1:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let refused = refusal(folder.path(), same_id);
    assert!(
        refused.contains("'k1'") && refused.contains("--secret-key-file"),
        "{refused}"
    );
    let other_id = given("k9:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let refused = refusal(folder.path(), other_id);
    assert!(
        refused.contains("'k1'") && refused.contains("--secret-key-file"),
        "{refused}"
    );
    assert!(contents(folder.path()) == before);
    open(folder.path()).unwrap().close();
}

#[tokio::test]
async fn a_missing_key_is_one_clear_line_and_no_other_is_made() {
    let folder = used_folder().await;
    let kept = fs::read(key_of(folder.path())).unwrap();
    fs::remove_file(key_of(folder.path())).unwrap();
    let before = contents(folder.path());
    let refused = refusal(folder.path(), None);
    assert!(
        refused.contains("secret-key") && refused.contains("missing"),
        "{refused}"
    );
    assert!(contents(folder.path()) == before);
    fs::write(key_of(folder.path()), kept).unwrap();
    let refused = refusal(folder.path(), None);
    assert!(
        refused.contains("chmod 600"),
        "readable by others: {refused}"
    );
}

#[tokio::test]
async fn a_key_that_was_rotated_away_is_refused_and_named() {
    let folder = used_folder().await;
    let old = fs::read_to_string(key_of(folder.path())).unwrap();
    let store = open(folder.path()).unwrap();
    store.secrets.rotate(false).await.unwrap();
    store.close();
    let old: String = old.lines().filter(|line| line.starts_with("k1:")).collect();
    let refused = refusal(folder.path(), given(&old));
    assert!(refused.contains("'k2'"), "{refused}");
}

#[tokio::test]
async fn a_row_that_was_swapped_does_not_open_and_stops_nobody_else() {
    let folder = used_folder().await;
    let connection = Connection::open(folder::database(folder.path())).unwrap();
    // The second user is to be told with the first one's token.
    connection
        .execute(
            "UPDATE credential SET secret = (SELECT secret FROM credential WHERE id = 1)
             WHERE id = (SELECT max(credential_id) FROM user_destination)",
            [],
        )
        .unwrap();
    connection.close().unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(token_of(&store, "user1"), TOKEN);
    assert_eq!(token_of(&store, "user2"), "");
    // A new token mends it.
    execute(&store, vec![put_user(2, "channel2", "xoxb-canary-mended")]).await;
    assert_eq!(token_of(&store, "user2"), "xoxb-canary-mended");
    store.close();
}

/// A database as the version before sealing left it.
fn unsealed_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder::database(folder.path());
    let mut connection = schema::open(&path, Synchronous::Off).unwrap();
    schema::migrate_to(&mut connection, Target::Version(6)).unwrap();
    let insert = "INSERT INTO credential (secret, fingerprint, created_at) VALUES (?1, ?2, 0)";
    for n in 1..=2_500_i64 {
        let secret = format!("{TOKEN}-{n:05}");
        let fingerprint = n.to_le_bytes();
        connection
            .execute(insert, params![secret.as_bytes(), fingerprint])
            .unwrap();
    }
    connection
        .execute_batch(
            "INSERT INTO meta VALUES ('fingerprint_key', x'00112233445566778899aabbccddeeff');
             INSERT INTO users VALUES (x'00000000000000000000000000000001', 'user1', 0, 0);
             INSERT INTO destination VALUES (1, 'slack', '', 'channel1', 0);
             INSERT INTO user_destination
               (user_id, position, destination_id, credential_id, created_at, updated_at)
               VALUES (x'00000000000000000000000000000001', 0, 1, 7, 0, 0);
             -- Remains: free pages, and gaps in others.
             DELETE FROM credential WHERE id BETWEEN 1000 AND 2000 OR id % 3 = 0;",
        )
        .unwrap();
    folder
}

#[tokio::test]
async fn what_an_earlier_version_left_in_the_clear_is_sealed_and_nothing_of_it_is_left() {
    let folder = unsealed_folder();
    assert!(!holding(folder.path(), TOKEN).is_empty());
    let store = open(folder.path()).unwrap();
    assert_eq!(holding(folder.path(), TOKEN), Vec::<PathBuf>::new());
    let token = format!("{TOKEN}-00007");
    assert_eq!(token_of(&store, "user1"), token);
    // The same token is the same version still.
    let version = |store: &Store| {
        let directory = store.directory.snapshot();
        let user = directory.user_named("user1").unwrap();
        user.destinations.first().credential.id.0
    };
    execute(&store, vec![put_user(1, "channel1", "xoxb-canary-another")]).await;
    assert_ne!(version(&store), 7);
    execute(&store, vec![put_user(1, "channel1", &token)]).await;
    assert_eq!(version(&store), 7);
    store.close();
    assert_eq!(holding(folder.path(), "xoxb-canary"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_start_that_ended_before_all_was_sealed_is_gone_on_with() {
    let folder = unsealed_folder();
    let path = folder::database(folder.path());
    let mut connection = schema::open(&path, Synchronous::Off).unwrap();
    schema::migrate(&mut connection).unwrap();
    drop(connection);
    assert!(!holding(folder.path(), TOKEN).is_empty());
    let store = open(folder.path()).unwrap();
    assert_eq!(token_of(&store, "user1"), format!("{TOKEN}-00007"));
    store.close();
    assert_eq!(holding(folder.path(), TOKEN), Vec::<PathBuf>::new());
}

/// How many rows each key has sealed.
fn rows_by_key(folder: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(folder::database(folder)).unwrap();
    let mut statement = connection
        .prepare("SELECT CAST(substr(secret, 3, 2) AS TEXT), count(*) FROM credential GROUP BY 1")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_rotation_seals_everything_anew_and_drops_the_old_key() {
    let folder = used_folder().await;
    let store = open(folder.path()).unwrap();
    assert_eq!(rows_by_key(folder.path()), [("k1".to_owned(), 4)]);
    let rotated = store.secrets.rotate(false).await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.resealed), ("k2", 4));
    assert_eq!(rotated.dropped, ["k1"]);
    assert_eq!(rows_by_key(folder.path()), [("k2".to_owned(), 4)]);
    // Equal tokens are found equal, before a restart and after.
    execute(&store, vec![put_user(2, "channel2", TOKEN)]).await;
    assert_eq!(rows_by_key(folder.path()), [("k2".to_owned(), 4)]);
    store.close();
    let store = open(folder.path()).unwrap();
    execute(&store, vec![put_user(2, "channel2", OTHER)]).await;
    assert_eq!(rows_by_key(folder.path()), [("k2".to_owned(), 4)]);
    assert_eq!(token_of(&store, "user1"), TOKEN);
    let kept = store.secrets.rotate(true).await.unwrap();
    assert_eq!((kept.key_id.as_str(), kept.dropped), ("k3", Vec::new()));
    store.close();
    let keys = fs::read_to_string(key_of(folder.path())).unwrap();
    assert!(keys.contains("k3:") && keys.contains("k2:"));
}

#[tokio::test]
async fn a_rotation_that_ended_at_any_point_is_gone_on_with_and_loses_nothing() {
    let folder = used_folder().await;
    // It ended when the new key was in the file and nothing sealed with it.
    let vault = Vault::of_file(&key_of(folder.path())).unwrap();
    vault.add_key().unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(token_of(&store, "user1"), TOKEN);
    // New ones are sealed with it already, so some are and some are not.
    execute(&store, vec![put_user(9, "channel9", "xoxb-canary-new")]).await;
    store.close();
    let some = [("k1".to_owned(), 4), ("k2".to_owned(), 1)];
    assert_eq!(rows_by_key(folder.path()), some);
    let store = open(folder.path()).unwrap();
    let rotated = store.secrets.rotate(false).await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.resealed), ("k2", 4));
    assert_eq!(rows_by_key(folder.path()), [("k2".to_owned(), 5)]);
    store.close();
    // It ended when all was sealed anew, with the old key still in the file.
    Vault::of_file(&key_of(folder.path()))
        .unwrap()
        .add_key()
        .unwrap();
    let store = open(folder.path()).unwrap();
    store.secrets.rotate(true).await.unwrap();
    store.close();
    let store = open(folder.path()).unwrap();
    let rotated = store.secrets.rotate(false).await.unwrap();
    assert_eq!(rotated.dropped, ["k3", "k2"]);
    assert_eq!(token_of(&store, "user1"), TOKEN);
    assert_eq!(token_of(&store, "user9"), "xoxb-canary-new");
    store.close();
    open(folder.path()).unwrap().close();
}

#[tokio::test]
async fn keys_of_the_environment_are_rotated_by_giving_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let old = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let new = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let store = open_with(folder.path(), given(old)).unwrap();
    fill(&store).await;
    assert_eq!(
        store.secrets.rotate(false).await.unwrap_err(),
        RotationError::NoNewKey
    );
    store.close();
    let store = open_with(folder.path(), given(&format!("{new} {old}"))).unwrap();
    let rotated = store.secrets.rotate(false).await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.resealed), ("k2", 4));
    store.close();
    let store = open_with(folder.path(), given(new)).unwrap();
    assert_eq!(token_of(&store, "user1"), TOKEN);
    store.close();
}
