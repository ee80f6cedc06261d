//! The program as its users have it: processes, sockets, files, signals.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod delivering;
mod demo;
mod destinations;
mod exposed;
mod refusing_to_start;
mod rotating;
mod status;
mod stopping;
mod tokens;
mod warnings;
