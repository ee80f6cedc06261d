//! The history in PostgreSQL, made of a queue's records as they are wanted: the
//! contract's behaviours, and what only the records and the database can show.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

mod contract;
mod feed;
mod recording;
mod site;
mod trimming;
