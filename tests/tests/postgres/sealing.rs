//! Secrets in the database: sealed, with which keys it is opened, and how those change.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use common::SystemClock;
use postgres::{ConnectError, Postgres, Settings};
use producer::{
    domain::{Command, Directory, Token, UserRecord},
    ports::{DirectoryStore, RotationError, SecretRotation, StoreError},
};
use sealing::{Keyring, Vault};

use super::support::{Database, execute, put_user, record, server, until};

const K1: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const K2: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// A file of keys.
struct KeyFile(tempfile::NamedTempFile);

impl KeyFile {
    fn with(keys: &[&str]) -> Self {
        let file = Self(tempfile::NamedTempFile::new().unwrap());
        file.write(keys);
        file
    }

    fn write(&self, keys: &[&str]) {
        fs::write(self.path(), keys.join("\n")).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn vault(&self) -> Arc<Vault> {
        Arc::new(Vault::of_file(self.path()).unwrap())
    }
}

fn given(keys: &str) -> Arc<Vault> {
    let ring = Keyring::from_environment(keys).unwrap();
    Arc::new(Vault::of_ring(ring).unwrap())
}

async fn connect(database: &Database, key: Arc<Vault>) -> Result<Postgres, ConnectError> {
    let settings = Settings::new(database.url.parse().unwrap(), key);
    Postgres::connect(settings, Arc::new(SystemClock::start())).await
}

async fn refusal(database: &Database, key: Arc<Vault>) -> String {
    match connect(database, key).await {
        Ok(_) => panic!("it was opened"),
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(!text.contains('\n'), "one line: {text}");
            text
        }
    }
}

fn put_with(n: u128, name: &str, token: &str) -> Command {
    Command::PutUser(UserRecord {
        token: Some(Token::parse(token).unwrap()),
        ..record(n, name)
    })
}

fn token(directory: &Directory, name: &str) -> String {
    let user = directory.user_named(name).unwrap();
    let credential = &user.destinations.first().credential;
    credential.secret.expose().to_owned()
}

fn version(directory: &Directory, name: &str) -> i64 {
    let user = directory.user_named(name).unwrap();
    user.destinations.first().credential.id.0
}

/// How many rows each key has sealed.
fn rows_by_key(database: &Database) -> String {
    database.sql(
        "SELECT string_agg(key || ' ' || count, ', ' ORDER BY key) FROM (
           SELECT convert_from(substr(sealed, 3, 2), 'UTF8') AS key, count(*)
           FROM credential GROUP BY 1) AS t",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_sealed_and_equal_ones_are_one_row() {
    let database = Database::new();
    let store = connect(&database, given(K1)).await.unwrap();
    let users = vec![
        put_with(1, "ann", "xoxb-canary-shared"),
        put_with(2, "ben", "xoxb-canary-shared"),
        put_with(3, "carl", "xoxb-canary-own"),
    ];
    execute(&store, users).await.unwrap();
    let plain = "SELECT count(*) FROM credential
         WHERE secret IS NOT NULL OR position('canary'::bytea IN sealed) > 0";
    assert_eq!(database.sql(plain), "0");
    assert_eq!(rows_by_key(&database), "k1 2");
    let again = connect(&database, given(K1)).await.unwrap();
    let directory = again.directory.snapshot();
    assert_eq!(token(&directory, "ann"), "xoxb-canary-shared");
    assert_eq!(version(&directory, "ann"), version(&directory, "ben"));
    // Changed and changed back, by another process, it is the same version.
    let before = version(&directory, "carl");
    execute(&again, vec![put_with(3, "carl", "xoxb-canary-else")])
        .await
        .unwrap();
    execute(&store, vec![put_with(3, "carl", "xoxb-canary-own")])
        .await
        .unwrap();
    assert_eq!(version(&store.directory.snapshot(), "carl"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_one_clear_line_and_changes_nothing() {
    let database = Database::new();
    let store = connect(&database, given(K1)).await.unwrap();
    execute(&store, vec![put_user(1, "ann")]).await.unwrap();
    store.close();
    let all = "SELECT md5(string_agg(t::text, '')) FROM (
         SELECT sealing::text FROM sealing UNION ALL SELECT credential::text FROM credential) AS t";
    let before = database.sql(all);
    let same_id = K2.replace("k2:", "k1:");
    for wrong in [same_id.as_str(), K2] {
        let refused = refusal(&database, given(wrong)).await;
        assert!(refused.contains("'k1'"), "{refused}");
        assert!(refused.contains("--secret-key-file") || refused.contains("the same keys"));
        assert!(!refused.contains("AgICAgIC"), "{refused}");
    }
    assert_eq!(database.sql(all), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_swapped_does_not_open_and_stops_nobody_else() {
    let database = Database::new();
    let store = connect(&database, given(K1)).await.unwrap();
    let users = vec![
        put_with(1, "ann", "xoxb-canary-ann"),
        put_with(2, "ben", "xoxb-canary-ben"),
    ];
    execute(&store, users).await.unwrap();
    let [ann, ben] = ["ann", "ben"].map(|name| version(&store.directory.snapshot(), name));
    store.close();
    database.sql(&format!(
        "UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE id = {ann})
         WHERE id = {ben}"
    ));
    let store = connect(&database, given(K1)).await.unwrap();
    assert_eq!(token(&store.directory.snapshot(), "ann"), "xoxb-canary-ann");
    assert_eq!(token(&store.directory.snapshot(), "ben"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_by_hand_counts_at_once_and_is_sealed_soon() {
    let database = Database::new();
    let store = connect(&database, given(K1)).await.unwrap();
    let users = vec![
        put_with(1, "ann", "xoxb-canary-ann"),
        put_with(2, "ben", "xoxb-canary-ben"),
    ];
    execute(&store, users).await.unwrap();
    let by_hand = |name: &str, secret: &str| {
        database.sql(&format!(
            "WITH new AS (INSERT INTO credential (secret) VALUES ('{secret}') RETURNING id)
             UPDATE user_destination p SET credential_id = new.id, updated_at = now()
             FROM new, users u WHERE u.name = '{name}' AND p.user_id = u.id AND p.position = 0"
        ));
    };
    by_hand("ann", "xoxb-canary-by-hand");
    until("the token by hand", &store, |now| {
        token(now, "ann") == "xoxb-canary-by-hand"
    })
    .await;
    // One that somebody has already becomes the same version.
    by_hand("ben", "xoxb-canary-by-hand");
    until("the second", &store, |now| {
        token(now, "ben") == "xoxb-canary-by-hand"
    })
    .await;
    store.trim().await.unwrap();
    let plain = "SELECT count(*) FROM credential WHERE secret IS NOT NULL";
    assert_eq!(database.sql(plain), "0");
    until("one version", &store, |now| {
        version(now, "ann") == version(now, "ben")
    })
    .await;
    assert_eq!(
        token(&store.directory.snapshot(), "ben"),
        "xoxb-canary-by-hand"
    );
}

/// A database as the version before sealing left it, with users who have tokens.
async fn unsealed() -> Database {
    let database = Database::new();
    let store = connect(&database, given(K1)).await.unwrap();
    store.close();
    // Back to the fifth migration.
    database.sql(
        "DROP TABLE sealing;
         DROP TRIGGER credential_keeps ON credential;
         ALTER TABLE credential DROP COLUMN sealed, DROP COLUMN fingerprint;
         ALTER TABLE credential ALTER COLUMN secret SET NOT NULL;
         DROP INDEX credential_unsealed;
         ALTER TABLE credential ADD COLUMN
           fingerprint bytea GENERATED ALWAYS AS (sha256(secret)) STORED UNIQUE;
         CREATE TRIGGER credential_keeps BEFORE UPDATE ON credential FOR EACH ROW
           WHEN ((OLD.id, OLD.secret) IS DISTINCT FROM (NEW.id, NEW.secret))
           EXECUTE FUNCTION directory_keeps();
         ALTER TABLE adopted_credential DROP COLUMN sealed;
         ALTER TABLE adopted_credential ALTER COLUMN secret SET NOT NULL;
         DROP INDEX adopted_credential_unsealed;
         DELETE FROM refinery_schema_history WHERE version = 6;
         INSERT INTO destination (id, kind, base_url, address) VALUES (1, 'slack', '', 'C1');
         INSERT INTO credential (secret)
           SELECT convert_to('xoxb-canary-of-before-' || n, 'UTF8') FROM generate_series(1, 2500) n;
         INSERT INTO users (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'ann');
         INSERT INTO user_destination (user_id, position, destination_id, credential_id)
           SELECT '00000000-0000-0000-0000-000000000001', 0, 1, min(id) + 6 FROM credential;
         INSERT INTO adopted_credential VALUES (1, 0, 'xoxb-canary-adopted')",
    );
    database
}

/// The files of the database's tables that hold `text`.
fn holding(database: &Database, text: &str) -> usize {
    server().administer(&database.name, "CHECKPOINT");
    let files = database.sql(
        "SELECT pg_relation_filepath(oid) FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND pg_relation_filepath(oid) IS NOT NULL",
    );
    let paths = files
        .lines()
        .map(|file| server().folder().join("data").join(file));
    let holds = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    paths.filter(holds).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_version_left_in_the_clear_is_sealed_by_the_first_that_comes() {
    let database = unsealed().await;
    assert!(holding(&database, "xoxb-canary") >= 2);
    let store = connect(&database, given(K1)).await.unwrap();
    let directory = store.directory.snapshot();
    assert_eq!(token(&directory, "ann"), "xoxb-canary-of-before-7");
    let plain = "SELECT (SELECT count(*) FROM credential WHERE secret IS NOT NULL)
         + (SELECT count(*) FROM adopted_credential WHERE secret IS NOT NULL)";
    assert_eq!(database.sql(plain), "0");
    assert_eq!(rows_by_key(&database), "k1 2500");
    assert_eq!(database.sql("SELECT unscrubbed FROM sealing"), "f");
    assert_eq!(holding(&database, "xoxb-canary"), 0);
    assert!(holding(&database, "slack") > 0, "it would be found");
    // Equal to one of before, it is that version.
    let before = version(&directory, "ann");
    execute(&store, vec![put_with(1, "ann", "xoxb-canary-new")])
        .await
        .unwrap();
    execute(&store, vec![put_with(1, "ann", "xoxb-canary-of-before-7")])
        .await
        .unwrap();
    assert_eq!(version(&store.directory.snapshot(), "ann"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_with_two_producers_at_work() {
    let database = Database::new();
    let files = [KeyFile::with(&[K1]), KeyFile::with(&[K1])];
    let one = connect(&database, files[0].vault()).await.unwrap();
    let other = connect(&database, files[1].vault()).await.unwrap();
    let users: Vec<_> = (1..=1_200)
        .map(|n| put_user(n, &format!("user{n}")))
        .collect();
    execute(&one, users).await.unwrap();
    database
        .sql("INSERT INTO adopted_credential (sequence, ordinal, secret) VALUES (7, 1, 'adopted')");
    drop(connect(&database, given(K1)).await.unwrap());

    assert_eq!(
        one.secrets.rotate(false).await.unwrap_err(),
        RotationError::NoNewKey
    );
    // The new key is put first on all, then one is told.
    for file in &files {
        file.write(&[K2, K1]);
    }
    let rotated = one.secrets.rotate(false).await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.resealed), ("k2", 1_201));
    assert_eq!(rotated.dropped, [""; 0]);
    assert_eq!(rows_by_key(&database), "k2 1200");
    // Both go on, with the new key alone, and find equal tokens equal.
    execute(&other, vec![put_with(2_001, "new1", "token7")])
        .await
        .unwrap();
    execute(&other, vec![put_with(2_002, "new2", "xoxb-canary-new")])
        .await
        .unwrap();
    execute(&one, vec![put_with(2_003, "new3", "xoxb-canary-new3")])
        .await
        .unwrap();
    assert_eq!(rows_by_key(&database), "k2 1202");
    for store in [&one, &other] {
        until("the new users", store, |now| now.user_count() == 1_203).await;
        let directory = store.directory.snapshot();
        assert_eq!(version(&directory, "new1"), version(&directory, "user7"));
        assert_eq!(token(&directory, "new2"), "xoxb-canary-new");
    }
    // The old one is no longer needed.
    let after = connect(&database, given(K2)).await.unwrap();
    assert_eq!(token(&after.directory.snapshot(), "user1200"), "token1200");
    let refused = refusal(&database, given(K1)).await;
    assert!(refused.contains("'k2'"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_without_the_new_key_goes_on_and_says_what_it_lacks() {
    let database = Database::new();
    let files = [KeyFile::with(&[K1]), KeyFile::with(&[K1])];
    let one = connect(&database, files[0].vault()).await.unwrap();
    let other = connect(&database, files[1].vault()).await.unwrap();
    execute(&one, vec![put_user(1, "ann")]).await.unwrap();
    until("ann", &other, |now| now.user_count() == 1).await;
    // Somebody forgot the other machine.
    files[0].write(&[K2, K1]);
    one.secrets.rotate(false).await.unwrap();
    let refused = execute(&other, vec![put_with(2, "ben", "xoxb-canary-ben")]).await;
    match refused.unwrap_err() {
        StoreError::Failed(reason) => assert!(reason.contains("'k2'"), "{reason}"),
        other => panic!("{other}"),
    }
    // Whom it knows it can tell still, and nobody is lost from its directory.
    execute(&one, vec![put_with(1, "ann", "xoxb-canary-ann")])
        .await
        .unwrap();
    super::support::until_so("its health to say so", || {
        other.health().is_err_and(|reason| reason.contains("'k2'"))
    })
    .await;
    assert_eq!(token(&other.directory.snapshot(), "ann"), "token1");
    // The key comes, and nobody has to restart it.
    files[1].write(&[K2, K1]);
    until("the new token", &other, |now| {
        token(now, "ann") == "xoxb-canary-ann"
    })
    .await;
    execute(&other, vec![put_with(2, "ben", "xoxb-canary-ben")])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_ended_in_the_middle_is_gone_on_with() {
    let database = Database::new();
    let both = format!("{K2} {K1}");
    let store = connect(&database, given(K1)).await.unwrap();
    let users: Vec<_> = (1..=3).map(|n| put_user(n, &format!("user{n}"))).collect();
    execute(&store, users).await.unwrap();
    store.close();
    // All have agreed on the new key; nothing was sealed anew when its process died.
    database.sql("UPDATE sealing SET key_id = 'k2'");
    let refused = refusal(&database, given(K1)).await;
    assert!(refused.contains("'k2'"), "{refused}");
    let store = connect(&database, given(&both)).await.unwrap();
    execute(&store, vec![put_user(4, "user4")]).await.unwrap();
    assert_eq!(rows_by_key(&database), "k1 3, k2 1");
    let rotated = store.secrets.rotate(false).await.unwrap();
    assert_eq!(rotated.resealed, 3);
    assert_eq!(rows_by_key(&database), "k2 4");
    assert_eq!(
        store.secrets.rotate(false).await.unwrap_err(),
        RotationError::NoNewKey
    );
    drop(connect(&database, given(K2)).await.unwrap());
}
