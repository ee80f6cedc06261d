use common::UserDestinationId;

use super::*;
use crate::domain::{
    Address, Description, DestinationRecord, GroupName, Place, Token, UserName,
    fixtures::{HOOK_SECRET, group, group_id, two_users, user, user_id, with_hooks},
};

fn record(n: u128, name: &str, channel: &str, token: Option<&str>) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(name).unwrap(),
        address: Address::parse(channel).unwrap(),
        token: token.map(|text| Token::parse(text).unwrap()),
        destinations: None,
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
fn there_are_at_most_so_many_users_and_groups_and_those_that_are_there_can_change() {
    let mut full = two_users();
    full.most = Most {
        users: full.user_count(),
        groups: full.group_count(),
    };
    let refusal = |command| full.decide(&command).unwrap_err();
    let new = record(9, "eve", "c", Some("t"));
    assert_eq!(
        refusal(Command::CreateUser(new.clone())),
        DirectoryError::TooManyUsers
    );
    assert_eq!(refusal(Command::PutUser(new)), DirectoryError::TooManyUsers);
    assert_eq!(
        refusal(Command::CreateGroup(group_record(9, "others", None))),
        DirectoryError::TooManyGroups
    );
    let renamed = Command::PutUser(record(1, "anna", "channel1", None));
    assert_eq!(full.decide(&renamed).unwrap().effect, Effect::Updated);
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

/// ann with two webhooks, `a` and `b`.
fn ann_with_hooks() -> Directory {
    let mut directory = two_users();
    let ann = user(1, "ann", "channel1", 1);
    let hooks = [
        (11, "https://example.org/a", 7),
        (12, "https://example.org/b", 8),
    ];
    directory.insert_user(with_hooks(&ann, &hooks));
    directory
}

fn hook(n: u128, url: &str, secret: Option<&str>) -> DestinationRecord {
    let place = Place::parse("webhook", url).unwrap();
    DestinationRecord {
        id: UserDestinationId(uuid::Uuid::from_u128(n)),
        credential: secret.map(|text| place.credential(text).unwrap()),
        place,
    }
}

fn put_hook(record: DestinationRecord, order: Option<usize>) -> Command {
    Command::PutDestination(user_id(1), record, order)
}

/// The paths that a decision leaves ann's webhooks with, in order.
fn paths(command: Command) -> Vec<String> {
    let changes = ann_with_hooks().decide(&command).unwrap().changes;
    let [Change::SaveDestinations(_, saved)] = &changes[..] else {
        panic!("{changes:?}");
    };
    let places = saved.iter().map(|saved| saved.record.place.destination());
    places.map(|place| place.address.to_string()).collect()
}

#[test]
fn a_new_destination_goes_where_it_is_told_to_or_last() {
    let c = || hook(13, "https://example.org/c", Some(HOOK_SECRET));
    for (order, expected) in [
        (None, ["/a", "/b", "/c"]),
        (Some(1), ["/c", "/a", "/b"]),
        (Some(2), ["/a", "/c", "/b"]),
        (Some(15), ["/a", "/b", "/c"]),
    ] {
        let create = Command::CreateDestination(user_id(1), c(), order);
        assert_eq!(paths(create), expected, "{order:?}");
        assert_eq!(paths(put_hook(c(), order)), expected, "{order:?}");
    }
}

#[test]
fn a_destination_that_is_put_stays_or_moves_and_keeps_its_secret_unless_given() {
    let directory = ann_with_hooks();
    let effect = |record, order| directory.decide(&put_hook(record, order)).unwrap().effect;
    let known = || hook(11, "https://example.org/a", None);
    assert_eq!(effect(known(), None), Effect::Unchanged);
    assert_eq!(effect(known(), Some(1)), Effect::Unchanged);
    assert_eq!(
        effect(hook(11, "https://example.org/a", Some(HOOK_SECRET)), None),
        Effect::Unchanged
    );
    assert_eq!(
        effect(hook(19, "https://example.org/c", Some(HOOK_SECRET)), None),
        Effect::Created
    );
    assert_eq!(paths(put_hook(known(), Some(2))), ["/b", "/a"]);
    assert_eq!(
        paths(put_hook(hook(11, "https://example.org/c", None), None)),
        ["/c", "/b"]
    );
    let changes = directory.decide(&put_hook(hook(11, "https://example.org/c", None), None));
    let Change::SaveDestinations(_, saved) = &changes.unwrap().changes[0] else {
        panic!("not saved");
    };
    assert_eq!(saved[0].credential, NewCredential::Keep);
}

#[test]
fn what_a_destination_may_not_be_is_refused() {
    let directory = ann_with_hooks();
    let new = |n| hook(n, "https://example.org/c", Some(HOOK_SECRET));
    let slack = |address: &str, token: Option<&str>| {
        let place = Place::parse("slack", address).unwrap();
        DestinationRecord {
            credential: token.map(|text| place.credential(text).unwrap()),
            place,
            ..new(11)
        }
    };
    for (command, error) in [
        (
            Command::CreateDestination(user_id(9), new(13), None),
            DirectoryError::NoSuchUser,
        ),
        (
            Command::PutDestination(user_id(9), new(13), None),
            DirectoryError::NoSuchUser,
        ),
        (
            Command::RemoveDestination(user_id(9), new(13).id),
            DirectoryError::NoSuchUser,
        ),
        (
            Command::RemoveDestination(user_id(1), new(13).id),
            DirectoryError::NoSuchDestination,
        ),
        (
            Command::RemoveDestination(user_id(1), new(1).id),
            DirectoryError::FirstDestination,
        ),
        (put_hook(new(1), None), DirectoryError::FirstDestination),
        (
            Command::CreateDestination(user_id(1), new(1), None),
            DirectoryError::IdTaken,
        ),
        (
            Command::CreateDestination(user_id(1), new(11), None),
            DirectoryError::IdTaken,
        ),
        (
            put_hook(hook(13, "https://example.org/a", Some(HOOK_SECRET)), None),
            DirectoryError::DestinationTaken,
        ),
        (
            put_hook(hook(13, "https://example.org/c", None), None),
            DirectoryError::CredentialMissing,
        ),
        (
            put_hook(slack("C9", None), None),
            DirectoryError::CredentialMissing,
        ),
        (
            put_hook(slack("channel1", Some("t")), None),
            DirectoryError::DestinationTaken,
        ),
    ] {
        assert_eq!(
            directory.decide(&command).unwrap_err(),
            error,
            "{command:?}"
        );
    }
}

#[test]
fn a_user_cannot_move_to_a_channel_that_is_a_further_destination_of_theirs() {
    let mut directory = two_users();
    let place = Place::parse("slack", "channel9").unwrap();
    let mut ann = (*user(1, "ann", "channel1", 1)).clone();
    let further = crate::domain::FurtherDestination {
        id: UserDestinationId(uuid::Uuid::from_u128(13)),
        place: crate::domain::UserDestination {
            destination: Arc::new(place.destination().clone()),
            credential: ann.destinations.first().credential.clone(),
        },
    };
    ann.destinations =
        crate::domain::Destinations::new(ann.destinations.first().clone(), vec![further]);
    directory.insert_user(Arc::new(ann));
    let moved = Command::PutUser(record(1, "ann", "channel9", None));
    assert_eq!(
        directory.decide(&moved).unwrap_err(),
        DirectoryError::DestinationTaken
    );
}

#[test]
fn a_user_has_at_most_sixteen_destinations() {
    let mut directory = two_users();
    let urls: Vec<_> = (0..15)
        .map(|n| (100 + n, format!("https://example.org/{n}")))
        .collect();
    let hooks: Vec<_> = urls
        .iter()
        .map(|(id, url)| (*id, url.as_str(), 7))
        .collect();
    directory.insert_user(with_hooks(&user(1, "ann", "channel1", 1), &hooks));
    let one_more = hook(13, "https://example.org/c", Some(HOOK_SECRET));
    let refusal = directory.decide(&put_hook(one_more, None)).unwrap_err();
    assert_eq!(refusal, DirectoryError::TooManyDestinations);
    assert_eq!(refusal.to_string(), "A user has at most 16 destinations.");
}

#[test]
fn the_usual_user_takes_no_room_for_destinations_that_they_do_not_have() {
    use crate::domain::{Destinations, UserDestination};
    let pointer = size_of::<usize>();
    assert_eq!(
        size_of::<Destinations>(),
        size_of::<UserDestination>() + pointer
    );
}

#[test]
fn users_and_groups_who_exchanged_their_names_are_applied_in_any_order() {
    let swapped = [user(1, "ben", "channel1", 1), user(2, "ann", "channel2", 2)];
    for order in [[0, 1], [1, 0]] {
        let mut directory = two_users();
        for place in order {
            directory.insert_user(swapped[place].clone());
        }
        directory.insert_group(group(2, "everyone"));
        directory.remove_group(group_id(1));
        assert_eq!(directory.user_named("ben").unwrap().id, user_id(1));
        assert_eq!(directory.user_named("ann").unwrap().id, user_id(2));
        assert_eq!(directory.users_by_name("", None).count(), 2);
        assert_eq!(directory.group_named("everyone").unwrap().id, group_id(2));
        // One who takes the name of somebody whose end comes later.
        directory.insert_user(user(3, "ann", "channel3", 3));
        directory.remove_user(user_id(2));
        assert_eq!(directory.user_named("ann").unwrap().id, user_id(3));
    }
}
