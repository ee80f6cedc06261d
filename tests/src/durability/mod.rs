//! Whether an answer of 200 means that the disk has it.
//!
//! [`trace`] reads what strace saw of a server and finds the answers that left
//! before the sync that covers them. [`power`] is a disk that forgets what was not
//! synced.

pub mod power;
pub mod trace;
