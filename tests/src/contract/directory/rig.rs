//! What the directory's behaviours are shown with.

use std::sync::Arc;

use common::{CredentialId, GroupId, UserDestinationId, UserId, UtcMillis};
use producer::{
    domain::{
        Address, Caller, Command, Description, DestinationRecord, Directory, Effect, GroupName,
        GroupRecord, Place, Token, User, UserName, UserRecord,
    },
    ports::{AuditLog, DirectoryStore, Executed, Mode, StoreError},
};
use uuid::Uuid;

use super::{DirectoryUnderTest, ManualClock};

/// A directory under test.
pub(super) struct Rig<D> {
    directory: D,
    pub(super) port: Arc<dyn DirectoryStore>,
    pub(super) audit: Arc<dyn AuditLog>,
    pub(super) clock: Arc<ManualClock>,
}

impl<D: DirectoryUnderTest> Rig<D> {
    pub(super) async fn empty() -> Self {
        let clock = Arc::new(ManualClock::default());
        let directory = D::open(clock.clone()).await;
        Self {
            port: directory.port(),
            audit: directory.audit(),
            directory,
            clock,
        }
    }

    /// ann and ben; both in `everyone`, ann in `admins`.
    pub(super) async fn with_two_users() -> Self {
        let rig = Self::empty().await;
        rig.commit(vec![
            create_user(1, "ann"),
            create_user(2, "ben"),
            create_group(1, "everyone", &[1, 2]),
            create_group(2, "admins", &[1]),
        ])
        .await;
        rig
    }

    pub(super) async fn restart(self) -> Self {
        drop((self.port, self.audit));
        let directory = self.directory.restart().await;
        Self {
            port: directory.port(),
            audit: directory.audit(),
            directory,
            ..self
        }
    }

    pub(super) async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
    ) -> Result<Executed, StoreError> {
        self.port.execute(commands, mode, &Caller::LOCAL).await
    }

    pub(super) async fn commit(&self, commands: Vec<Command>) -> Vec<Effect> {
        self.execute(commands, Mode::Commit).await.unwrap().effects
    }

    pub(super) fn snapshot(&self) -> Arc<Directory> {
        self.port.snapshot()
    }

    pub(super) fn user(&self, n: u128) -> Arc<User> {
        self.snapshot().user(user_id(n)).unwrap().clone()
    }

    pub(super) fn credential(&self, n: u128) -> CredentialId {
        self.user(n).destinations.first().credential.id
    }

    /// The directory as it is, after a restart as before.
    pub(super) async fn assert_is(self, expected: &[String]) {
        assert_eq!(written(&self.snapshot()), expected);
        let rig = self.restart().await;
        assert_eq!(written(&rig.snapshot()), expected);
    }
}

/// All there is in a directory, in lines.
pub(super) fn written(directory: &Directory) -> Vec<String> {
    let users = directory.users_by_name("", None).map(|user| {
        let places: Vec<_> = user
            .destinations
            .named(user.id)
            .map(|(id, place)| {
                let secret = place.credential.secret.expose();
                (id, &place.destination, place.credential.id, secret)
            })
            .collect();
        let UtcMillis(created) = user.created_at;
        let UtcMillis(updated) = user.updated_at;
        let groups: Vec<_> = directory.groups_of(user.id).map(|group| group.id).collect();
        format!(
            "{} {} {created} {updated} {places:?} {groups:?}",
            user.id, user.name
        )
    });
    let groups = directory.groups_by_name("", None).map(|group| {
        let members: Vec<_> = directory.member_ids(group.id).collect();
        format!("{group:?} {members:?}")
    });
    let tokens = directory.api_tokens().map(|token| {
        let hash = token.record.hash.as_bytes();
        format!("{token:?} {hash:?}")
    });
    let counts = (directory.user_count(), directory.group_count());
    let counts = format!("{counts:?}");
    users.chain(groups).chain(tokens).chain([counts]).collect()
}

pub(super) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(super) fn group_id(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

/// User `n` on channel `n`.
pub(super) fn record(n: u128, name: &str, token: Option<&str>) -> UserRecord {
    UserRecord {
        id: user_id(n),
        name: UserName::parse(name).unwrap(),
        address: Address::parse(&format!("channel{n}")).unwrap(),
        token: token.map(|text| Token::parse(text).unwrap()),
        destinations: None,
    }
}

/// User `n` with token `n`.
pub(super) fn create_user(n: u128, name: &str) -> Command {
    Command::CreateUser(record(n, name, Some(&format!("token{n}"))))
}

pub(super) fn put_user(n: u128, name: &str, token: Option<&str>) -> Command {
    Command::PutUser(record(n, name, token))
}

fn group_record(n: u128, name: &str, users: Option<&[u128]>) -> GroupRecord {
    GroupRecord {
        id: group_id(n),
        name: GroupName::parse(name).unwrap(),
        desc: Description::parse("a description").unwrap(),
        users: users.map(|users| users.iter().map(|n| user_id(*n)).collect()),
    }
}

pub(super) fn create_group(n: u128, name: &str, users: &[u128]) -> Command {
    Command::CreateGroup(group_record(n, name, Some(users)))
}

pub(super) fn put_group(n: u128, name: &str, users: Option<&[u128]>) -> Command {
    Command::PutGroup(group_record(n, name, users))
}

pub(super) fn subscribe(group: u128, user: u128) -> Command {
    Command::Subscribe(group_id(group), user_id(user))
}

pub(super) fn unsubscribe(group: u128, user: u128) -> Command {
    Command::Unsubscribe(group_id(group), user_id(user))
}

/// A secret that a webhook may have, another for each number.
pub(super) fn secret(n: u8) -> String {
    let last = char::from(b'A' + n);
    format!("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS{last}")
}

/// Destination `n`: the webhook of that path, with that secret if one is given.
pub(super) fn hook(n: u128, path: &str, secret: Option<&str>) -> DestinationRecord {
    let place = Place::parse("webhook", &format!("https://example.org/{path}")).unwrap();
    DestinationRecord {
        id: UserDestinationId(Uuid::from_u128(n)),
        credential: secret.map(|text| place.credential(text).unwrap()),
        place,
    }
}

/// Destination `n` of a user, with secret `n`.
pub(super) fn put_hook(user: u128, n: u8, path: &str, order: Option<usize>) -> Command {
    let record = hook(n.into(), path, Some(&secret(n)));
    Command::PutDestination(user_id(user), record, order)
}

pub(super) fn remove_destination(user: u128, n: u128) -> Command {
    Command::RemoveDestination(user_id(user), UserDestinationId(Uuid::from_u128(n)))
}
