//! The history and what to do about alerts, over a real store.

mod control;
mod events;
mod filters;
mod records;
pub(crate) mod site;
