//! What a lane's ledger promises, on a model of the partition: whoever takes over finds
//! all that has not ended and nothing that has, wherever the one before died.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

mod controlling;
mod fixtures;
mod folding;
mod handing;
#[allow(dead_code, reason = "shared with the simulation")]
mod log;
mod properties;
mod taking_over;
