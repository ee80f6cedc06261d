//! Opening a data folder, and refusing to.

use std::{fs, path::Path, sync::Arc};

use rusqlite::Connection;

use crate::{
    OpenError, Store,
    fixtures::{FakeClock, settings},
};

fn open(path: &Path) -> Result<Store, OpenError> {
    Store::open(settings(path), Arc::new(FakeClock::default()))
}

fn refusal(path: &Path) -> OpenError {
    match open(path) {
        Ok(_) => panic!("it was opened"),
        Err(refusal) => refusal,
    }
}

/// A folder whose database was made by `make`.
fn folder_with(make: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make(&crate::folder::database(folder.path()));
    folder
}

#[test]
fn a_folder_is_made_where_there_is_none_and_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("a").join("b");
    open(&path).unwrap().close();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&crate::folder::database(&path)), 0o600);
}

#[test]
fn a_folder_in_use_is_refused_and_is_free_again_after_its_close() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    assert!(matches!(refusal(folder.path()), OpenError::InUse(_)));
    store.close();
    open(folder.path()).unwrap().close();
}

#[test]
fn data_of_a_newer_version_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).unwrap().close();
    let database = crate::folder::database(folder.path());
    let connection = Connection::open(&database).unwrap();
    let newer = "INSERT INTO refinery_schema_history SELECT 9999, name, applied_on, checksum
                 FROM refinery_schema_history LIMIT 1";
    connection.execute(newer, []).unwrap();
    connection.close().unwrap();
    let before = fs::read(&database).unwrap();
    let refusal = refusal(folder.path());
    assert!(
        matches!(refusal, OpenError::Newer { found: 9999, .. }),
        "{refusal}"
    );
    assert!(refusal.to_string().contains("9999"));
    assert!(fs::read(&database).unwrap() == before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let text = b"this is not a database, and long enough to hold a header of one".repeat(100);
    let folder = folder_with(|path| fs::write(path, &text).unwrap());
    let refusal = refusal(folder.path());
    assert!(matches!(refusal, OpenError::Damaged(_)), "{refusal}");
    assert!(fs::read(crate::folder::database(folder.path())).unwrap() == text);
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let folder = folder_with(|path| {
        let connection = Connection::open(path).unwrap();
        connection
            .execute("CREATE TABLE users (id TEXT)", [])
            .unwrap();
    });
    let database = crate::folder::database(folder.path());
    let before = fs::read(&database).unwrap();
    let refusal = refusal(folder.path());
    assert!(matches!(refusal, OpenError::Damaged(_)), "{refusal}");
    assert!(fs::read(&database).unwrap() == before);
}

#[test]
fn a_commit_is_synced_unless_it_was_asked_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    for (synchronous, code) in [(crate::Synchronous::Full, 2), (crate::Synchronous::Off, 0)] {
        let path = folder.path().join(code.to_string());
        let connection = crate::schema::open(&path, synchronous).unwrap();
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
                .unwrap()
        };
        assert_eq!(pragma("synchronous"), i64::from(code).into());
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        assert_eq!(pragma("foreign_keys"), 1_i64.into());
    }
}
