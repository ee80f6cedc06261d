//! What can be asked of the directory, and what it then changes.

use common::{ApiTokenId, ChannelKind, Destination, GroupId, UserDestinationId, UserId};

use super::{Address, ApiTokenRecord, Description, DestinationRecord, GroupName, Token, UserName};

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
    /// A destination of that user under a new id, at that place in their order, which
    /// counts from 1 after the first; `None` for the last.
    CreateDestination(UserId, DestinationRecord, Option<usize>),
    /// A destination of that user with exactly these values, new or not. Without a
    /// credential a known one keeps its own, without a place in the order its place.
    PutDestination(UserId, DestinationRecord, Option<usize>),
    /// No such destination of that user any longer. The first cannot go.
    RemoveDestination(UserId, UserDestinationId),
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
    /// A new API token under a new id.
    CreateApiToken(ApiTokenRecord),
    /// That API token is taken no longer; nothing where that is so already.
    RevokeApiToken(ApiTokenId),
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
    /// Their destinations after the first, in order; `None` keeps those they have.
    pub destinations: Option<Vec<DestinationRecord>>,
}

impl UserRecord {
    /// The place that their address makes: the first of their destinations.
    pub fn first(&self) -> Destination {
        Destination::new(ChannelKind::SLACK, "", self.address.as_str())
    }
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
    /// Write this user, created where there is none of that id. Destinations after the
    /// first are separate changes.
    SaveUser {
        /// Their values.
        record: UserRecord,
        /// What to do about their credential.
        credential: NewCredential,
    },
    /// Make these, in order, the destinations of that user after the first.
    SaveDestinations(UserId, Vec<SavedDestination>),
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
    /// Write this API token, which is new.
    CreateApiToken(ApiTokenRecord),
    /// Write that this API token was revoked now.
    RevokeApiToken(ApiTokenId),
}

/// A destination to be written.
#[derive(Clone, Debug)]
pub struct SavedDestination {
    /// Its values.
    pub record: DestinationRecord,
    /// What to do about its credential.
    pub credential: NewCredential,
}

/// What a saved user's or destination's credential becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewCredential {
    /// The record's, a new version unless a credential of that very secret exists.
    FromToken,
    /// The one that the user, or the destination of that id, has.
    Keep,
}
