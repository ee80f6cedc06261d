//! The history and what to do about alerts, over a real store.

mod control;
mod events;
mod filters;
mod records;
mod site;
