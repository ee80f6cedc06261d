//! Directories for tests.

use std::sync::Arc;

use common::{
    ChannelKind, Credential, CredentialId, Destination, GroupId, Secret, UserId, UtcMillis,
};
use smallvec::smallvec;
use uuid::Uuid;

use super::{Description, Directory, Group, GroupName, User, UserDestination, UserName};

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
        destinations: smallvec![UserDestination {
            destination: Arc::new(Destination::new(ChannelKind::SLACK, "", channel)),
            credential: Arc::new(Credential {
                id: CredentialId(credential),
                secret: Secret::new(format!("token{credential}")),
            }),
        }],
        created_at: UtcMillis(0),
        updated_at: UtcMillis(0),
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
