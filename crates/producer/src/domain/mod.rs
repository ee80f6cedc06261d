//! Users, groups, targets, and the rules about them.

pub mod command;
pub mod destination;
pub mod directory;
pub mod group;
pub mod mishaps;
pub mod resolve;
pub mod target;
pub mod text;
mod url;
pub mod user;

#[cfg(test)]
pub(crate) mod fixtures;

pub use command::{Change, Command, GroupRecord, NewCredential, SavedDestination, UserRecord};
pub use destination::{
    DestinationRecord, Destinations, FurtherDestination, MAX_DESTINATIONS, Place, UserDestination,
};
pub use directory::{Decision, Directory, DirectoryError, Effect};
pub use group::{Description, Group, GroupName};
pub use mishaps::MishapSums;
pub use resolve::{Resolution, resolve};
pub use target::{OpsTarget, Target};
pub use text::Invalid;
pub use user::{Address, Token, User, UserName};
