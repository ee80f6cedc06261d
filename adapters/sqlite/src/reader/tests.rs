use std::sync::Arc;

use common::Severity::Normal;
use consumer::{
    domain::Outcome,
    ports::{DeliveryQueue, Received},
};
use producer::{
    domain::{Caller, resolve},
    ports::{AlertQueue, DirectoryStore, Mode},
};

use super::leases::KNOWN;
use super::*;
use crate::{
    Store, Synchronous,
    fixtures::{FakeClock, alert, delivery, put_user, settings, settlement_of, user_id},
};

/// A store with one user and that many alerts to them.
async fn store_with(folder: &Path, count: usize) -> Store {
    let store = Store::open(settings(folder), Arc::new(FakeClock::default())).unwrap();
    let users = vec![put_user(1, "channel1", "token1")];
    let executed = store
        .directory
        .execute(users, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
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
    let directory = Arc::new(Published::new(store.directory.snapshot()));
    let secrets = crate::secrets::of_folder(folder.path());
    let reader = Reader::open(&crate::folder::database(folder.path()), directory, secrets).unwrap();
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

/// A store with three users and that many alerts to all of them.
async fn store_to_three(folder: &Path, count: usize) -> Store {
    let store = Store::open(settings(folder), Arc::new(FakeClock::default())).unwrap();
    let users = (1..=3).map(|n| put_user(n, &format!("channel{n}"), "token"));
    let executed = store
        .directory
        .execute(users.collect(), Mode::Commit, &Caller::LOCAL)
        .await;
    executed.unwrap();
    for _ in 0..count {
        let deliveries = (1..=3).map(|n| delivery(n, 1)).collect();
        let accepted = alert(Normal, UtcMillis(0), deliveries);
        store.queue.accept(accepted, None).await.unwrap();
    }
    store
}

/// Receives that many of the store's deliveries.
async fn receive(store: &Store, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    while leases.len() < count {
        if let Received::Leases(some) = store.queue.receive(count).await.unwrap() {
            leases.extend(some);
        }
    }
    leases
}

async fn park(store: &Store, leases: &[Lease]) {
    let parked = leases
        .iter()
        .map(|lease| settlement_of(lease, Outcome::Parked));
    store.queue.settle(parked.collect()).await.unwrap();
}

#[tokio::test]
async fn a_read_passes_over_alerts_of_which_all_that_is_open_has_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), 4).await;
    let all = receive(&store, 4).await;
    park(&store, &all[..2]).await;
    let ended = settlement_of(&all[2], Outcome::Delivered);
    store.queue.settle(vec![ended]).await.unwrap();
    let connection = schema::open_reader(&crate::folder::database(folder.path())).unwrap();
    let next = |cursor| open_next(&connection, Normal, cursor, 9).unwrap();
    assert_eq!(next(0).map(|open| open.sequence), Some(4));
    assert!(next(4).is_none());
    store.close();
}

#[tokio::test]
async fn an_alert_of_which_a_part_has_rows_is_read_for_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_to_three(folder.path(), 1).await;
    let all = receive(&store, 3).await;
    park(&store, &all[..1]).await;
    let ended = settlement_of(&all[1], Outcome::Delivered);
    store.queue.settle(vec![ended]).await.unwrap();
    store.close();

    let store = Store::open(settings(folder.path()), Arc::new(FakeClock::default())).unwrap();
    let again = receive(&store, 1).await;
    assert_eq!(again[0].position, all[2].position);
    store.close();
}

#[tokio::test]
async fn what_many_lanes_ask_for_at_once_comes_to_each_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_to_three(folder.path(), 3).await;
    let all = receive(&store, 9).await;
    park(&store, &all).await;
    let lane = |place: usize| all[place].destination.id;
    let unpark = |place, after, room| store.queue.unpark(lane(place), Normal, after, room);
    let (first, second, third) = tokio::join!(
        unpark(0, None, 10),
        unpark(1, Some(all[1].position), 10),
        unpark(2, None, 2),
    );
    let positions = |leases: Result<Vec<Lease>, _>| -> Vec<_> {
        let leases = leases.unwrap();
        leases.iter().map(|lease| lease.position).collect()
    };
    let of =
        |places: &[usize]| -> Vec<_> { places.iter().map(|place| all[*place].position).collect() };
    assert_eq!(positions(first), of(&[0, 3, 6]));
    assert_eq!(positions(second), of(&[4, 7]));
    assert_eq!(positions(third), of(&[2, 5]));
    store.close();
}

#[tokio::test]
async fn what_is_read_shares_destination_and_credential_with_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), 1).await;
    let all = receive(&store, 1).await;
    park(&store, &all).await;
    let unpark = || store.queue.unpark(all[0].destination.id, Normal, None, 1);
    let lease = unpark().await.unwrap().remove(0);
    let directory = store.directory.snapshot();
    let place = directory.user(user_id(1)).unwrap().destinations.first();
    assert!(Arc::ptr_eq(&lease.destination, &place.destination));
    assert!(Arc::ptr_eq(&lease.credential, &place.credential));

    // It was accepted for the channel and with the token of then.
    let users = vec![put_user(1, "channel1", "token2")];
    store
        .directory
        .execute(users, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
    let lease = unpark().await.unwrap().remove(0);
    assert_eq!(lease.credential.id, all[0].credential.id);
    assert_eq!(lease.credential.secret.expose(), "token1");
    let users = vec![put_user(1, "channel2", "token2")];
    store
        .directory
        .execute(users, Mode::Commit, &Caller::LOCAL)
        .await
        .unwrap();
    let lease = unpark().await.unwrap().remove(0);
    assert_eq!(&*lease.destination.address, "channel1");
    store.close();
}

#[test]
fn the_queues_reads_go_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = schema::open(&folder.path().join("db"), Synchronous::Off).unwrap();
    schema::migrate(&mut connection).unwrap();
    for (sql, index) in [
        (NEXT_OPEN, "SEARCH waiting USING PRIMARY KEY"),
        (NEXT_OPEN, "SEARCH delivery USING PRIMARY KEY"),
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
