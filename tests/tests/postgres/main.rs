//! The PostgreSQL adapter where it is more than its ports: several processes on one
//! database, plain SQL, and a database that goes away.

#![allow(clippy::unwrap_used, reason = "tests: a failure is a panic")]

mod following;
mod keys;
mod opening;
mod outage;
mod proxy;
mod sealing;
mod secured;
mod support;
mod trimming;
