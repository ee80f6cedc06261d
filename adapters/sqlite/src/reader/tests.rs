use std::sync::Arc;

use common::Severity::Normal;
use producer::{
    domain::resolve,
    ports::{AlertQueue, DirectoryStore, Mode},
};

use super::*;
use crate::{
    Store, Synchronous,
    fixtures::{FakeClock, alert, put_user, settings},
};

/// A store with one user and that many alerts to them.
async fn store_with(folder: &Path, count: usize) -> Store {
    let store = Store::open(settings(folder), Arc::new(FakeClock::default())).unwrap();
    let users = vec![put_user(1, "channel1", "token1")];
    let executed = store.directory.execute(users, Mode::Commit).await.unwrap();
    for _ in 0..count {
        let found = resolve(&executed.directory, &["@all".into()]);
        let accepted = alert(Normal, UtcMillis(0), found.deliveries);
        store.queue.accept(accepted, None).await.unwrap();
    }
    store
}

#[tokio::test]
async fn a_read_ends_at_the_last_commit_that_it_was_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), 3).await;
    let reader = Reader::open(&crate::folder::database(folder.path())).unwrap();
    let from = ReadFrom {
        severity: Normal,
        cursor: 0,
        last: 2,
        opened: None,
        room: 100,
    };
    // The third is committed and, for all this read knows, on its way in memory.
    let (leases, to) = reader.read(from).unwrap();
    let sequences: Vec<_> = leases.iter().map(|lease| lease.position.sequence).collect();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(to.cursor, 2);
    store.close();
}

#[test]
fn the_queues_reads_go_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = schema::open(&folder.path().join("db"), Synchronous::Off).unwrap();
    schema::migrate(&mut connection).unwrap();
    for (sql, index) in [
        (NEXT_OPEN, "SEARCH open_alert USING PRIMARY KEY"),
        (WAITING, "USING INDEX delivery_waiting"),
        (PARKED, "USING COVERING INDEX delivery_parked"),
        (UNPARK, "USING COVERING INDEX delivery_parked"),
        (KNOWN, "SEARCH delivery USING PRIMARY KEY"),
    ] {
        let plan = schema::plan(&connection, sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
    }
    // In the order of the index: nothing is sorted, however much is parked.
    let plan = schema::plan(&connection, UNPARK);
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}
