use super::*;
use crate::domain::{
    Address, Description, GroupName, Token, UserName,
    fixtures::{group_id, two_users, user, user_id},
};

fn record(n: u128, name: &str, channel: &str, token: Option<&str>) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(name).unwrap(),
        address: Address::parse(channel).unwrap(),
        token: token.map(|text| Token::parse(text).unwrap()),
    }
}

fn group_record(n: u128, name: &str, users: Option<Vec<UserId>>) -> GroupRecord {
    GroupRecord {
        id: group_id(n),
        name: GroupName::parse(name).unwrap(),
        desc: Description::parse("a description").unwrap(),
        users,
    }
}

fn refusal(command: Command) -> DirectoryError {
    two_users().decide(&command).unwrap_err()
}

fn effect(command: Command) -> Effect {
    two_users().decide(&command).unwrap().effect
}

#[test]
fn names_are_unique() {
    let taken = record(9, "ann", "c", Some("t"));
    assert_eq!(
        refusal(Command::CreateUser(taken.clone())),
        DirectoryError::UserNameTaken
    );
    assert_eq!(
        refusal(Command::PutUser(taken)),
        DirectoryError::UserNameTaken
    );
    let taken = group_record(9, "admins", None);
    assert_eq!(
        refusal(Command::CreateGroup(taken)),
        DirectoryError::GroupNameTaken
    );
}

#[test]
fn a_put_creates_replaces_or_finds_all_as_it_should_be() {
    assert_eq!(
        effect(Command::PutUser(record(9, "eve", "c", Some("t")))),
        Effect::Created
    );
    assert_eq!(
        effect(Command::PutUser(record(1, "anna", "channel1", None))),
        Effect::Updated
    );
    assert_eq!(
        effect(Command::PutUser(record(1, "ann", "channel1", None))),
        Effect::Unchanged
    );
    assert_eq!(
        effect(Command::PutUser(record(
            1,
            "ann",
            "channel1",
            Some("token1")
        ))),
        Effect::Unchanged
    );
}

#[test]
fn a_put_without_a_token_keeps_it_and_a_new_user_needs_one() {
    let decision = two_users()
        .decide(&Command::PutUser(record(1, "ann", "channel9", None)))
        .unwrap();
    let [Change::SaveUser { credential, .. }] = &decision.changes[..] else {
        panic!("{decision:?}")
    };
    assert_eq!(*credential, NewCredential::Keep);
    assert_eq!(
        refusal(Command::PutUser(record(9, "eve", "c", None))),
        DirectoryError::TokenMissing
    );
}

#[test]
fn a_put_group_keeps_its_members_unless_others_are_given() {
    assert_eq!(
        effect(Command::PutGroup(group_record(1, "everyone", None))),
        Effect::Unchanged
    );
    let only_ben = group_record(1, "everyone", Some(vec![user_id(2)]));
    let decision = two_users().decide(&Command::PutGroup(only_ben)).unwrap();
    let [Change::Unsubscribe(group, user)] = decision.changes[..] else {
        panic!("{decision:?}")
    };
    assert_eq!((group, user), (group_id(1), user_id(1)));
}

#[test]
fn members_must_exist() {
    let unknown = group_record(1, "everyone", Some(vec![user_id(9)]));
    assert_eq!(
        refusal(Command::PutGroup(unknown)),
        DirectoryError::NoSuchUser
    );
}

#[test]
fn a_subscription_needs_both_sides_and_exists_once() {
    assert_eq!(
        refusal(Command::Subscribe(group_id(9), user_id(9))),
        DirectoryError::NoSuchGroup
    );
    assert_eq!(
        refusal(Command::Subscribe(group_id(1), user_id(9))),
        DirectoryError::NoSuchUser
    );
    assert_eq!(
        refusal(Command::Subscribe(group_id(1), user_id(1))),
        DirectoryError::AlreadySubscribed
    );
    assert_eq!(
        effect(Command::Subscribe(group_id(2), user_id(2))),
        Effect::Updated
    );
}

#[test]
fn unsubscribing_what_is_not_subscribed_changes_nothing() {
    assert_eq!(
        effect(Command::Unsubscribe(group_id(9), user_id(9))),
        Effect::Unchanged
    );
    assert_eq!(
        effect(Command::Unsubscribe(group_id(2), user_id(2))),
        Effect::Unchanged
    );
}

#[test]
fn memberships_go_with_either_side() {
    let mut directory = two_users();
    directory.remove_user(user_id(1));
    assert_eq!(
        directory.member_ids(group_id(1)).collect::<Vec<_>>(),
        [user_id(2)]
    );
    directory.remove_group(group_id(1));
    assert_eq!(directory.groups_of(user_id(2)).count(), 0);
    assert!(directory.user_named("ann").is_none());
}

#[test]
fn a_renamed_user_is_found_by_the_new_name_alone() {
    let mut directory = two_users();
    directory.insert_user(user(1, "anna", "channel1", 1));
    assert!(directory.user_named("ann").is_none());
    assert!(directory.user_named("anna").is_some());
}

#[test]
fn listing_goes_by_name_from_a_prefix_and_after_a_name() {
    let directory = two_users();
    let names = |prefix, after| -> Vec<_> {
        directory
            .groups_by_name(prefix, after)
            .map(|group| group.name.to_string())
            .collect()
    };
    assert_eq!(names("", None), ["admins", "everyone", "nobody"]);
    assert_eq!(names("", Some("admins")), ["everyone", "nobody"]);
    assert_eq!(names("no", None), ["nobody"]);
    assert_eq!(names("no", Some("a")), ["nobody"]);
    assert_eq!(names("no", Some("nobody")), [""; 0]);
}

#[test]
fn a_reader_keeps_the_directory_it_began_with() {
    let mut directory = two_users();
    let before = directory.clone();
    directory.remove_user(user_id(1));
    assert!(before.user(user_id(1)).is_some());
    assert!(directory.user(user_id(1)).is_none());
}
