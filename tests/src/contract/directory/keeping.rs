//! What a directory keeps, and when it can be seen.

use std::{sync::Arc, time::Duration};

use producer::{
    domain::{
        Caller, Command, DirectoryError,
        Effect::{Created, Updated},
    },
    ports::{Mode, StoreError},
};

use super::{
    DirectoryUnderTest, ManualClock,
    rig::{
        Rig, create_group, create_user, group_id, put_group, put_user, subscribe, unsubscribe,
        user_id, written,
    },
};

pub async fn what_is_executed_is_in_the_answer_and_the_snapshot<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    let commands = vec![create_user(1, "ann"), create_group(1, "everyone", &[1])];
    let executed = rig.execute(commands, Mode::Commit).await.unwrap();
    let expected = written(&executed.directory);
    let user = executed.directory.user_named("ann").unwrap();
    assert_eq!(&*user.destinations.first().destination.address, "channel1");
    assert_eq!(
        user.destinations.first().credential.secret.expose(),
        "token1"
    );
    assert!(executed.directory.is_member(group_id(1), user_id(1)));
    rig.assert_is(&expected).await;
}

pub async fn a_snapshot_taken_before_does_not_change<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let snapshot = rig.snapshot();
    let before = written(&snapshot);
    rig.commit(vec![Command::RemoveUser(user_id(1))]).await;
    assert_eq!(written(&snapshot), before);
    assert!(rig.snapshot().user(user_id(1)).is_none());
}

pub async fn a_restart_finds_the_same_directory<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.clock.advance(Duration::from_secs(60));
    rig.commit(vec![
        create_user(3, "장애알림"),
        put_user(1, "anna", Some("token9")),
        put_group(1, "everyone!", Some(&[2, 3])),
        subscribe(2, 3),
        unsubscribe(2, 1),
        Command::RemoveUser(user_id(2)),
        create_group(3, "장애알림방", &[]),
    ])
    .await;
    let before = written(&rig.snapshot());
    rig.assert_is(&before).await;
}

pub async fn a_dry_run_judges_and_changes_nothing<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = written(&rig.snapshot());
    let commands = || {
        vec![
            put_user(1, "anna", Some("token9")),
            create_user(3, "carl"),
            create_group(3, "others", &[1, 3]),
            Command::RemoveUser(user_id(2)),
        ]
    };
    let judged = rig.execute(commands(), Mode::DryRun).await.unwrap();
    assert_eq!(judged.effects, [Updated, Created, Created, Updated]);
    assert!(judged.directory.user_named("carl").is_some());
    assert_eq!(written(&rig.snapshot()), before);
    let rig = rig.restart().await;
    assert_eq!(written(&rig.snapshot()), before);
    assert_eq!(rig.commit(commands()).await, judged.effects);
}

pub async fn a_dry_run_refuses_as_the_real_one_would<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let commands = vec![create_user(3, "carl"), create_user(4, "carl")];
    let refusal = rig.execute(commands, Mode::DryRun).await.unwrap_err();
    let expected = vec![(1, DirectoryError::UserNameTaken)];
    assert_eq!(refusal, StoreError::Refused(expected));
}

pub async fn no_commands_are_carried_out_too<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    assert_eq!(rig.commit(vec![]).await, []);
}

pub async fn many_changes_at_once_are_all_kept<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 10..110 {
        let port = rig.port.clone();
        let commands = vec![create_user(n, &format!("user{n}")), subscribe(1, n)];
        calls.spawn(async move {
            port.execute(commands, Mode::Commit, &Caller::LOCAL)
                .await
                .unwrap();
            // What an answer says is done is in the snapshot.
            assert!(port.snapshot().is_member(group_id(1), user_id(n)));
        });
    }
    calls.join_all().await;
    assert_eq!(rig.snapshot().member_ids(group_id(1)).count(), 102);
    let before = written(&rig.snapshot());
    rig.assert_is(&before).await;
}

pub async fn memberships_go_with_the_user<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![Command::RemoveUser(user_id(1))]).await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    let members: Vec<_> = snapshot.member_ids(group_id(1)).collect();
    assert_eq!(members, [user_id(2)]);
    assert_eq!(snapshot.member_ids(group_id(2)).count(), 0);
}

pub async fn memberships_go_with_the_group<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![Command::RemoveGroup(group_id(1))]).await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    let groups: Vec<_> = snapshot
        .groups_of(user_id(1))
        .map(|group| group.id)
        .collect();
    assert_eq!(groups, [group_id(2)]);
    // A group that comes back under the id is empty.
    rig.commit(vec![put_group(1, "everyone", None)]).await;
    assert_eq!(rig.snapshot().member_ids(group_id(1)).count(), 0);
}

pub async fn a_group_given_other_users_has_exactly_those<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![
        create_user(3, "carl"),
        put_group(1, "everyone", Some(&[3, 2])),
    ])
    .await;
    let rig = rig.restart().await;
    let members: Vec<_> = rig.snapshot().member_ids(group_id(1)).collect();
    assert_eq!(members, [user_id(2), user_id(3)]);
}

pub async fn a_user_who_comes_back_is_in_no_group<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.commit(vec![Command::RemoveUser(user_id(1)), create_user(1, "ann")])
        .await;
    assert_eq!(rig.snapshot().groups_of(user_id(1)).count(), 0);
    let before = written(&rig.snapshot());
    rig.assert_is(&before).await;
}

pub async fn created_at_stays_and_updated_at_moves<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    rig.clock.advance(Duration::from_secs(5));
    rig.commit(vec![
        put_user(1, "anna", None),
        put_user(2, "ben", Some("token9")),
        put_group(1, "all of us", None),
    ])
    .await;
    let rig = rig.restart().await;
    let snapshot = rig.snapshot();
    for user in [rig.user(1), rig.user(2)] {
        assert_eq!(user.created_at, ManualClock::BEGINNING);
        assert_eq!(user.updated_at, rig.clock.utc());
    }
    let group = snapshot.group(group_id(1)).unwrap();
    assert_eq!(group.created_at, ManualClock::BEGINNING);
    assert_eq!(group.updated_at, rig.clock.utc());
}

pub async fn what_is_unchanged_keeps_its_times<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::with_two_users().await;
    let before = written(&rig.snapshot());
    rig.clock.advance(Duration::from_secs(5));
    rig.commit(vec![
        put_user(1, "ann", Some("token1")),
        put_user(2, "ben", None),
        put_group(1, "everyone", Some(&[2, 1])),
    ])
    .await;
    rig.assert_is(&before).await;
}

pub async fn ten_thousand_users_are_imported_at_once<D: DirectoryUnderTest>() {
    let rig = Rig::<D>::empty().await;
    let members: Vec<u128> = (1..=10_000).collect();
    let users = members.iter().map(|n| create_user(*n, &format!("user{n}")));
    let commands = users
        .chain([create_group(1, "everyone", &members)])
        .collect();
    assert_eq!(rig.commit(commands).await.len(), 10_001);
    let rig = rig.restart().await;
    let snapshot: Arc<_> = rig.snapshot();
    assert_eq!(snapshot.user_count(), 10_000);
    assert_eq!(snapshot.members(group_id(1)).count(), 10_000);
}
