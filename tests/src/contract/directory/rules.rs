//! What a directory refuses, and what its commands come to.

use producer::{
    domain::{
        Caller, Command, DirectoryError,
        Effect::{Created, Unchanged, Updated},
    },
    ports::{Mode, StoreError},
};

use super::{
    DirectoryUnderTest,
    rig::{
        Rig, create_group, create_user, group_id, hook, put_group, put_hook, put_user,
        remove_destination, subscribe, unsubscribe, user_id, written,
    },
};

/// Commands that a directory of ann and ben refuses, and why.
fn forbidden() -> Vec<(Command, DirectoryError)> {
    use DirectoryError::{
        AlreadySubscribed, CredentialMissing, FirstDestination, GroupNameTaken, IdTaken,
        NoSuchDestination, NoSuchGroup, NoSuchUser, TokenMissing, UserNameTaken,
    };
    vec![
        (create_user(1, "carl"), IdTaken),
        (create_user(3, "ann"), UserNameTaken),
        (put_user(2, "ann", None), UserNameTaken),
        (put_user(3, "ann", Some("token3")), UserNameTaken),
        (put_user(3, "carl", None), TokenMissing),
        (Command::RemoveUser(user_id(3)), NoSuchUser),
        (create_group(1, "others", &[]), IdTaken),
        (create_group(3, "admins", &[]), GroupNameTaken),
        (put_group(1, "admins", None), GroupNameTaken),
        (put_group(3, "admins", None), GroupNameTaken),
        (create_group(3, "others", &[1, 3]), NoSuchUser),
        (put_group(1, "everyone", Some(&[3])), NoSuchUser),
        (Command::RemoveGroup(group_id(3)), NoSuchGroup),
        (subscribe(3, 1), NoSuchGroup),
        (subscribe(1, 3), NoSuchUser),
        (subscribe(1, 1), AlreadySubscribed),
        (put_hook(3, 11, "a", None), NoSuchUser),
        (put_hook(1, 1, "a", None), FirstDestination),
        (remove_destination(1, 1), FirstDestination),
        (remove_destination(1, 11), NoSuchDestination),
        (
            Command::PutDestination(user_id(1), hook(11, "a", None), None),
            CredentialMissing,
        ),
    ]
}

pub async fn a_new_directory_is_empty<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    rig.assert_is(&["(0, 0)".to_owned()]).await;
}

pub async fn every_rule_refuses_what_it_forbids<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    for (command, reason) in forbidden() {
        let answer = rig.execute(vec![command.clone()], Mode::Commit).await;
        let expected = StoreError::Refused(vec![(0, reason)]);
        assert_eq!(answer.unwrap_err(), expected, "{command:?}");
    }
}

pub async fn what_is_refused_changes_nothing<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = written(&rig.snapshot());
    for (command, _) in forbidden() {
        let commands = vec![
            create_user(7, "gina"),
            put_user(1, "ann", Some("token9")),
            put_group(2, "admins", Some(&[])),
            Command::RemoveUser(user_id(2)),
            create_user(2, "ben"),
            subscribe(1, 2),
            command,
        ];
        rig.execute(commands, Mode::Commit).await.unwrap_err();
        assert_eq!(written(&rig.snapshot()), before);
    }
    rig.assert_is(&before).await;
}

pub async fn one_refusal_refuses_all_and_names_every_place<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = written(&rig.snapshot());
    let commands = vec![
        create_user(3, "carl"),
        create_user(1, "other"),
        create_user(4, "dora"),
        subscribe(1, 9),
        put_user(5, "ann", Some("token5")),
    ];
    let expected = vec![
        (1, DirectoryError::IdTaken),
        (3, DirectoryError::NoSuchUser),
        (4, DirectoryError::UserNameTaken),
    ];
    let refusal = rig.execute(commands, Mode::Commit).await.unwrap_err();
    assert_eq!(refusal, StoreError::Refused(expected));
    rig.assert_is(&before).await;
}

pub async fn each_command_is_judged_by_what_those_before_it_left<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    let commands = vec![
        create_user(1, "ann"),
        create_user(2, "ann"),
        create_group(1, "everyone", &[1]),
        subscribe(1, 1),
        Command::RemoveUser(user_id(1)),
        subscribe(1, 1),
    ];
    let expected = vec![
        (1, DirectoryError::UserNameTaken),
        (3, DirectoryError::AlreadySubscribed),
        (5, DirectoryError::NoSuchUser),
    ];
    let refusal = rig.execute(commands, Mode::Commit).await.unwrap_err();
    assert_eq!(refusal, StoreError::Refused(expected));
}

pub async fn a_name_that_is_given_up_can_be_taken_by_a_later_command<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let commands = vec![
        put_user(1, "anna", None),
        put_user(2, "ann", None),
        put_group(1, "all of us", None),
        create_group(3, "everyone", &[]),
    ];
    let effects = rig.commit(commands).await;
    assert_eq!(effects, [Updated, Updated, Updated, Created]);
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    assert_eq!(snapshot.user_named("ann").unwrap().id, user_id(2));
    assert_eq!(snapshot.user_named("anna").unwrap().id, user_id(1));
    assert!(snapshot.user_named("ben").is_none());
    assert_eq!(snapshot.group_named("everyone").unwrap().id, group_id(3));
}

pub async fn each_command_says_what_it_did<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let cases = [
        (create_user(3, "carl"), Created),
        (put_user(3, "carl", None), Unchanged),
        (put_user(3, "carla", None), Updated),
        (put_user(4, "dora", Some("token4")), Created),
        (create_group(3, "others", &[3, 4]), Created),
        (put_group(3, "others", None), Unchanged),
        (put_group(3, "others", Some(&[3, 4])), Unchanged),
        (put_group(3, "others", Some(&[3])), Updated),
        (put_group(4, "fourth", None), Created),
        (subscribe(3, 4), Updated),
        (unsubscribe(3, 4), Updated),
        (unsubscribe(3, 4), Unchanged),
        (unsubscribe(9, 9), Unchanged),
        (Command::RemoveUser(user_id(4)), Updated),
        (Command::RemoveGroup(group_id(4)), Updated),
    ];
    for (command, effect) in cases {
        let effects = rig.commit(vec![command.clone()]).await;
        assert_eq!(effects, [effect], "{command:?}");
    }
}

pub async fn a_repeated_put_finds_everything_unchanged<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let puts = || {
        vec![
            put_user(1, "anna", Some("token7")),
            put_user(3, "carl", Some("token3")),
            put_group(1, "everyone", Some(&[1, 3])),
            put_group(3, "others", Some(&[])),
        ]
    };
    let effects = rig.commit(puts()).await;
    assert_eq!(effects, [Updated, Created, Updated, Created]);
    assert_eq!(rig.commit(puts()).await, [Unchanged; 4]);
    let rig = rig.restart().await;
    assert_eq!(rig.commit(puts()).await, [Unchanged; 4]);
}

pub async fn a_repeated_creation_finds_its_id_taken<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    for command in [create_user(1, "ann"), create_group(1, "everyone", &[1, 2])] {
        let refusal = rig.execute(vec![command], Mode::Commit).await.unwrap_err();
        let expected = vec![(0, DirectoryError::IdTaken)];
        assert_eq!(refusal, StoreError::Refused(expected));
    }
}

pub async fn of_many_creations_of_one_name_at_once_one_is_made<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 1..=50 {
        let port = rig.port.clone();
        let command = create_user(n, "ann");
        calls.spawn(async move {
            port.execute(vec![command], Mode::Commit, &Caller::LOCAL)
                .await
        });
    }
    let answers = calls.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = StoreError::Refused(vec![(0, DirectoryError::UserNameTaken)]);
    let refusals = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refusals.into_iter().all(|refusal| *refusal == refused));
    assert_eq!(rig.snapshot().user_count(), 1);
    let written = written(&rig.snapshot());
    rig.assert_is(&written).await;
}
