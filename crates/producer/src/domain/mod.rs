//! Users, groups, targets, and the rules about them.

pub mod api_token;
pub mod audit;
pub mod caller;
pub mod command;
pub mod destination;
pub mod directory;
pub mod group;
pub mod mishaps;
pub mod resolve;
pub mod restriction;
pub mod target;
pub mod text;
mod url;
pub mod user;

#[cfg(test)]
pub(crate) mod fixtures;

pub use api_token::{
    ApiToken, ApiTokenHash, ApiTokenName, ApiTokenRecord, ApiTokenSecret, Grant, MAX_API_TOKENS,
    Scope, Scopes, TokenRefusal,
};
pub use audit::{Action, AuditEntry, AuditRecord, Deed};
pub use caller::{Caller, Who};
pub use command::{Change, Command, GroupRecord, NewCredential, SavedDestination, UserRecord};
pub use destination::{
    DestinationRecord, Destinations, FurtherDestination, MAX_DESTINATIONS, Place, UserDestination,
};
pub use directory::{Decision, Directory, DirectoryError, Effect};
pub use group::{Description, Group, GroupName};
pub use mishaps::MishapSums;
pub use resolve::{Resolution, resolve};
pub use restriction::{ForbiddenTarget, check_targets};
pub use target::{OpsTarget, Target};
pub use text::Invalid;
pub use user::{Address, Token, User, UserName};
