//! The binary as a person at a terminal meets it: run, and watched from outside.
#![allow(clippy::unwrap_used)]

mod configuration;
mod directory_commands;
mod fake_server;
mod health;
mod help;
mod history_commands;
mod program;
mod secrets_commands;
mod send;
mod token_commands;
mod transfers;
