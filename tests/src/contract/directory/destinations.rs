//! What a directory promises of a user's destinations after the first.

use std::time::Duration;

use common::UtcMillis;
use producer::domain::{
    Command,
    Effect::{Created, Unchanged, Updated},
    UserRecord,
};

use super::{
    DirectoryUnderTest,
    rig::{
        Rig, create_user, hook, put_hook, put_user, record, remove_destination, secret, user_id,
        written,
    },
};

/// ann's places, in order.
fn places<D: DirectoryUnderTest>(rig: &Rig<D>) -> Vec<String> {
    let user = rig.user(1);
    let places = user.destinations.iter();
    places.map(|place| place.destination.shown()).collect()
}

/// ann with the webhooks 11, 12 and 13, of paths a, b and c.
async fn with_hooks<D: DirectoryUnderTest>() -> Rig<D> {
    let rig = Rig::<D>::with_two_users().await;
    let effects = rig
        .commit(vec![
            put_hook(1, 11, "a", None),
            put_hook(1, 13, "c", None),
            put_hook(1, 12, "b", Some(2)),
        ])
        .await;
    assert_eq!(effects, [Created, Created, Created]);
    rig
}

const ALL: [&str; 4] = [
    "channel1",
    "https://example.org/a",
    "https://example.org/b",
    "https://example.org/c",
];

pub async fn destinations_are_kept_in_their_order<D: DirectoryUnderTest>() {
    let rig = with_hooks::<D>().await;
    assert_eq!(places(&rig), ALL);
    assert_eq!(rig.user(2).destinations.further().len(), 0);
    let before = written(&rig.snapshot());
    rig.assert_is(&before).await;
}

pub async fn a_destination_that_moves_or_changes_keeps_its_name_and_secret<
    D: DirectoryUnderTest,
>() {
    let rig = with_hooks::<D>().await;
    let named = |rig: &Rig<D>| {
        let user = rig.user(1);
        let further = user.destinations.further().iter();
        let mut named: Vec<_> = further
            .map(|one| (one.id, one.place.credential.id))
            .collect();
        named.sort();
        named
    };
    let before = named(&rig);
    let put = |record, order| Command::PutDestination(user_id(1), record, order);
    let effects = rig
        .commit(vec![
            put(hook(13, "c", None), Some(1)),
            put(hook(11, "changed", None), None),
            put(hook(12, "b", Some(&secret(12))), None),
        ])
        .await;
    assert_eq!(effects, [Updated, Updated, Unchanged]);
    assert_eq!(
        places(&rig)[1..],
        [
            "https://example.org/c",
            "https://example.org/changed",
            "https://example.org/b"
        ]
    );
    assert_eq!(named(&rig), before);
    let now = written(&rig.snapshot());
    rig.assert_is(&now).await;
}

pub async fn a_removed_destination_is_gone_and_the_others_close_up<D: DirectoryUnderTest>() {
    let rig = with_hooks::<D>().await;
    assert_eq!(rig.commit(vec![remove_destination(1, 12)]).await, [Updated]);
    assert_eq!(places(&rig), [ALL[0], ALL[1], ALL[3]]);
    rig.commit(vec![remove_destination(1, 11), remove_destination(1, 13)])
        .await;
    let rig = rig.restart().await;
    assert_eq!(places(&rig), [ALL[0]]);
}

pub async fn a_user_who_is_put_keeps_their_destinations_unless_others_are_given<
    D: DirectoryUnderTest,
>() {
    let rig = with_hooks::<D>().await;
    rig.commit(vec![put_user(1, "anna", Some("token9"))]).await;
    assert_eq!(places(&rig), ALL);
    let with = |records| {
        Command::PutUser(UserRecord {
            destinations: Some(records),
            ..record(1, "anna", None)
        })
    };
    let exchanged = vec![hook(12, "b", None), hook(14, "d", Some(&secret(14)))];
    let effects = rig
        .commit(vec![with(exchanged.clone()), with(exchanged)])
        .await;
    assert_eq!(effects, [Updated, Unchanged]);
    let expected = ["channel1", ALL[2], "https://example.org/d"];
    assert_eq!(places(&rig), expected);
    let rig = rig.restart().await;
    assert_eq!(places(&rig), expected);
    rig.commit(vec![with(vec![])]).await;
    assert_eq!(places(&rig.restart().await), ["channel1"]);
}

pub async fn destinations_go_with_the_user<D: DirectoryUnderTest>() {
    let rig = with_hooks::<D>().await;
    rig.commit(vec![Command::RemoveUser(user_id(1)), create_user(1, "ann")])
        .await;
    assert_eq!(places(&rig), ["channel1"]);
    assert_eq!(places(&rig.restart().await), ["channel1"]);
}

pub async fn a_destination_with_a_changed_secret_has_another_credential<D: DirectoryUnderTest>() {
    let rig = with_hooks::<D>().await;
    let credential = |rig: &Rig<D>| {
        let user = rig.user(1);
        let place = &user.destinations.further()[0].place;
        (
            place.credential.id,
            place.credential.secret.expose().to_owned(),
        )
    };
    let (before, _) = credential(&rig);
    let changed = hook(11, "a", Some(&secret(1)));
    rig.commit(vec![Command::PutDestination(user_id(1), changed, None)])
        .await;
    let now = credential(&rig);
    assert_ne!(now.0, before);
    assert_eq!(now.1, secret(1));
    assert_eq!(credential(&rig.restart().await), now);
}

pub async fn what_happens_to_a_destination_moves_its_users_time<D: DirectoryUnderTest>() {
    let rig = with_hooks::<D>().await;
    let times = |rig: &Rig<D>| {
        let user = rig.user(1);
        let (UtcMillis(created), UtcMillis(updated)) = (user.created_at, user.updated_at);
        (created, updated)
    };
    let (created, updated) = times(&rig);
    rig.clock.advance(Duration::from_secs(1));
    let same = hook(11, "a", None);
    rig.commit(vec![Command::PutDestination(user_id(1), same, None)])
        .await;
    assert_eq!(times(&rig), (created, updated));
    rig.commit(vec![remove_destination(1, 11)]).await;
    let expected = (created, updated + 1000);
    assert_eq!(times(&rig), expected);
    assert_eq!(times(&rig.restart().await), expected);
}
