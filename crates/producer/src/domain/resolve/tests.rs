use super::*;
use crate::domain::fixtures::{two_users, user, user_id, with_hooks};

fn reach(targets: &[&str]) -> Resolution {
    let targets: Vec<Box<str>> = targets.iter().map(|text| (*text).into()).collect();
    resolve(&two_users(), &targets)
}

fn users(resolution: &Resolution) -> Vec<UserId> {
    let recipients = resolution
        .deliveries
        .iter()
        .flat_map(|delivery| &delivery.recipients);
    let mut users: Vec<_> = recipients.map(|recipient| recipient.user).collect();
    users.sort();
    users
}

#[test]
fn a_user_reached_in_several_ways_is_told_once_and_counted_once() {
    let found = reach(&["@ann", "@@admins", "@@everyone", "@all", "@ann"]);
    assert_eq!(found.user_count, 2);
    assert_eq!(users(&found), [user_id(1), user_id(2)]);
}

#[test]
fn all_anywhere_among_the_targets_means_every_user() {
    assert_eq!(
        users(&reach(&["@nobody-of-that-name", "@all"])),
        [user_id(1), user_id(2)]
    );
}

#[test]
fn a_name_that_nobody_has_counts_nobody_and_is_named_as_unknown() {
    let found = reach(&["@carl", "@@carls", "ann", "@@nobody", "@ann"]);
    assert_eq!(found.user_count, 1);
    assert_eq!(found.unknown, [0, 1, 2, 3]);
}

#[test]
fn a_target_named_again_changes_nothing_and_is_unknown_once() {
    let found = reach(&[
        "@nobody", "@ann", "@nobody", "@ann", "@all", "@all", "@nope", "@@nobody",
    ]);
    assert_eq!(found.user_count, 2);
    assert_eq!(found.unknown, [0, 6, 7]);
}

#[test]
fn names_are_compared_with_case() {
    assert_eq!(reach(&["@Ann", "@@Admins"]).user_count, 0);
}

#[test]
fn the_first_target_that_matched_is_remembered() {
    let found = reach(&["@@admins", "@all"]);
    let first = found
        .deliveries
        .iter()
        .find(|d| d.recipients[0].user == user_id(1))
        .unwrap();
    assert_eq!(first.recipients[0].target, 0);
}

#[test]
fn two_users_on_one_channel_with_one_credential_are_one_delivery_and_two_users() {
    let mut directory = two_users();
    directory.insert_user(user(3, "cho", "channel2", 2));
    let found = resolve(&directory, &["@ben".into(), "@cho".into()]);
    assert_eq!(found.user_count, 2);
    assert_eq!(found.deliveries.len(), 1);
    assert_eq!(found.deliveries[0].recipients.len(), 2);
}

#[test]
fn two_users_on_one_channel_with_two_credentials_are_two_deliveries() {
    let mut directory = two_users();
    directory.insert_user(user(3, "cho", "channel2", 3));
    assert_eq!(resolve(&directory, &["@all".into()]).deliveries.len(), 3);
}

#[test]
fn a_user_is_told_at_every_destination_in_their_order_and_counted_once() {
    let mut directory = two_users();
    let hooks = [
        (11, "https://example.org/a", 7),
        (12, "https://example.org/b", 8),
    ];
    directory.insert_user(with_hooks(&user(1, "ann", "channel1", 1), &hooks));
    let found = resolve(&directory, &["@ann".into(), "@all".into()]);
    assert_eq!(found.user_count, 2);
    let places = found.deliveries.iter().map(|one| one.destination.shown());
    let ann: Vec<_> = places.take(3).collect();
    assert_eq!(
        ann,
        ["channel1", "https://example.org/a", "https://example.org/b"]
    );
}
