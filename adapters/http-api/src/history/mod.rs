//! What became of alerts, and what a person can do about them.

pub(crate) mod alerts;
pub(crate) mod cursor;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod query;
pub(crate) mod replay;
mod views;
