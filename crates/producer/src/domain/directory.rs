//! The whole directory in memory.
//!
//! Requests resolve their recipients from it without a query. It is made of
//! persistent maps: a copy costs nothing, and a change to a copy costs the
//! logarithm of its size, so every write publishes a new copy and a reader keeps
//! the one it began with. They are trees: hash maps of this kind find a user in less
//! time than anyone would notice, and take two to three times the memory.

use std::sync::Arc;

use common::{ApiTokenId, GroupId, UserId};
use imbl::{OrdMap, OrdSet};

use self::{destinations::further_of_user, entry::Entry, named::Names};
use super::{
    ApiToken, Change, Command, Group, GroupRecord, MAX_API_TOKENS, MAX_DESTINATIONS, NewCredential,
    User, UserRecord,
};

/// The most users, all of whom one alert may reach. With a token and a channel each they
/// take somewhat more than 1 GiB of memory.
pub const MAX_USERS: usize = 1_000_000;
/// The most groups.
pub const MAX_GROUPS: usize = 100_000;

/// Why the directory did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// No group of that id.
    #[error("The requested noti group does not exist.")]
    NoSuchGroup,
    /// No user of that id.
    #[error("The requested user does not exist.")]
    NoSuchUser,
    /// Another group has the name.
    #[error("Noti group name already exists.")]
    GroupNameTaken,
    /// Another user has the name.
    #[error("User name already exists.")]
    UserNameTaken,
    /// The id is in use; only a put may write it again.
    #[error("The id is in use already.")]
    IdTaken,
    /// The user is in the group already.
    #[error("Subscription already exists.")]
    AlreadySubscribed,
    /// A user is created without a token.
    #[error("token must be given when a user is created.")]
    TokenMissing,
    /// The user has no destination of that id.
    #[error("The requested destination does not exist.")]
    NoSuchDestination,
    /// The first destination is the user's `token` and `channelId`.
    #[error(
        "The first destination is the user's token and channelId: change it with PUT /v1/users/{{id}}."
    )]
    FirstDestination,
    /// The user has another destination at that place.
    #[error("The user has this destination already.")]
    DestinationTaken,
    /// The user would have more destinations than one may have.
    #[error("A user has at most {} destinations.", MAX_DESTINATIONS)]
    TooManyDestinations,
    /// There are as many users as there may be.
    #[error("There are as many users as there may be, {MAX_USERS}; delete some first.")]
    TooManyUsers,
    /// There are as many groups as there may be.
    #[error("There are as many groups as there may be, {MAX_GROUPS}; delete some first.")]
    TooManyGroups,
    /// A destination is created, or becomes one of another kind, without a credential.
    #[error("credential must be given when a destination is created or its kind changes.")]
    CredentialMissing,
    /// No API token of that id.
    #[error("The requested API token does not exist.")]
    NoSuchApiToken,
    /// Another API token that is not revoked has the name.
    #[error("API token name already exists.")]
    ApiTokenNameTaken,
    /// There are as many API tokens as there may be.
    #[error(
        "There are at most {} API tokens, revoked ones counted.",
        MAX_API_TOKENS
    )]
    TooManyApiTokens,
}

/// What a command comes to.
#[derive(Clone, Debug)]
pub struct Decision {
    /// In one word.
    pub effect: Effect,
    /// The changes to make, in this order; none where all is so already.
    pub changes: Vec<Change>,
}

/// What a command does to the user or group it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It did not exist before.
    Created,
    /// It existed and is changed.
    Updated,
    /// It was so already.
    Unchanged,
}

/// Every user, group, membership and API token, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    users: OrdMap<UserId, Entry>,
    user_names: Names<User>,
    groups: OrdMap<GroupId, Arc<Group>>,
    group_names: Names<Group>,
    members: OrdMap<GroupId, OrdSet<UserId>>,
    api_tokens: OrdMap<ApiTokenId, Arc<ApiToken>>,
    /// By the beginning of their hashes.
    api_tokens_by_hash: OrdSet<(u64, ApiTokenId)>,
    /// Whether there ever was one; never taken back.
    had_api_tokens: bool,
    most: Most,
}

/// How many users and groups there may be.
#[derive(Clone, Copy, Debug)]
struct Most {
    users: usize,
    groups: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            users: MAX_USERS,
            groups: MAX_GROUPS,
        }
    }
}

/// Reading.
impl Directory {
    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The user of that id.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id).map(|entry| &entry.user)
    }

    /// The user of that name.
    pub fn user_named(&self, name: &str) -> Option<&Arc<User>> {
        self.user_names.get(name)
    }

    /// The group of that id.
    pub fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// The group of that name.
    pub fn group_named(&self, name: &str) -> Option<&Arc<Group>> {
        self.group_names.get(name)
    }

    /// All users, in the order of their ids.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values().map(|entry| &entry.user)
    }

    /// Users in the order of their names, from the first name after `after`
    /// (the first of all for `None`) that begins with `prefix`.
    pub fn users_by_name<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<User>> {
        self.user_names.from(prefix, after)
    }

    /// Groups in the order of their names; otherwise as [`users_by_name`](Self::users_by_name).
    pub fn groups_by_name<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Group>> {
        self.group_names.from(prefix, after)
    }

    /// A group's users, in the order of their ids; nobody for an unknown group.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = &Arc<User>> {
        self.member_ids(group).filter_map(|id| self.user(id))
    }

    /// The ids of a group's users, in order.
    pub fn member_ids(&self, group: GroupId) -> impl Iterator<Item = UserId> + '_ {
        self.members.get(&group).into_iter().flatten().copied()
    }

    /// The groups a user is in, in the order of their ids.
    pub fn groups_of(&self, user: UserId) -> impl Iterator<Item = &Arc<Group>> {
        self.users
            .get(&user)
            .into_iter()
            .flat_map(Entry::groups)
            .filter_map(|id| self.group(*id))
    }

    /// Whether the user is in the group.
    pub fn is_member(&self, group: GroupId, user: UserId) -> bool {
        self.members
            .get(&group)
            .is_some_and(|users| users.contains(&user))
    }
}

/// Deciding: what a command changes, or why it cannot be done.
impl Directory {
    /// What `command` comes to, or why it cannot be done.
    pub fn decide(&self, command: &Command) -> Result<Decision, DirectoryError> {
        let known = self.knows_subject_of(command);
        let changes = self.changes(command)?;
        let effect = match (changes.is_empty(), known) {
            (true, _) => Effect::Unchanged,
            (false, true) => Effect::Updated,
            (false, false) => Effect::Created,
        };
        Ok(Decision { effect, changes })
    }

    fn knows_subject_of(&self, command: &Command) -> bool {
        match command {
            Command::CreateUser(record) | Command::PutUser(record) => {
                self.user(record.id).is_some()
            }
            Command::CreateGroup(record) | Command::PutGroup(record) => {
                self.group(record.id).is_some()
            }
            Command::CreateDestination(user, record, _)
            | Command::PutDestination(user, record, _) => self
                .user(*user)
                .is_some_and(|user| user.destinations.find(record.id).is_some()),
            Command::CreateApiToken(record) => self.api_token(record.id).is_some(),
            Command::RemoveUser(_)
            | Command::RevokeApiToken(_)
            | Command::RemoveDestination(..)
            | Command::RemoveGroup(_)
            | Command::Subscribe(..)
            | Command::Unsubscribe(..) => true,
        }
    }

    fn changes(&self, command: &Command) -> Result<Vec<Change>, DirectoryError> {
        match command {
            Command::CreateUser(record) => match self.user(record.id) {
                Some(_) => Err(DirectoryError::IdTaken),
                None => self.save_user(record),
            },
            Command::PutUser(record) => self.save_user(record),
            Command::RemoveUser(id) => match self.user(*id) {
                Some(_) => Ok(vec![Change::RemoveUser(*id)]),
                None => Err(DirectoryError::NoSuchUser),
            },
            Command::CreateDestination(user, record, order) => {
                self.create_destination(*user, record, *order)
            }
            Command::PutDestination(user, record, order) => {
                self.put_destination(*user, record, *order)
            }
            Command::RemoveDestination(user, id) => self.remove_destination(*user, *id),
            Command::CreateGroup(record) => match self.group(record.id) {
                Some(_) => Err(DirectoryError::IdTaken),
                None => self.save_group(record),
            },
            Command::PutGroup(record) => self.save_group(record),
            Command::RemoveGroup(id) => match self.group(*id) {
                Some(_) => Ok(vec![Change::RemoveGroup(*id)]),
                None => Err(DirectoryError::NoSuchGroup),
            },
            Command::Subscribe(group, user) => self.subscribe(*group, *user),
            Command::Unsubscribe(group, user) => Ok(match self.is_member(*group, *user) {
                true => vec![Change::Unsubscribe(*group, *user)],
                false => vec![],
            }),
            Command::CreateApiToken(record) => self.create_api_token(record),
            Command::RevokeApiToken(id) => self.revoke_api_token(*id),
        }
    }

    fn save_user(&self, record: &UserRecord) -> Result<Vec<Change>, DirectoryError> {
        let name_taken = self
            .user_named(record.name.as_str())
            .is_some_and(|other| other.id != record.id);
        if name_taken {
            return Err(DirectoryError::UserNameTaken);
        }
        let known = self.user(record.id);
        if known.is_none() && self.user_count() >= self.most.users {
            return Err(DirectoryError::TooManyUsers);
        }
        let credential = match (&record.token, known) {
            (Some(token), Some(user)) if holds_token(user, token.secret().expose()) => {
                NewCredential::Keep
            }
            (Some(_), _) => NewCredential::FromToken,
            (None, Some(_)) => NewCredential::Keep,
            (None, None) => return Err(DirectoryError::TokenMissing),
        };
        let unchanged = credential == NewCredential::Keep
            && known.is_some_and(|user| {
                user.name == record.name
                    && *user.destinations.first().destination.address == *record.address.as_str()
            });
        let mut changes = Vec::new();
        if !unchanged {
            changes.push(Change::SaveUser {
                record: record.clone(),
                credential,
            });
        }
        changes.extend(further_of_user(known, record)?);
        Ok(changes)
    }

    fn save_group(&self, record: &GroupRecord) -> Result<Vec<Change>, DirectoryError> {
        let name_taken = self
            .group_named(record.name.as_str())
            .is_some_and(|other| other.id != record.id);
        if name_taken {
            return Err(DirectoryError::GroupNameTaken);
        }
        if self.group(record.id).is_none() && self.group_count() >= self.most.groups {
            return Err(DirectoryError::TooManyGroups);
        }
        let mut changes = Vec::new();
        let unchanged = self
            .group(record.id)
            .is_some_and(|group| group.name == record.name && group.desc == record.desc);
        if !unchanged {
            changes.push(Change::SaveGroup(record.clone()));
        }
        if let Some(users) = &record.users {
            let wanted: OrdSet<UserId> = users.iter().copied().collect();
            if wanted.iter().any(|user| self.user(*user).is_none()) {
                return Err(DirectoryError::NoSuchUser);
            }
            let gone = self
                .member_ids(record.id)
                .filter(|user| !wanted.contains(user));
            changes.extend(gone.map(|user| Change::Unsubscribe(record.id, user)));
            let new = wanted
                .iter()
                .filter(|user| !self.is_member(record.id, **user));
            changes.extend(new.map(|user| Change::Subscribe(record.id, *user)));
        }
        Ok(changes)
    }

    fn subscribe(&self, group: GroupId, user: UserId) -> Result<Vec<Change>, DirectoryError> {
        if self.group(group).is_none() {
            return Err(DirectoryError::NoSuchGroup);
        }
        if self.user(user).is_none() {
            return Err(DirectoryError::NoSuchUser);
        }
        if self.is_member(group, user) {
            return Err(DirectoryError::AlreadySubscribed);
        }
        Ok(vec![Change::Subscribe(group, user)])
    }
}

fn holds_token(user: &User, token: &str) -> bool {
    user.destinations.first().credential.secret.expose() == token
}

/// Applying: what a store has written comes to stand here too. Where several are applied
/// that follow from one another, such as two users who exchange their names, their order
/// does not matter.
impl Directory {
    /// Puts a user in the place of the one of that id, if there was one.
    pub fn insert_user(&mut self, user: Arc<User>) {
        match self.users.get_mut(&user.id) {
            Some(entry) => {
                self.user_names.give_up(&entry.user);
                entry.user = Arc::clone(&user);
            }
            None => {
                self.users.insert(user.id, Entry::new(Arc::clone(&user)));
            }
        }
        self.user_names.give(user);
    }

    /// Takes a user out, with their memberships.
    pub fn remove_user(&mut self, id: UserId) {
        let Some(entry) = self.users.remove(&id) else {
            return;
        };
        self.user_names.give_up(&entry.user);
        for group in entry.groups() {
            if let Some(users) = self.members.get_mut(group) {
                users.remove(&id);
            }
        }
    }

    /// Puts a group in the place of the one of that id, if there was one; its
    /// members stay.
    pub fn insert_group(&mut self, group: Arc<Group>) {
        if let Some(old) = self.groups.get(&group.id) {
            self.group_names.give_up(old);
        }
        self.group_names.give(Arc::clone(&group));
        self.groups.insert(group.id, group);
    }

    /// Takes a group out, with its memberships.
    pub fn remove_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(&id) else {
            return;
        };
        self.group_names.give_up(&group);
        for user in self.members.remove(&id).into_iter().flatten() {
            if let Some(entry) = self.users.get_mut(&user) {
                entry.leave(id);
            }
        }
    }

    /// Adds a membership of a user who is here.
    pub fn insert_member(&mut self, group: GroupId, user: UserId) {
        if let Some(entry) = self.users.get_mut(&user) {
            entry.join(group);
            self.members.entry(group).or_default().insert(user);
        }
    }

    /// Removes a membership.
    pub fn remove_member(&mut self, group: GroupId, user: UserId) {
        if let Some(users) = self.members.get_mut(&group) {
            users.remove(&user);
        }
        if let Some(entry) = self.users.get_mut(&user) {
            entry.leave(group);
        }
    }
}

mod api_tokens;
mod credentials;
mod destinations;
mod entry;
mod named;
#[cfg(test)]
mod tests;
