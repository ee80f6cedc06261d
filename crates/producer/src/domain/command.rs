//! What can be asked of the directory, and what it then changes.

use common::{GroupId, UserId};

use super::{Address, Description, GroupName, Token, UserName};

/// A wish to change the directory.
#[derive(Clone, Debug)]
pub enum Command {
    /// A new user under a new id.
    CreateUser(UserRecord),
    /// A user with exactly these values, new or not. Without a token a known
    /// user keeps theirs, and a new one is refused.
    PutUser(UserRecord),
    /// No such user any longer.
    RemoveUser(UserId),
    /// A new group under a new id.
    CreateGroup(GroupRecord),
    /// A group with exactly these values, new or not. Without `users` a known
    /// group keeps its members.
    PutGroup(GroupRecord),
    /// No such group any longer.
    RemoveGroup(GroupId),
    /// That user in that group.
    Subscribe(GroupId, UserId),
    /// That user no longer in that group; nothing where that is so already.
    Unsubscribe(GroupId, UserId),
}

/// The values of a user to be written.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: UserName,
    /// Their Slack channel.
    pub address: Address,
    /// Their Slack token; `None` keeps the one they have.
    pub token: Option<Token>,
}

/// The values of a group to be written.
#[derive(Clone, Debug)]
pub struct GroupRecord {
    /// Which.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// What it is for.
    pub desc: Description,
    /// Its members; `None` keeps those it has.
    pub users: Option<Vec<UserId>>,
}

/// One change that follows from a command: what a store writes.
#[derive(Clone, Debug)]
pub enum Change {
    /// Write this user, created where there is none of that id.
    SaveUser {
        /// Their values.
        record: UserRecord,
        /// What to do about their credential.
        credential: NewCredential,
    },
    /// Delete that user and their memberships.
    RemoveUser(UserId),
    /// Write this group, created where there is none of that id. Its `users` are
    /// separate changes.
    SaveGroup(GroupRecord),
    /// Delete that group and its memberships.
    RemoveGroup(GroupId),
    /// Add the membership.
    Subscribe(GroupId, UserId),
    /// Remove the membership.
    Unsubscribe(GroupId, UserId),
}

/// What a saved user's credential becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewCredential {
    /// The record's token, a new version unless a credential of that very token exists.
    FromToken,
    /// The one they have.
    Keep,
}
