//! Keeping users and groups.

use std::sync::Arc;

use common::{GroupId, UserDestinationId, UserId};
use uuid::Uuid;

use crate::{
    application::transfer::{self, ImportError, Imported},
    domain::{
        Caller, Command, DestinationRecord, Directory, DirectoryError, Effect, GroupRecord,
        UserRecord,
    },
    ports::{DirectoryStore, Executed, Mode, StoreError},
};

/// Why a change to the directory was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The directory's rules forbid it.
    #[error(transparent)]
    Refused(#[from] DirectoryError),
    /// The store could not do it.
    #[error(transparent)]
    Store(StoreError),
}

/// The use case: keeping users and groups. Reading is the snapshot's own. Whatever is
/// changed stands in the audit log as done by `by`.
pub struct DirectoryAdmin {
    store: Arc<dyn DirectoryStore>,
}

impl DirectoryAdmin {
    /// The use case over this store.
    pub fn new(store: Arc<dyn DirectoryStore>) -> Self {
        Self { store }
    }

    /// The directory as of now.
    pub fn snapshot(&self) -> Arc<Directory> {
        self.store.snapshot()
    }

    /// An id for a user, destination or group whose creator chose none.
    pub fn new_id(&self) -> Uuid {
        Uuid::new_v4()
    }

    /// A new user under the record's id.
    pub async fn create_user(
        &self,
        record: UserRecord,
        by: &Caller,
    ) -> Result<Arc<Directory>, ChangeError> {
        self.change(Command::CreateUser(record), by)
            .await
            .map(|(directory, _)| directory)
    }

    /// A user with exactly these values; says whether they are new.
    pub async fn put_user(
        &self,
        record: UserRecord,
        by: &Caller,
    ) -> Result<(Arc<Directory>, Effect), ChangeError> {
        self.change(Command::PutUser(record), by).await
    }

    /// No such user any longer. What waits for them is still delivered.
    pub async fn remove_user(&self, id: UserId, by: &Caller) -> Result<(), ChangeError> {
        self.change(Command::RemoveUser(id), by).await.map(drop)
    }

    /// A new destination of that user under the record's id, at that place after the
    /// first (from 1; `None` for the last).
    pub async fn create_destination(
        &self,
        user: UserId,
        record: DestinationRecord,
        order: Option<usize>,
        by: &Caller,
    ) -> Result<Arc<Directory>, ChangeError> {
        self.change(Command::CreateDestination(user, record, order), by)
            .await
            .map(|(directory, _)| directory)
    }

    /// A destination of that user with exactly these values; says whether it is new.
    pub async fn put_destination(
        &self,
        user: UserId,
        record: DestinationRecord,
        order: Option<usize>,
        by: &Caller,
    ) -> Result<(Arc<Directory>, Effect), ChangeError> {
        self.change(Command::PutDestination(user, record, order), by)
            .await
    }

    /// No such destination of that user any longer. What waits for it is still
    /// delivered.
    pub async fn remove_destination(
        &self,
        user: UserId,
        id: UserDestinationId,
        by: &Caller,
    ) -> Result<(), ChangeError> {
        self.change(Command::RemoveDestination(user, id), by)
            .await
            .map(drop)
    }

    /// A new group under the record's id.
    pub async fn create_group(
        &self,
        record: GroupRecord,
        by: &Caller,
    ) -> Result<Arc<Directory>, ChangeError> {
        self.change(Command::CreateGroup(record), by)
            .await
            .map(|(directory, _)| directory)
    }

    /// A group with exactly these values; says whether it is new.
    pub async fn put_group(
        &self,
        record: GroupRecord,
        by: &Caller,
    ) -> Result<(Arc<Directory>, Effect), ChangeError> {
        self.change(Command::PutGroup(record), by).await
    }

    /// No such group any longer.
    pub async fn remove_group(&self, id: GroupId, by: &Caller) -> Result<(), ChangeError> {
        self.change(Command::RemoveGroup(id), by).await.map(drop)
    }

    /// That user in that group.
    pub async fn subscribe(
        &self,
        group: GroupId,
        user: UserId,
        by: &Caller,
    ) -> Result<(), ChangeError> {
        self.change(Command::Subscribe(group, user), by)
            .await
            .map(drop)
    }

    /// That user no longer in that group; fine where there is no such user,
    /// group or subscription.
    pub async fn unsubscribe(
        &self,
        group: GroupId,
        user: UserId,
        by: &Caller,
    ) -> Result<(), ChangeError> {
        self.change(Command::Unsubscribe(group, user), by)
            .await
            .map(drop)
    }

    /// Brings the directory to what these lines say, as [`transfer::import`] does.
    pub async fn import(
        &self,
        text: &str,
        mode: Mode,
        by: &Caller,
    ) -> Result<Imported, ImportError> {
        transfer::import(&*self.store, text, mode, by).await
    }

    async fn change(
        &self,
        command: Command,
        by: &Caller,
    ) -> Result<(Arc<Directory>, Effect), ChangeError> {
        change(&*self.store, command, by).await
    }
}

/// Carries one command out.
pub(super) async fn change(
    store: &dyn DirectoryStore,
    command: Command,
    by: &Caller,
) -> Result<(Arc<Directory>, Effect), ChangeError> {
    match store.execute(vec![command], Mode::Commit, by).await {
        Ok(Executed { directory, effects }) => Ok((
            directory,
            effects.first().copied().unwrap_or(Effect::Unchanged),
        )),
        Err(StoreError::Refused(reasons)) => match reasons.into_iter().next() {
            Some((_, reason)) => Err(ChangeError::Refused(reason)),
            None => Err(ChangeError::Store(StoreError::Failed(
                "refused without a reason".into(),
            ))),
        },
        Err(error) => Err(ChangeError::Store(error)),
    }
}
