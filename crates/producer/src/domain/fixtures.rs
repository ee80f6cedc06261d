//! Directories for tests.

use std::sync::Arc;

use common::{
    ChannelKind, Credential, CredentialId, Destination, GroupId, Secret, UserDestinationId, UserId,
    UtcMillis,
};
use uuid::Uuid;

use super::{
    Description, Destinations, Directory, FurtherDestination, Group, GroupName, Place, User,
    UserDestination, UserName,
};

pub(crate) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(crate) fn group_id(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

/// User `n`, told on `channel` with the credential of that number.
pub(crate) fn user(n: u128, name: &str, channel: &str, credential: i64) -> Arc<User> {
    Arc::new(User {
        id: user_id(n),
        name: UserName::parse(name).unwrap(),
        destinations: Destinations::new(
            UserDestination {
                destination: Arc::new(Destination::new(ChannelKind::SLACK, "", channel)),
                credential: secret(credential, &format!("token{credential}")),
            },
            vec![],
        ),
        created_at: UtcMillis(0),
        updated_at: UtcMillis(0),
    })
}

fn secret(id: i64, text: &str) -> Arc<Credential> {
    Arc::new(Credential {
        id: CredentialId(id),
        secret: Secret::new(text),
    })
}

/// A secret that a webhook may have.
pub(crate) const HOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// `user` with further webhooks: number, URL and number of the credential of each.
pub(crate) fn with_hooks(user: &User, hooks: &[(u128, &str, i64)]) -> Arc<User> {
    let further = hooks
        .iter()
        .map(|(id, url, credential)| FurtherDestination {
            id: UserDestinationId(Uuid::from_u128(*id)),
            place: UserDestination {
                destination: Arc::new(Place::parse("webhook", url).unwrap().destination().clone()),
                credential: secret(*credential, HOOK_SECRET),
            },
        });
    Arc::new(User {
        destinations: Destinations::new(user.destinations.first().clone(), further.collect()),
        ..user.clone()
    })
}

pub(crate) fn group(n: u128, name: &str) -> Arc<Group> {
    Arc::new(Group {
        id: group_id(n),
        name: GroupName::parse(name).unwrap(),
        desc: Description::parse("a description").unwrap(),
        created_at: UtcMillis(0),
        updated_at: UtcMillis(0),
    })
}

/// ann and ben; both in `everyone`, ann in `admins`, nobody in `nobody`.
pub(crate) fn two_users() -> Directory {
    let mut directory = Directory::default();
    directory.insert_user(user(1, "ann", "channel1", 1));
    directory.insert_user(user(2, "ben", "channel2", 2));
    directory.insert_group(group(1, "everyone"));
    directory.insert_group(group(2, "admins"));
    directory.insert_group(group(3, "nobody"));
    directory.insert_member(group_id(1), user_id(1));
    directory.insert_member(group_id(1), user_id(2));
    directory.insert_member(group_id(2), user_id(1));
    directory
}
