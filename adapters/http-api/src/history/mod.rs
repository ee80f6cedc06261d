//! What became of alerts, and what a person can do about them.

pub(crate) mod alerts;
mod cursor;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod events;
mod query;
pub(crate) mod replay;
mod views;
