//! A directory in memory that follows the producer's own decisions.

use std::sync::Arc;

use async_trait::async_trait;
use common::{Credential, CredentialId, GroupId, Secret, UserId, UtcMillis};
use producer::{
    domain::{
        Address, ApiToken, Caller, Change, Command, Description, Destinations, Directory,
        FurtherDestination, Group, GroupName, GroupRecord, NewCredential, Token, User,
        UserDestination, UserName, UserRecord,
    },
    ports::{DirectoryStore, Executed, Mode, StoreError},
};
use tokio::sync::Semaphore;

use super::{ONE, Setting, TWO};

/// 2026-11-23T08:00:00Z.
const CREATED: UtcMillis = UtcMillis(1_795_420_800_000);

pub(crate) struct FakeStore {
    directory: Setting<Arc<Directory>>,
    failure: Setting<Option<StoreError>>,
    /// Changes wait for a permit.
    gate: Semaphore,
    /// A permit for each change that has come to the gate.
    came: Semaphore,
}

impl FakeStore {
    /// The sample directory of the contract.
    pub(crate) fn sample() -> Self {
        let mut directory = Directory::default();
        for command in [
            Command::PutUser(user(ONE, 1)),
            Command::PutUser(user(TWO, 2)),
            Command::PutGroup(group(ONE, 1)),
            Command::PutGroup(group(TWO, 2)),
            Command::Subscribe(id(ONE), id(ONE)),
        ] {
            carry_out(&mut directory, &command).unwrap();
        }
        Self {
            directory: Setting::new(Arc::new(directory)),
            failure: Setting::new(None),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            came: Semaphore::new(0),
        }
    }

    /// Fails every change from now on.
    pub(crate) fn fail_with(&self, failure: StoreError) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    /// Lets changes wait until [`open`](Self::open).
    pub(crate) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until one more change has been asked for.
    pub(crate) async fn asked(&self) {
        self.came.acquire().await.unwrap().forget();
    }

    /// Lets changes through again.
    pub(crate) fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Adds users and a group of them all, for tests of size.
    pub(crate) fn add_users(&self, count: usize) {
        let mut directory = Directory::clone(&self.snapshot());
        for place in 0..count {
            let command = Command::PutUser(UserRecord {
                id: UserId(uuid::Uuid::from_u128(1000 + place as u128)),
                name: UserName::parse(&format!("many{place:06}")).unwrap(),
                address: Address::parse("C1").unwrap(),
                token: Some(Token::parse("many_token").unwrap()),
                destinations: None,
            });
            carry_out(&mut directory, &command).unwrap();
        }
        *self.directory.lock().unwrap() = Arc::new(directory);
    }
}

#[async_trait]
impl DirectoryStore for FakeStore {
    fn snapshot(&self) -> Arc<Directory> {
        self.directory.lock().unwrap().clone()
    }

    async fn execute(
        &self,
        commands: Vec<Command>,
        mode: Mode,
        _: &Caller,
    ) -> Result<Executed, StoreError> {
        self.came.add_permits(1);
        drop(self.gate.acquire().await);
        if let Some(failure) = self.failure.lock().unwrap().clone() {
            return Err(failure);
        }
        let mut directory = Directory::clone(&self.snapshot());
        let mut effects = Vec::new();
        let mut refused = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            match carry_out(&mut directory, command) {
                Ok(effect) => effects.push(effect),
                Err(reason) => refused.push((place, reason)),
            }
        }
        if !refused.is_empty() {
            return Err(StoreError::Refused(refused));
        }
        let directory = Arc::new(directory);
        if mode == Mode::Commit {
            *self.directory.lock().unwrap() = directory.clone();
        }
        Ok(Executed { directory, effects })
    }
}

fn carry_out(
    directory: &mut Directory,
    command: &Command,
) -> Result<producer::domain::Effect, producer::domain::DirectoryError> {
    let decision = directory.decide(command)?;
    for change in decision.changes {
        apply(directory, change);
    }
    Ok(decision.effect)
}

fn apply(directory: &mut Directory, change: Change) {
    match change {
        Change::SaveUser { record, credential } => {
            let old = directory.user(record.id).cloned();
            let credential = match (credential, &old, &record.token) {
                (NewCredential::Keep, Some(old), _) => old.destinations.first().credential.clone(),
                (_, _, Some(token)) => new_credential(token),
                (_, _, None) => unreachable!("decided with a token"),
            };
            let first = UserDestination {
                destination: Arc::new(record.first()),
                credential,
            };
            let further = old.map(|old| old.destinations.further().to_vec());
            directory.insert_user(Arc::new(User {
                id: record.id,
                name: record.name,
                destinations: Destinations::new(first, further.unwrap_or_default()),
                created_at: CREATED,
                updated_at: CREATED,
            }));
        }
        Change::SaveDestinations(user, saved) => {
            let user = directory.user(user).unwrap().clone();
            let further = saved.into_iter().map(|saved| {
                let credential = match (saved.credential, &saved.record.credential) {
                    (NewCredential::FromToken, Some(token)) => new_credential(token),
                    _ => {
                        let known = user.destinations.find(saved.record.id).unwrap();
                        known.place.credential.clone()
                    }
                };
                FurtherDestination {
                    id: saved.record.id,
                    place: UserDestination {
                        destination: Arc::new(saved.record.place.destination().clone()),
                        credential,
                    },
                }
            });
            let first = user.destinations.first().clone();
            directory.insert_user(Arc::new(User {
                destinations: Destinations::new(first, further.collect()),
                ..(*user).clone()
            }));
        }
        Change::RemoveUser(id) => directory.remove_user(id),
        Change::SaveGroup(record) => directory.insert_group(Arc::new(Group {
            id: record.id,
            name: record.name,
            desc: record.desc,
            created_at: CREATED,
            updated_at: CREATED,
        })),
        Change::RemoveGroup(id) => directory.remove_group(id),
        Change::Subscribe(group, user) => directory.insert_member(group, user),
        Change::Unsubscribe(group, user) => directory.remove_member(group, user),
        Change::CreateApiToken(record) => directory.insert_api_token(Arc::new(ApiToken {
            record,
            created_at: CREATED,
            revoked_at: None,
        })),
        Change::RevokeApiToken(id) => {
            let token = directory.api_token(id).unwrap();
            let revoked = ApiToken {
                revoked_at: Some(CREATED),
                ..(**token).clone()
            };
            directory.insert_api_token(Arc::new(revoked));
        }
    }
}

fn new_credential(token: &Token) -> Arc<Credential> {
    Arc::new(Credential {
        id: CredentialId(1),
        secret: Secret::new(token.secret().expose()),
    })
}

fn id<Id: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Id {
    text.parse().unwrap()
}

fn user(user: &str, number: u8) -> UserRecord {
    UserRecord {
        id: id::<UserId>(user),
        name: UserName::parse(&format!("user_name{number}")).unwrap(),
        address: Address::parse(&format!("test_channel_id{number}")).unwrap(),
        token: Some(Token::parse(&format!("test_token{number}")).unwrap()),
        destinations: None,
    }
}

fn group(group: &str, number: u8) -> GroupRecord {
    GroupRecord {
        id: id::<GroupId>(group),
        name: GroupName::parse(&format!("group_name{number}")).unwrap(),
        desc: Description::parse(&format!("test_desc{number}")).unwrap(),
        users: None,
    }
}
