//! What a directory promises of credentials: each token is a version of its own.

use common::Destination;
use producer::{
    domain::{Address, Command, UserRecord},
    ports::Mode,
};

use super::{
    DirectoryUnderTest,
    rig::{Rig, create_user, put_user, record, user_id},
};

pub async fn a_changed_token_is_another_credential<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let (before, place) = (rig.credential(1), rig.user(1).destinations.first().clone());
    rig.commit(vec![put_user(1, "ann", Some("token9"))]).await;
    assert_ne!(rig.credential(1), before);
    let user = rig.user(1);
    assert_eq!(
        user.destinations.first().credential.secret.expose(),
        "token9"
    );
    assert_eq!(user.destinations.first().destination, place.destination);
    let now = rig.credential(1);
    assert_eq!(rig.restart().await.credential(1), now);
}

pub async fn a_kept_token_is_the_same_credential<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = rig.credential(1);
    rig.commit(vec![put_user(1, "anna", None)]).await;
    assert_eq!(rig.credential(1), before);
    rig.commit(vec![put_user(1, "annie", Some("token1"))]).await;
    assert_eq!(rig.credential(1), before);
    assert_eq!(rig.restart().await.credential(1), before);
}

pub async fn a_changed_channel_is_another_destination_with_the_same_credential<
    D: DirectoryUnderTest,
>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = rig.credential(1);
    rig.commit(vec![Command::PutUser(UserRecord {
        address: Address::parse("elsewhere").unwrap(),
        ..record(1, "ann", None)
    })])
    .await;
    let rig = rig.restart().await;
    let user = rig.user(1);
    let place = user.destinations.first();
    let expected = Destination::new(place.destination.kind.clone(), "", "elsewhere");
    assert_eq!(*place.destination, expected);
    assert_eq!(place.credential.id, before);
    assert!(user.destinations.further().is_empty());
}

pub async fn two_users_with_one_token_share_a_credential<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![
        put_user(3, "carl", Some("token1")),
        put_user(2, "ben", Some("token1")),
    ])
    .await;
    let shared = rig.credential(1);
    assert_eq!([rig.credential(2), rig.credential(3)], [shared, shared]);
    // It stays while one of them has it.
    rig.commit(vec![
        Command::RemoveUser(user_id(1)),
        put_user(2, "ben", Some("token2")),
    ])
    .await;
    let rig = rig.restart().await;
    assert_eq!(rig.credential(3), shared);
    assert_ne!(rig.credential(2), shared);
}

pub async fn a_token_that_comes_back_while_another_has_it_is_that_credential<
    D: DirectoryUnderTest,
>() {
    let rig = Rig::<D>::with_two_users().await;
    let shared = rig.credential(1);
    rig.commit(vec![put_user(2, "ben", Some("token1"))]).await;
    rig.commit(vec![put_user(1, "ann", Some("token9"))]).await;
    let rig = rig.restart().await;
    rig.commit(vec![put_user(1, "ann", Some("token1"))]).await;
    assert_eq!([rig.credential(1), rig.credential(2)], [shared, shared]);
}

pub async fn a_credential_id_is_never_given_to_another_token<D: DirectoryUnderTest>() {
    let mut rig = Rig::<D>::with_two_users().await;
    let mut known = vec![rig.credential(1), rig.credential(2)];
    for n in 0..10 {
        rig.commit(vec![put_user(2, "ben", Some(&format!("other{n}")))])
            .await;
        assert!(!known.contains(&rig.credential(2)));
        known.push(rig.credential(2));
        rig = rig.restart().await;
    }
}

pub async fn a_dry_run_gives_no_user_a_credential<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = rig.credential(1);
    let commands = vec![put_user(1, "ann", Some("token9")), create_user(3, "carl")];
    rig.execute(commands, Mode::DryRun).await.unwrap();
    assert_eq!(rig.credential(1), before);
    let rig = rig.restart().await;
    assert_eq!(rig.credential(1), before);
    assert_eq!(
        rig.user(1).destinations.first().credential.secret.expose(),
        "token1"
    );
}
