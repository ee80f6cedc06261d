//! The store as a whole.

mod backups;
mod credentials;
mod log;
mod opening;
mod sealing;
mod writing;
