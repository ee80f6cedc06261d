//! The store as a whole.

mod backups;
mod credentials;
mod opening;
mod writing;
