//! The mockup as its clients meet it: over a real socket.
#![allow(
    clippy::unwrap_used,
    reason = "tests, and the helpers that they share, stop at the first surprise"
)]

mod client;
mod connections;
mod control;
mod faults;
mod hooks;
mod other_methods;
mod post_message;
mod subscriptions;
